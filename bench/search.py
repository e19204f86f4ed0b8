"""How long searches take in a store of many instances while others run: p50 and p99 of each filter.

    python -m bench.search [--instances N] [--searches N] [--postgres]

The instances are written with SQL, a fifth of them errored, with two labels each. Then W1 (1,000 instances of 10
steps) runs again and again in the processes of `stepwell serve` while each filter is asked for in turn, over HTTP, as
people and programs do. A search that has no time left answers with what it has found: how often that was is told, too.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import apsw

from bench.connection import Connection
from bench.server import INSTANCES, serving, token
from bench.work import ACCOUNT
from stepwell.core.steplog import iso
from stepwell.store.opening import open_store
from stepwell.store.operations import RegisterWorkflow
from tests import postgres

NOW = int(time.time() * 1000) - 100_000_000
_SEARCH = "/client/v4/accounts/local/stepwell/workflows/many/instances"
# A wait between two searches, so that they take turns with the rest.
_PAUSE_S = 0.01

_FILL = """
    insert into instances (
        account, workflow, id, version, status, trigger, seq, created_at, modified_at, started_at, ended_at, tx
    )
    select 'local', w.row, 'order-' || n, 'v' || (n % 50),
        case when n % 5 = 0 then 'errored' when n % 500 = 1 then 'terminated' else 'complete' end,
        case when n % 300 = 0 then 'cron' else 'api' end, 2, {now} + n * 10, {now} + n * 10, {now} + n * 10,
        {now} + n * 10 + n % 1000, 1
    from workflows as w, {numbers}
    where w.name = 'many'
    """
_LABELS = """
    insert into labels (instance, name, value, given, workflow, created_at)
    select row, {name}, {value}, '', workflow, created_at
    from instances
    """
_ERRORS = """
    insert into errors (instance, workflow, created_at, name, message)
    select row, workflow, created_at, 'E' || (row % 200), 'order ' || row || ' was refused by the bank'
    from instances
    where status = 'errored'
    """
_COUNTS = """
    insert into ended_counts (workflow, status, host, n)
    select workflow, status, 0, count(*)
    from instances
    group by workflow, status
    """


def filters(count: int) -> dict[str, dict[str, object]]:
    """Return what is searched for, by name: the parameters of a search over HTTP."""
    half = iso(NOW + count * 5)
    return {
        "nothing": {},
        "a status": {"status": "errored"},
        "a rare status": {"status": "terminated"},
        "three statuses": {"status": ["errored", "terminated", "running"]},
        "a frequent label": {"label": "env=prod"},
        "a rare label": {"label": "customer=c7"},
        "both labels": {"label": ["env=prod", "customer=c8"]},
        "a prefix of few": {"prefix": "order-12345"},
        "a prefix of many": {"prefix": "order-1"},
        "a version": {"version": "v7"},
        "a frequent trigger": {"trigger": "api"},
        "a rare trigger": {"trigger": "cron"},
        "an error": {"error": "E5"},
        "a frequent text": {"error_text": "refused"},
        "a rare text": {"error_text": f"order {count // 2} "},
        "a text that none has": {"error_text": "nobody has this"},
        "longer than few": {"duration_min": 998},
        "longer than many": {"duration_min": 500},
        "created in an hour": {"date_start": iso(NOW), "date_end": iso(NOW + 3_600_000)},
        "ended in a minute": {"ended_start": iso(NOW + 500_000), "ended_end": iso(NOW + 510_000)},
        "ended early, of many": {"ended_end": half},
        "label, error and duration": {"label": "env=prod", "error": "E10", "duration_min": 100},
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=200_000)
    # Of fewer, a p99 would be the slowest of all.
    parser.add_argument("--searches", type=int, default=300, help="of each filter (300)")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of a file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder, _store(Path(folder), options.postgres) as url:
        asyncio.run(register(url))
        fill(url, options.instances)
        work = Path(folder) / "work"
        work.mkdir()
        print(asyncio.run(measure(work, url, options.instances, options.searches)))


async def measure(folder: Path, url: str, instances: int, searches: int) -> str:
    """Search in a store while W1 runs; return what that took as a table."""
    took: dict[str, list[float]] = defaultdict(list)
    partial: dict[str, int] = defaultdict(int)
    found: dict[str, int] = {}
    bearer = f"authorization: Bearer {token(url)}\r\n"
    async with serving(folder, url) as (port, _):
        connection = await Connection.open(port, bearer)
        work = asyncio.create_task(_work(await Connection.open(port, bearer)))
        asked = {name: f"{_SEARCH}?{urlencode(given, doseq=True)}" for name, given in filters(instances).items()}
        for _ in range(searches):
            for name, path in asked.items():
                await asyncio.sleep(_PAUSE_S)
                start = time.perf_counter()
                body = await connection.ask("GET", path)
                took[name].append((time.perf_counter() - start) * 1000)
                answer = json.loads(body)
                partial[name] += answer["result_info"]["is_partial"]
                found[name] = len(answer["result"])
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        connection.close()
    lines = ["| filter | found | p50, ms | p99, ms | longest, ms | partial |", "|---|---|---|---|---|---|"]
    for name, times in took.items():
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
        share = f"{partial[name]} of {len(times)}"
        lines.append(f"| {name} | {found[name]} | {p50:.1f} | {p99:.1f} | {max(times):.1f} | {share} |")
    return "\n".join(lines)


async def _work(connection: Connection) -> None:
    """Run W1 again and again."""
    for number in itertools.count():
        for first in range(0, 1_000, 100):
            wanted = [{"instance_id": f"i{number}-{first + n}", "params": {"steps": 10}} for n in range(100)]
            await connection.ask("POST", f"{INSTANCES}/batch", json.dumps(wanted).encode())
        while True:
            found = json.loads(await connection.ask("GET", INSTANCES.removesuffix("/instances")))
            if found["result"]["instances"]["complete"] >= 1_000 * (number + 1):
                break
            await asyncio.sleep(0.1)


@contextmanager
def _store(folder: Path, on_a_server: bool) -> Iterator[str]:
    """Give the URL of an empty store."""
    if not on_a_server:
        yield f"sqlite:///{folder / 'filled.db'}"
        return
    server = postgres.Server()
    try:
        server.start(settings={"listen_addresses": ""})
        postgres.query(server.url, "create database stepwell_search")
        yield server.url.replace("/postgres?", "/stepwell_search?")
    finally:
        server.remove()


async def register(url: str) -> None:
    """Make the workflow `many` known in a store, which is made if there is none."""
    store = await asyncio.to_thread(open_store, url)
    await store.run(RegisterWorkflow(ACCOUNT, "many", "many", "Many", "aa", "w", "v", NOW))
    await store.close()


def fill(url: str, instances: int) -> None:
    """Write the instances, as quickly as a database can make them."""
    is_file = url.startswith("sqlite")
    counted = (
        f"(with recursive c (n) as (select 1 union all select n + 1 from c where n < {instances}) select n from c)"
    )
    numbers = counted if is_file else f"generate_series(1, {instances}) as n"
    statements = [
        _FILL.format(now=NOW, numbers=numbers),
        _LABELS.format(name="'env'", value="case when row % 10 = 0 then 'test' else 'prod' end"),
        _LABELS.format(name="'customer'", value="'c' || (row % 1000)"),
        _ERRORS,
        _COUNTS,
    ]
    if is_file:
        with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as connection:
            connection.execute(";".join(["begin", *statements, "commit"]))
        return
    for statement in (*statements, "vacuum analyze"):
        postgres.query(url, statement)


if __name__ == "__main__":
    main()
