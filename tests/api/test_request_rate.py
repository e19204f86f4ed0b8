"""How often requests may come, and whose they are taken for."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.types import ASGIApp

from stepwell.api import create_app, request_rate
from stepwell.api.app import Api
from stepwell.api.peers import Proxies
from stepwell.api.refusals import TooManyRequests
from stepwell.api.request_rate import Buckets, Rate
from stepwell.engine import Engine
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import Answer, ask
from tests.api.histories import Histories

HOST = ("host", "localhost:8787")
WORKFLOWS = "/client/v4/accounts/local/workflows"
TEN = Rate("token", 60, 10)

Tell = Callable[..., None]


@pytest.fixture
def tell(engine: Engine) -> Tell:
    """Tell the server a setting."""

    def change(**settings: Any) -> None:
        engine.settings = replace(engine.settings, **settings)

    return change


class Hand:
    """The hand of a clock."""

    at = 100.0

    def __call__(self) -> float:
        return self.at


async def asked(app: ASGIApp, secret: str, peer: str = "192.0.2.1") -> Answer:
    """Ask for the workflows with a token."""
    return await ask(app, WORKFLOWS, headers=[HOST, ("authorization", f"Bearer {secret}")], peer=peer)


# ---- buckets


def test_bucket_has_a_burst_and_then_so_many_a_minute() -> None:
    """Ten at once, then one a second; who waits gets the burst back and no more."""
    hand = Hand()
    buckets = Buckets(hand)

    def taken() -> int:
        """Take all that there are."""
        for n in range(1_000):
            try:
                buckets.take("ann", TEN)
            except TooManyRequests:
                return n
        return 1_000

    counts = [taken(), taken()]
    for seconds in (0.5, 0.5, 3, 9.5, 3_600):
        hand.at += seconds
        counts.append(taken())

    assert counts == [10, 0, 0, 1, 3, 9, 10]


def test_refusal_says_when_to_come_again_and_what_there_is() -> None:
    """Whoever waits for as long as is said is let in; a request that is refused takes nothing."""
    hand = Hand()
    buckets = Buckets(hand)
    rate = Rate("token", 20, 2)
    headers = [buckets.take("ann", rate) for _ in range(2)]

    refused = []
    for _ in range(3):
        with pytest.raises(TooManyRequests) as error:
            buckets.take("ann", rate)
        refused.append(error.value.headers)
    hand.at += 3

    assert headers == [
        {"ratelimit": '"token";r=1;t=3', "ratelimit-policy": '"token";q=2;w=6'},
        {"ratelimit": '"token";r=0;t=6', "ratelimit-policy": '"token";q=2;w=6'},
    ]
    assert refused == [{"retry-after": "3", **headers[1]}] * 3
    assert buckets.take("ann", rate)["ratelimit"] == '"token";r=0;t=6'


def test_buckets_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever addresses come, the memory is bounded; those that were asked for last are known."""
    monkeypatch.setattr(request_rate, "MOST_BUCKETS", 100)
    buckets = Buckets(Hand())
    one = Rate("address", 60, 1)

    for n in range(1_000):
        buckets.take(str(n), one)

    assert len(buckets) == 100
    with pytest.raises(TooManyRequests):
        buckets.take("999", one)
    buckets.take("1", one)


# ---- whose a request is


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        pytest.param("192.0.2.9", ["198.51.100.1"], "192.0.2.9", id="nobody who is trusted says so"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy asks for itself"),
        pytest.param("10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="proxy"),
        pytest.param("10.0.0.1", ["203.0.113.7, 198.51.100.1"], "198.51.100.1", id="made up by the caller"),
        pytest.param("10.0.0.1", ["203.0.113.7", "198.51.100.1"], "198.51.100.1", id="made up in another header"),
        pytest.param("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", ["10.0.0.3, 198.51.100.1, 10.0.0.2"], "198.51.100.1", id="a trusted one made up"),
        pytest.param("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2", id="no address before a proxy"),
        pytest.param("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1", id="with port"),
        pytest.param("10.0.0.1", ["[2001:db8:1:2:3::4]:4711"], "2001:db8:1:2::/64", id="version 6 with port"),
        pytest.param("10.0.0.1", ["x, " * 1_000 + "198.51.100.1"], "198.51.100.1", id="many"),
        pytest.param("10.0.0.1", ["198.51.100.1" + ", 10.0.0.2" * 100], "10.0.0.2", id="more proxies than there are"),
        pytest.param("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1", id="proxy on a socket of version 6"),
        pytest.param("::ffff:192.0.2.9", [], "192.0.2.9", id="mapped"),
        pytest.param("2001:db8:1:2:ffff::9", [], "2001:db8:1:2::/64", id="version 6"),
        pytest.param("fe80::1%eth0", [], "fe80::/64", id="zone"),
        pytest.param("fd00::7", ["198.51.100.1"], "198.51.100.1", id="proxy of version 6"),
        pytest.param("/run/app.sock", ["198.51.100.1"], None, id="no address at all"),
        pytest.param(None, ["198.51.100.1"], None, id="in a process"),
    ],
)
def test_caller_is_who_a_trusted_proxy_says(peer: str | None, forwarded: list[str], caller: str | None) -> None:
    """X-Forwarded-For is read from the right, as far as those reach who are trusted."""
    proxies = Proxies.of(["10.0.0.0/8", "fd00::7"])
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    scope = {"type": "http", "client": None if peer is None else (peer, 1), "headers": headers}

    assert proxies.caller(scope) == caller


def test_nobody_is_trusted_unless_it_is_said() -> None:
    """Without a proxy the header says nothing, also from this machine."""
    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"198.51.100.1")]}

    assert Proxies().caller(scope) == "127.0.0.1"


# ---- the server


async def test_nothing_is_limited_unless_it_is_said(guarded: ASGIApp, tokens: Tokens) -> None:
    """By default any number is taken, and no answer has a word of it."""
    secret = await tokens.create("local", [Permission.SCRIPTS_READ])

    answers = [await asked(guarded, secret) for _ in range(300)]

    assert {answer.status for answer in answers} == {200}
    assert not {"ratelimit", "ratelimit-policy", "retry-after"} & {name for one in answers for name in one.headers}


async def test_token_has_its_own_limit(guarded: ASGIApp, tokens: Tokens, tell: Tell) -> None:
    """One too many is Cloudflare's 429, wherever it comes from; who has no right secret takes nothing."""
    tell(requests_per_minute_of_token=20, request_burst_of_token=2)
    ann, bob = [await tokens.create("local", [Permission.SCRIPTS_READ]) for _ in range(2)]
    forged = ann[:-1] + ("a" if ann[-1] != "a" else "b")

    guessed = [(await asked(guarded, forged)).status for _ in range(4)]
    answers = [await asked(guarded, ann, peer=f"192.0.2.{n}") for n in range(3)]
    other = await asked(guarded, bob)

    assert guessed == [401] * 4
    assert [answer.status for answer in (*answers, other)] == [200, 200, 429, 200]
    assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in answers] == [
        '"token";r=1',
        '"token";r=0',
        '"token";r=0',
    ]
    assert answers[2].refusal() == (
        429,
        971,
        "Please wait and consider throttling your request speed: each token has 20 requests a minute, and 2 at once; "
        "come back in 3 s. The server's settings requests_per_minute_of_token and request_burst_of_token say so",
    )
    assert (answers[2].headers["retry-after"], answers[2].headers["ratelimit-policy"]) == ("3", '"token";q=2;w=6')


async def test_address_has_its_own_limit(app: ASGIApp, histories: Histories, tell: Tell) -> None:
    """It holds before anything is looked at, for all of a network of IPv6 together; a sign of life is always given."""
    tell(requests_per_minute_of_address=60, request_burst_of_address=2)

    async def statuses(peers: list[str | None], path: str = "/nowhere") -> list[int]:
        return [(await ask(app, path, headers=[HOST], peer=peer)).status for peer in peers]

    assert await statuses(["192.0.2.1"] * 3) == [404, 404, 429]
    assert await statuses(["192.0.2.2"]) == [404]
    assert await statuses([f"2001:db8::{n}" for n in range(1, 4)]) == [404, 404, 429]
    assert await statuses(["2001:db8:0:1::1"]) == [404]
    assert await statuses(["192.0.2.1"] * 3, "/healthz") == [200] * 3
    assert await statuses([None] * 3) == [404] * 3


async def test_callers_behind_a_proxy_are_told_apart(engine: Engine, histories: Histories, tell: Tell) -> None:
    """One that asks too often holds up none of the others."""
    tell(requests_per_minute_of_address=60, request_burst_of_address=1)
    app: Api = create_app(engine, account="local", hosts=None, proxies=Proxies.of(["127.0.0.1"]))

    answers = [
        await ask(app, "workflows", headers=[HOST, ("x-forwarded-for", f"203.0.113.{n}, {caller}")], peer="127.0.0.1")
        for n, caller in enumerate(["192.0.2.1", "192.0.2.1", "192.0.2.2"])
    ]

    assert [answer.status for answer in answers] == [200, 429, 200]
