"""Write what docs/internals.md shows of a store, from a store: `make reference`.

The page has the workflow and the questions: statements, and commands behind a `$`. A comment before a question names
the moment at which it is asked. An instance of the workflow goes through all of them here, on a clock that stands
still, and each question is asked of a copy of the store's file, as whoever looks into one would.
"""

import asyncio
import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest.mock import patch

import apsw
import msgspec

from stepwell import reasons
from stepwell.cli import times
from stepwell.cli.why import in_lines
from stepwell.limits import HIBERNATE_AFTER_MS
from stepwell.stalls import mend, take_census
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import TestEngine, TestInstance

PLACE = Path(__file__).parent.parent / "docs" / "internals.md"

_NOON = "2026-11-27T12:00:00Z"
_PATIENCE_S = 30
_HOUR_MS = 3_600_000
_TEN_MINUTES_MS = 600_000
_WHY = "stepwell instances why order order-1"
_DOCTOR = "stepwell doctor"

_WORKFLOW = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MOMENT = re.compile(r"^<!-- at: (.+) -->$", re.MULTILINE)
_STATEMENT = re.compile(r"^```sql\n(?P<asked>.*?)^```\n+```text\n(?P<answer>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^```console\n\$ (?P<asked>.*?)\n(?P<answer>.*?)^```$", re.MULTILINE | re.DOTALL)


def page() -> str:
    """Return the page with the answers that a store gives today."""
    text = PLACE.read_text("utf-8")
    moments = asyncio.run(_moments(text))
    head, *parts = re.split(r"(?=^<!-- at: )", text, flags=re.MULTILINE)
    return head + "".join(_answered(part, moments) for part in parts)


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(page(), encoding="utf-8")


class _Moment:
    """What a store has at one moment: a copy of its file, and what two commands say of it."""

    def __init__(self, file: bytes, said: Mapping[str, str]) -> None:
        self._file = file
        self._said = said

    def answer(self, asked: str) -> str:
        """Return what a command prints, or a statement in columns."""
        return self._said[asked] if asked in self._said else self._rows(asked)

    def _rows(self, statement: str) -> str:
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "stepwell.db"
            copy.write_bytes(self._file)
            with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
                found = connection.execute(statement)
                return "".join(_in_columns([[column[0] for column in found.description], *found.fetchall()]))


def _in_columns(rows: list[Any]) -> Iterator[str]:
    cells = [["NULL" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"


def _answered(part: str, moments: Mapping[str, _Moment]) -> str:
    named = _MOMENT.match(part)
    if named is None:
        raise ValueError(f"a comment that names no moment: {part[:60]!r}")
    moment = moments[named[1]]

    def answer(found: re.Match[str]) -> str:
        before, after = found["answer"], moment.answer(found["asked"])
        begin = found.start("answer") - found.start()
        return found[0][:begin] + after + found[0][begin + len(before) :]

    return _COMMAND.sub(answer, _STATEMENT.sub(answer, part))


class _Shop(ModuleType):
    """What the workflow imports: calls that begin, and last until they are let go on."""

    def __init__(self) -> None:
        super().__init__("shop")
        self._begun = asyncio.Event()
        self._gate = asyncio.Event()

    async def charge_card(self, cents: int) -> str:
        """Charge a card."""
        return await self._call(f"ch_{cents}")

    async def ship_parcel(self, paid: str) -> str:
        """Ship what was paid."""
        return await self._call(f"pa_{paid}")

    async def begun(self) -> None:
        """Wait until a call has begun."""
        await self._begun.wait()
        self._begun.clear()

    def let_go_on(self) -> None:
        """Let the call that has begun return."""
        self._gate.set()
        self._gate = asyncio.Event()

    async def _call(self, answer: str) -> str:
        self._begun.set()
        await self._gate.wait()
        return answer


async def _moments(text: str) -> dict[str, _Moment]:
    """Return what a store has at each moment, in the life of one instance of the page's workflow."""
    store = SqliteStore.in_memory()
    connection: apsw.Connection = store._shell._ledger._database.connection  # type: ignore[attr-defined]  # its own kind
    shop = _Shop()
    source = _WORKFLOW.search(text)
    if source is None:
        raise ValueError("the page has no workflow")
    moments = {}
    with _module("shop", shop), _module("order", ModuleType("order")) as order:
        exec(compile(source[1], "order.py", "exec"), vars(order))  # noqa: S102 - our own page
        async with TestEngine.open([order.Order], store=store, now=_NOON) as engine:
            # What never comes is an error, and no tool that hangs.
            async with asyncio.timeout(_PATIENCE_S):
                async for name in _life(engine, connection, shop):
                    moments[name] = await _look(engine, connection)
    await store.close()
    return moments


@contextmanager
def _module(name: str, module: ModuleType) -> Iterator[ModuleType]:
    with patch.dict(sys.modules, {name: module}):
        yield module


async def _life(engine: TestEngine, connection: apsw.Connection, shop: _Shop) -> AsyncIterator[str]:
    """Lead an instance from its creation to its end; yields each moment that is to be looked at."""
    await engine.crash()
    order = await engine.create("order", id="order-1", params={"cents": 4200})
    yield "created"
    await engine.start_worker()
    await _in_flight(connection, shop, 1)
    yield "charging"
    shop.let_go_on()
    await engine.run_until_idle()
    yield "waiting"
    await order.send_event("approved", {"by": "ann"})
    yield "approved"
    await engine.run_until_idle()
    yield "cooling down"
    connection.execute("update instances set due_at = null")
    engine.clock.move_to(engine.clock.now() + _TEN_MINUTES_MS)
    yield "emptied by hand"
    for wrong in (await take_census(engine.store, engine.clock.now(), HIBERNATE_AFTER_MS)).wrong:
        await mend(engine.store, wrong, engine.clock.now())
    engine.clock.move_to(engine.clock.now() + _HOUR_MS - _TEN_MINUTES_MS)
    await _in_flight(connection, shop, 2)
    await engine.crash()
    yield "killed"
    await engine.start_worker()
    await _in_flight(connection, shop, 3)
    yield "taken up"
    shop.let_go_on()
    await engine.run_until_idle()
    yield "complete"


async def _in_flight(connection: apsw.Connection, shop: _Shop, attempts: int) -> None:
    """Wait until so many attempts have begun in all, and the last of them is on record."""
    await shop.begun()
    begun = "select count(*) from records where kind = 'attempt_started'"
    while connection.execute(begun).get < attempts:  # noqa: ASYNC110 - a file tells nobody what is written
        await asyncio.sleep(0.005)


async def _look(engine: TestEngine, connection: apsw.Connection) -> _Moment:
    now = engine.clock.now()
    instance = engine.instance("order", "order-1")
    census = await take_census(engine.store, now, HIBERNATE_AFTER_MS)
    wrong = [f"warning  instances  {one.said}; {one.remedy}\n" for one in census.wrong]
    return _Moment(connection.serialize("main"), {_WHY: await _why(instance, now), _DOCTOR: "".join(wrong)})


async def _why(instance: TestInstance, now: int) -> str:
    shown = msgspec.to_builtins(reasons.instance_why(await instance.why()))
    with patch.object(times, "datetime", _clock_at(now)):
        return "".join(f"{line}\n" for reason in shown["reasons"] for line in in_lines(reason))


def _clock_at(now: int) -> type[datetime]:
    """Return a `datetime` whose `now` is this moment."""

    class Still(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Still":
            return cls.fromtimestamp(now / 1000, tz or UTC)

    return Still


if __name__ == "__main__":
    write()
