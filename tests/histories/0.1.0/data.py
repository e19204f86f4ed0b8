"""Data: many parts loaded side by side, a nightly report, and a table that moves while it is used."""

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypedDict
from uuid import NAMESPACE_URL, UUID, uuid5

from stepwell import StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep, WorkflowTimeoutError
from stepwell import step as durable

# ---- many parts


class Dump(TypedDict):
    table: str
    parts: int
    corrupt: list[int]


@dataclass(frozen=True)
class Part:
    number: int
    rows: int
    checksum: bytes


class CorruptPart(Exception):
    """A part whose rows cannot be read."""

    def __init__(self, number: int, line: int) -> None:
        super().__init__(f"part {number} breaks off in line {line}")
        self.number = number
        self.line = line


class PartsLoad(WorkflowEntrypoint[Dump]):
    """Load all parts of a dump at the same time; those that cannot be read are set aside, and the rest is added up."""

    async def run(self, event: WorkflowEvent[Dump], step: WorkflowStep) -> dict[str, Any]:
        dump, once = event.payload, {"dont_retry_on": CorruptPart}
        loads = (
            step.do(f"load part {number}", self.load, dump["table"], number, number in dump["corrupt"], config=once)
            for number in range(dump["parts"])
        )
        results = await asyncio.gather(*loads, return_exceptions=True)
        loaded = [part for part in results if isinstance(part, Part)]
        corrupt = {part.number: part.line for part in results if isinstance(part, CorruptPart)}
        if len(loaded) + len(corrupt) < len(results):
            raise next(e for e in results if isinstance(e, BaseException) and not isinstance(e, CorruptPart))
        rows, checksum = await step.do("add up", self.add_up, loaded)
        if corrupt:
            await step.do("set aside", self.set_aside, corrupt)
        return {"rows": rows, "checksum": checksum, "corrupt": corrupt}

    async def load(self, table: str, number: int, is_corrupt: bool) -> Part:
        if is_corrupt:
            raise CorruptPart(number, line=number * 7)
        return Part(number, 1000 + number, hashlib.sha256(f"{table}/{number}".encode()).digest()[:4])

    def add_up(self, parts: list[Part]) -> tuple[int, str]:
        together = hashlib.sha256(b"".join(part.checksum for part in parts))
        return sum(part.rows for part in parts), together.hexdigest()[:8]

    async def set_aside(self, corrupt: dict[int, int]) -> list[str]:
        return [f"quarantine/{number}" for number in corrupt]


# ---- a nightly report


REGIONS = {"north": "1204.50", "south": "990.00", "overseas": "310.25"}


@dataclass(frozen=True)
class Figures:
    region: str
    revenue: Decimal
    closed_at: time


@dataclass
class Report:
    id: UUID
    day: date
    rows: dict[str, Decimal]
    profit: Decimal
    sent_to: set[str] = field(default_factory=set)


def next_morning(now: datetime) -> datetime:
    """Return six o'clock of the next day."""
    return datetime.combine(now.date() + timedelta(days=1), time(6), now.tzinfo)


class NightlyReport(WorkflowEntrypoint):
    """Take in the figures of the regions as they close, convert and compare them, and send the report at six."""

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> Report:
        day = event.timestamp.date()
        rows: dict[str, Decimal] = {}
        for closing in asyncio.as_completed([self.figures(region, step) for region in REGIONS]):
            figures = await closing
            rows[figures.region] = figures.revenue
            await step.set_progress({"in": sorted(rows), "last": figures.closed_at.isoformat()})

        @step.do
        def rate() -> Decimal:
            return Decimal("0.5")

        @step.do
        async def costs() -> dict[str, Decimal]:
            return {region: revenue / 2 for region, revenue in rows.items()}

        @step.do(concurrent=True)
        async def profit(rate: Decimal, costs: dict[str, Decimal]) -> Decimal:
            in_euros = {region: rate if region == "overseas" else Decimal(1) for region in rows}
            return sum(((rows[region] - costs[region]) * in_euros[region] for region in rows), Decimal())

        @step.do("write the report")
        async def written(profit: Decimal) -> Report:
            return Report(uuid5(NAMESPACE_URL, f"report/{day}"), day, rows, profit.quantize(Decimal("0.01")))

        report = await written()
        await step.sleep_until("six o'clock", await step.do("when to send", next_morning, event.timestamp))
        return await step.do("send", self.send, report)

    async def figures(self, region: str, step: WorkflowStep) -> Figures:
        """Return what a region has sold, when its shops have closed."""
        hours = await step.do(f"opening hours of {region}", self.hours_until_closing, region)
        await step.sleep(f"{region} is open", hours)
        return await step.do(f"figures of {region}", self.read_figures, region, hours)

    def hours_until_closing(self, region: str) -> timedelta:
        return timedelta(hours=1 + len(region) % 4)

    async def read_figures(self, region: str, hours: timedelta) -> Figures:
        return Figures(region, Decimal(REGIONS[region]), time(17 + hours // timedelta(hours=1)))

    async def send(self, report: Report) -> Report:
        report.sent_to |= {"board@example.com", "ops@example.com"}
        return report


# ---- a table that moves


COPYING = {
    "retries": {"limit": 60, "delay": "10 seconds", "backoff": "constant"},
    "timeout": "12 hours",
    "heartbeat": "5 minutes",
}


class ConnectionDropped(ConnectionError):
    """The old database has had enough of the connection."""


class RowDiffers(Exception):
    """A row is not the same in both tables."""

    def __init__(self, shard: int, row: int) -> None:
        super().__init__(f"row {row} of shard {shard} differs")
        self.shard = shard
        self.row = row


@dataclass(frozen=True)
class Cursor:
    """The last row that was copied, and how many were before it."""

    row: int
    copied: int


@dataclass
class Move:
    table: str
    shards: dict[str, int]
    differing: list[list[int]]


@durable(name="copy a shard", config=COPYING)
def copy_shard(shard: int, rows: int, ctx: StepContext) -> int:
    """Copy a shard in batches of ten rows, from where the last connection was dropped."""
    cursor = ctx.heartbeat_details or Cursor(row=0, copied=0)
    for batch in range(3):
        if cursor.copied == rows or ctx.cancelled:
            break
        size = min(10, rows - cursor.copied)
        cursor = Cursor(cursor.row + size, cursor.copied + size)
        ctx.heartbeat(cursor)
        if batch == 2 and cursor.copied < rows:
            raise ConnectionDropped(f"in shard {shard} at row {cursor.row}")
    return cursor.copied


class Migration(WorkflowEntrypoint[Move]):
    """Copy a table shard by shard, compare and repair it, and change over when somebody says so, or not at all."""

    async def run(self, event: WorkflowEvent[Move], step: WorkflowStep) -> dict[str, Any]:
        move, copied = event.payload, 0
        await step.do("write to both", self.write_to_both, move.table)
        for shard, rows in move.shards.items():
            copied += await copy_shard(int(shard), rows)
            await step.set_progress({"copied": copied, "of": sum(move.shards.values())})
        repaired = await self.repair(move, step)
        try:
            said = await step.wait_for_event("permission to change over", "change-over", timeout="7 days")
        except WorkflowTimeoutError:
            await step.do("drop the copy", self.drop_copy, move.table)
            return {"moved": False, "copied": copied, "repaired": repaired}
        await step.do("read from the copy", self.read_from_copy, move.table)
        await step.sleep("keep the old table for a while", "30 days")
        return {"moved": True, "copied": copied, "repaired": repaired, "permitted_by": said["payload"]["by"]}

    async def repair(self, move: Move, step: WorkflowStep) -> list[str]:
        """Compare both tables and repair the rows that differ."""
        differing: list[RowDiffers] = []
        try:
            await step.do("compare", self.compare, move.differing, config={"dont_retry_on": RowDiffers})
        except* RowDiffers as found:
            differing += [error for error in found.exceptions if isinstance(error, RowDiffers)]
        return [await step.do(f"repair {e.shard}/{e.row}", self.repair_row, e.shard, e.row) for e in differing]

    async def compare(self, differing: list[list[int]]) -> None:
        if differing:
            raise ExceptionGroup("the tables differ", [RowDiffers(shard, row) for shard, row in differing])

    async def repair_row(self, shard: int, row: int) -> str:
        return f"{shard}/{row}"

    async def write_to_both(self, table: str) -> str:
        return f"trigger on {table}"

    async def read_from_copy(self, table: str) -> str:
        return f"{table} is a view of {table}_new"

    async def drop_copy(self, table: str) -> str:
        return f"dropped {table}_new"
