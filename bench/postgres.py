"""The works that are measured, on a PostgreSQL server of this run's own, which waits for the disk."""

import asyncio
from pathlib import Path

from bench import work
from tests import postgres

# Everything else is as the server has it: fsync and synchronous_commit are on.
DURABLE = {"listen_addresses": ""}
_IDLE_S = 20.0
_STATEMENTS = "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = 'stepwell_idle'"
_SIZE = """
    select sum(pg_total_relation_size(oid))
    from pg_class
    where relkind = 'r'
        and relnamespace = 'public'::regnamespace
    """


def measure(folder: Path) -> dict[str, float]:
    """Return the figures of one round; none where there can be no server."""
    if not postgres.is_local():
        return {}
    folder.mkdir()
    server = postgres.Server()
    try:
        server.start(settings=DURABLE)
        found: dict[str, float] = {}
        for name in ("w1", "w2", "w3", "w5"):
            measured = asyncio.run(getattr(work, name)(folder / name, made(server, name)))
            found |= {f"PostgreSQL {figure}": value for figure, value in measured.items()}
            if name == "w1":
                found["PostgreSQL W1: bytes a step, with indexes"] = _bytes(server, name) / 10_000
        for workers in (2, 4):
            name = f"w1_of_{workers}"
            steps = asyncio.run(work.w1_of(folder / name, made(server, name), workers))
            found[f"PostgreSQL W1: steps/s with {workers} worker processes"] = steps
        return found | asyncio.run(_idle(server, folder / "idle"))
    finally:
        server.remove()


def _bytes(server: postgres.Server, name: str) -> int:
    """Return how much the tables of a database take."""
    ((size,),) = postgres.query(_url(server, name), _SIZE)
    return int(size)


async def _idle(server: postgres.Server, folder: Path) -> dict[str, float]:
    """Measure how many transactions a server asks for that has nothing to do."""
    url = await asyncio.to_thread(made, server, "idle")
    async with work.deployment(folder, url):
        await asyncio.sleep(2)
        before = await asyncio.to_thread(postgres.query, server.url, _STATEMENTS)
        await asyncio.sleep(_IDLE_S)
        after = await asyncio.to_thread(postgres.query, server.url, _STATEMENTS)
    return {
        "PostgreSQL idle: transactions a second, those of autovacuum too": float(after[0][0] - before[0][0]) / _IDLE_S
    }


def made(server: postgres.Server, name: str) -> str:
    """Make a database, and return its URL."""
    postgres.query(server.url, f"create database stepwell_{name}")
    return _url(server, name)


def _url(server: postgres.Server, name: str) -> str:
    return server.url.replace("/postgres?", f"/stepwell_{name}?")
