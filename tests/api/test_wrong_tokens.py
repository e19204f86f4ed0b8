"""Who sends tokens that are not good, and who is not held up by that."""

import json

import pytest
from starlette.types import ASGIApp

from stepwell.api import create_app, wrong_tokens
from stepwell.api.app import Api
from stepwell.api.peers import Proxies
from stepwell.api.refusals import TooManyWrongTokens, Unauthorized
from stepwell.api.wrong_tokens import WrongTokens
from stepwell.engine import Engine
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask
from tests.api.histories import Histories
from tests.api.test_request_rate import Hand

WORKFLOWS = "/client/v4/accounts/local/workflows"
PEER = "192.0.2.1"


def guess(n: int) -> str:
    """Return a secret that no token has."""
    return f"sw_{n:016x}_{'a' * 43}"


async def asked(app: ASGIApp, secret: str, peer: str | None = PEER) -> Answer:
    """Ask for the workflows with a token."""
    return await ask(app, WORKFLOWS, headers=[("authorization", f"Bearer {secret}")], peer=peer)


async def signed_in(app: ASGIApp, secret: str, peer: str = PEER) -> Answer:
    """Sign in at the dashboard."""
    headers = [("host", "h"), ("origin", "http://h"), ("x-stepwell-page", "1")]
    return await ask(app, "/ui/session", "POST", json.dumps({"token": secret}).encode(), headers, peer=peer)


async def refused(wrong: WrongTokens, tokens: Tokens, secret: str, peer: str = PEER) -> int | None:
    """Return for how long a wrong token has to wait; None: it is just wrong."""
    with pytest.raises((Unauthorized, TooManyWrongTokens)) as error:
        await wrong.authenticate(tokens, {"type": "http", "client": (peer, 1), "headers": []}, secret)
    return int(headers["retry-after"]) if "retry-after" in (headers := error.value.headers or {}) else None


async def test_eleventh_wrong_token_is_told_to_wait(guarded: ASGIApp, tokens: Tokens) -> None:
    """Ten are 401, then 429 with what is wrong and when to come back; other addresses are not concerned."""
    answers = [await asked(guarded, guess(n)) for n in range(12)]
    elsewhere = [(await asked(guarded, guess(0), peer)).status for peer in ("192.0.2.2", None)]

    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert answers[10].headers["retry-after"] == "1"
    assert answers[10].refusal() == (
        429,
        10502,
        "Too many authentication failures. Please try again later: the token is not known here; "
        "`stepwell token create` makes one. Many wrong tokens came from this address, so no other wrong one is looked "
        "at for 1 s; a right one is taken at any time",
    )
    assert elsewhere == [401, 401]


async def test_right_token_is_never_held_up(guarded: ASGIApp, tokens: Tokens) -> None:
    """Not while others guess from its address, not for its first request, and not at the dashboard."""
    for n in range(50):
        await asked(guarded, guess(n))
    secret = await tokens.create("local", [Permission.SCRIPTS_READ])

    answers = [await asked(guarded, secret), await signed_in(guarded, secret), await asked(guarded, guess(51))]

    assert [answer.status for answer in answers] == [200, 200, 429]


async def test_sign_in_counts_like_any_request(guarded: ASGIApp, tokens: Tokens) -> None:
    """Wrong tokens at the dashboard and in headers are one number; a pair of key and address counts, too."""
    statuses = [(await signed_in(guarded, guess(n))).status for n in range(5)]
    for n in range(5):
        pair = [("x-auth-key", guess(n)), ("x-auth-email", "ann@example.com")]
        statuses.append((await ask(guarded, WORKFLOWS, headers=pair, peer=PEER)).status)
    statuses += [(await signed_in(guarded, guess(9))).status, (await asked(guarded, guess(9))).status]

    assert statuses == [401] * 10 + [429] * 2


async def test_wait_doubles_up_to_a_minute_and_is_forgotten(tokens: Tokens) -> None:
    """Who comes back too soon makes it no longer; ten quiet minutes are a new beginning."""
    hand = Hand()
    wrong = WrongTokens(now=hand)
    waits = []
    for n in range(20):
        wait = await refused(wrong, tokens, guess(n))
        assert wait is None or [await refused(wrong, tokens, guess(100 + n)) for _ in range(3)] == [wait] * 3
        waits.append(wait)
        hand.at += wait or 0
    hand.at += 600

    assert waits == [None] * 10 + [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert await refused(wrong, tokens, guess(1)) is None


async def test_wrong_token_that_is_known_is_not_looked_up(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that goes on with one costs no look into the store while it is to wait; another one is looked up."""
    looked: list[str] = []
    find = Tokens.authenticate

    async def counted(self: Tokens, secret: str, email: str | None = None) -> object:
        looked.append(secret)
        return await find(self, secret, email)

    monkeypatch.setattr(Tokens, "authenticate", counted)
    hand = Hand()
    wrong = WrongTokens(now=hand)

    waits = [await refused(wrong, tokens, guess(7)) for _ in range(100)]
    waits.append(await refused(wrong, tokens, guess(8)))
    hand.at += 1
    waits.append(await refused(wrong, tokens, guess(7)))

    assert waits == [None] * 10 + [1] * 91 + [2]
    assert looked == [guess(7)] * 11 + [guess(8), guess(7)]


async def test_memory_is_bounded_whatever_comes(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses and secrets that came longest ago go first."""
    monkeypatch.setattr(wrong_tokens, "MOST_ADDRESSES", 10)
    monkeypatch.setattr(wrong_tokens, "MOST_SECRETS", 5)
    wrong = WrongTokens(now=Hand())

    for n in range(30):
        await refused(wrong, tokens, guess(n), f"192.0.2.{n}")

    assert (len(wrong._addresses), len(wrong._problems)) == (10, 5)


async def test_callers_behind_a_proxy_are_told_apart(engine: Engine, histories: Histories, tokens: Tokens) -> None:
    """One who guesses does not speak for the proxy."""
    app: Api = create_app(engine, account=None, hosts=None, tokens=tokens, proxies=Proxies.of(["127.0.0.1"]))

    async def status(caller: str) -> int:
        headers = [("authorization", f"Bearer {guess(1)}"), ("x-forwarded-for", caller)]
        return (await ask(app, WORKFLOWS, headers=headers, peer="127.0.0.1")).status

    assert [await status("192.0.2.1") for _ in range(11)] == [401] * 10 + [429]
    assert await status("192.0.2.2") == 401
