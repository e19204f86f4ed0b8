"""`.../stepwell/facts`: what the logs of the servers have said; and how it gets there."""

import logging
from collections.abc import Iterator

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell.engine import Engine
from stepwell.fact_log import FactLog
from stepwell.facts import fact
from stepwell.store.fact_operations import Fact
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask

FACTS = "stepwell/facts"
LOG = logging.getLogger("stepwell.test")


@pytest.fixture
def log(engine: Engine) -> Iterator[FactLog]:
    """What keeps what is logged."""
    log = FactLog(engine.store, "web-1:1", "local")
    handler = log.handler()
    LOG.addHandler(handler)
    yield log
    LOG.removeHandler(handler)


async def test_what_the_log_says_is_listed(client: httpx.AsyncClient, log: FactLog) -> None:
    """With what it is of; without its traceback, and in one line of characters to look at."""
    try:
        raise ValueError("password-is-hunter2")
    except ValueError:
        of = {"account": "local", "workflow": "order", "instance": "a"}
        LOG.exception("turn of %s\nwas \0lost", "order/a", extra=fact("turn.lost", **of, error="no field"))
    await log.note()

    answer = (await client.get(FACTS)).json()

    (shown,) = answer["result"]
    assert shown.pop("at").endswith("Z")
    assert shown == {
        "id": shown["id"],
        "level": "error",
        "event": "turn.lost",
        "message": "turn of order/a\N{REPLACEMENT CHARACTER}was \N{REPLACEMENT CHARACTER}lost",
        "host": "web-1:1",
        "process": "server",
        "account": "local",
        "workflow_name": "order",
        "instance_id": "a",
    }
    assert "hunter2" not in str(answer)


async def test_line_that_cannot_be_read_keeps_nobody_from_going_on(
    client: httpx.AsyncClient, log: FactLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is standard error's, as with other handlers."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = LOG.handlers[-1]
    handler.handle(LOG.makeRecord("x", logging.ERROR, "x", 1, "%d", ("no number",), None, extra=fact("turn.lost")))
    handler.handle(LOG.makeRecord("x", logging.ERROR, "x", 1, "", (), None, extra={"event": "a", "fields": 5}))
    await log.note()

    assert (await client.get(FACTS)).json()["result"] == []


async def test_what_anybody_can_cause_is_not_kept(client: httpx.AsyncClient, log: FactLog) -> None:
    """Lines of authors, requests that are refused, and lines that are no facts."""
    for event in ("author.log", "request.refused", "requests.refused"):
        LOG.error("no", extra=fact(event))
    LOG.error("no fact")
    LOG.error("yes", extra=fact("worker.died"))
    await log.note()

    assert [one["message"] for one in (await client.get(FACTS)).json()["result"]] == ["yes"]


async def test_worker_speaks_for_itself_alone(client: httpx.AsyncClient, log: FactLog) -> None:
    """Author code may say anything in its place: it is of the account that the worker serves."""
    log.hear("worker 1", Fact(5, "info", "turn.lost", "x" * 2_000, "web-9:9", "server", "other", "order", "a"))
    await log.note()

    (shown,) = (await client.get(FACTS, params={"process": "worker 1"})).json()["result"]

    assert (shown["host"], shown["process"], shown["account"]) == ("web-1:1", "worker 1", "local")
    assert shown["at"] > "2026-01-01"
    assert shown["message"] == "x" * 1_000


async def test_pages_follow_each_other(client: httpx.AsyncClient, log: FactLog) -> None:
    """The latest first; what is asked for narrows all of them."""
    for n in range(5):
        LOG.error("%d", n, extra=fact("worker.died" if n else "turn.lost"))
    await log.note()

    first = (await client.get(FACTS, params={"per_page": 2, "event": "worker.died"})).json()
    cursor = first["result_info"]["cursor"]
    second = (await client.get(FACTS, params={"per_page": 2, "event": "worker.died", "cursor": cursor})).json()

    assert [one["message"] for one in (*first["result"], *second["result"])] == ["4", "3", "2", "1"]
    assert second["result_info"]["cursor"] == ""


async def test_facts_of_others_are_for_the_operator(
    guarded: ASGIApp, tokens: Tokens, client: httpx.AsyncClient, log: FactLog
) -> None:
    """A token that may read is told of its account, and no host; one that has `metrics` too, of all."""
    for account in ("acme", "local", None):
        LOG.error("of %s", account, extra=fact("turn.lost", account=account))
    await log.note()
    shown = []
    for permissions in ([Permission.TAIL_READ], [Permission.TAIL_READ, Permission.METRICS]):
        secret = await tokens.create("acme", permissions)
        answer = await ask(guarded, f"/client/v4/accounts/acme/{FACTS}", headers={"authorization": f"Bearer {secret}"})
        shown.append([(one["message"], one["host"]) for one in answer.json()["result"]])

    assert shown == [
        [("of acme", None)],
        [("of None", "web-1:1"), ("of local", "web-1:1"), ("of acme", "web-1:1")],
    ]
