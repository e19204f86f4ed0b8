"""`.../stepwell/hosts`: who has the store open, what waits for them, and what the store is kept in."""

import asyncio

import httpx
import pytest
from starlette.types import ASGIApp

from stepwell import __version__
from stepwell.api.sessions import PAGE_HEADER
from stepwell.engine import Engine
from stepwell.store.host_operations import Hosts
from stepwell.store.operations import ClaimDue, RegisterWorker
from stepwell.store.sql.hosts import host_name
from stepwell.tokens import Permission, Tokens
from tests.api.asgi import ask
from tests.api.histories import Histories

HOSTS = "stepwell/hosts"


@pytest.mark.sqlite
async def test_host_is_shown_with_what_it_holds(client: httpx.AsyncClient, histories: Histories) -> None:
    """Of a file there is one, without a lease; its workers lag by as long as the first of what is due has been."""
    await histories.register("order")
    for id in ("a", "b"):
        await histories.queued("order", id)
    now = histories.clock.now()
    worker = await histories.engine.store.run(RegisterWorker("worker 1", 2**62, now))
    await histories.engine.store.run(ClaimDue(worker, now, 1))
    histories.clock.move_to(now + 1_500)

    shown = (await client.get(HOSTS)).json()["result"]

    (host,) = shown["hosts"]
    assert host.pop("opened_on").endswith("Z")
    assert host == {
        "id": "1",
        "name": host_name(),
        "version": __version__,
        "state": "alive",
        "renewed_on": None,
        "workers": 1,
        "blocked_workers": 0,
        "held": 1,
        "lag_ms": 1_500,
    }
    assert shown["waiting"] == {"due": 1, "lag_ms": 1_500, "queued": 0, "by_status": {"queued": 1, "running": 1}}
    assert shown["database"]["kind"] == "sqlite"


async def test_host_that_lags_behind_nothing_is_shown(client: httpx.AsyncClient) -> None:
    """Where nothing waits, no time has passed."""
    shown = (await client.get(HOSTS)).json()["result"]

    assert [host["lag_ms"] for host in shown["hosts"]] == [0]
    assert shown["waiting"] == {"due": 0, "lag_ms": 0, "queued": 0, "by_status": {}}


async def test_names_and_numbers_of_others_are_for_the_operator(
    guarded: ASGIApp, tokens: Tokens, histories: Histories
) -> None:
    """Who may read hears of its own account, and of no machine; with `metrics` as well, of all."""
    await histories.queued("order", "a")
    shown = []
    for permissions in ([Permission.TAIL_READ], [Permission.TAIL_READ, Permission.METRICS]):
        secret = await tokens.create("acme", permissions)
        answer = await ask(guarded, f"/client/v4/accounts/acme/{HOSTS}", headers={"authorization": f"Bearer {secret}"})
        shown.append(answer.json()["result"])

    reader, operator = shown
    assert [host["name"] for host in reader["hosts"]] == [None]
    assert (reader["waiting"]["by_status"], reader["database"]["size"]) == ({}, None)
    assert host_name() in {host["name"] for host in operator["hosts"]}
    assert operator["waiting"]["by_status"] == {"queued": 1}
    assert operator["database"]["size"] > 0


async def test_reader_never_gets_the_answer_of_an_operator_who_asks_at_the_same_time(
    guarded: ASGIApp, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that ask for the same at once share a reading, but not with whom may see more."""
    read = Engine.hosts

    async def read_slowly(engine: Engine, now: int, account: str | None) -> Hosts:
        await asyncio.sleep(0.01)
        return await read(engine, now, account)

    monkeypatch.setattr(Engine, "hosts", read_slowly)
    reader = await tokens.create("acme", [Permission.TAIL_READ])
    operator = await tokens.create("acme", [Permission.TAIL_READ, Permission.METRICS])

    async def names(secret: str) -> list[str | None]:
        headers = {"authorization": f"Bearer {secret}", PAGE_HEADER: "1"}
        answer = await ask(guarded, f"/client/v4/accounts/acme/{HOSTS}", headers=headers)
        return [host["name"] for host in answer.json()["result"]["hosts"]]

    seen = await asyncio.gather(*[names(secret) for secret in [operator, reader] * 10])

    assert seen == [[host_name()], [None]] * 10
