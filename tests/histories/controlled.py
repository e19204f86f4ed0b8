"""Workflows whose histories have what realistic ones rarely meet: rollbacks, children, streams, control, decisions."""

import asyncio
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from stepwell import NonRetryableError, WorkflowEntrypoint

ONCE = {"retries": {"limit": 0, "delay": 0}}


class Colour(enum.Enum):
    """An enum that a step returns."""

    RED = "red"


@dataclass
class Box:
    """A class that a step returns."""

    colour: Colour
    sizes: tuple[int, ...]
    made: datetime


class Refused(LookupError):
    """An error with attributes of its own."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Values(WorkflowEntrypoint):
    """Results of every kind that can be stored, and errors that are caught by their class."""

    async def run(self, event, step):
        async def box():
            return Box(Colour.RED, (1, 2), datetime(2026, 1, 2, tzinfo=UTC))

        async def many():
            return {"bytes": b"\x00\xff", "set": {1, 2}, "money": Decimal("1.10"), "span": timedelta(seconds=5)}

        async def large():
            return "ä" * 6_000

        async def refuses():
            raise Refused("no more")

        async def gives_up():
            raise NonRetryableError("never", "Never")

        made = await step.do("box", box)
        found = await step.do("many", many)
        long = await step.do("large", large)
        met: list[str] = []
        try:
            await step.do("refuse", refuses, config=ONCE)
        except Refused as error:
            met.append(error.what)
        try:
            await step.do("give up", gives_up)
        except NonRetryableError as error:
            met.append(str(error))
        return {
            "colour": made.colour.value,
            "sizes": list(made.sizes),
            "day": date(made.made.year, made.made.month, made.made.day).isoformat(),
            "bytes": len(found["bytes"]),
            "money": str(found["money"]),
            "long": len(long),
            "met": met,
            "sum": sum(found["set"]),
        }


class Trip(WorkflowEntrypoint):
    """Three steps with rollbacks, the last of which fails; its rollback fails at first, too."""

    async def run(self, event, step):
        async def book(what):
            if what == "car":
                raise Refused("no car")
            return f"{what} booked"

        async def undo(ctx):
            if ctx["attempt"] == 1 and ctx["step_name"] == "hotel":
                raise ValueError("the line is busy")

        for what in ("flight", "hotel", "car"):
            await step.do(what, book, what, config=ONCE, rollback=undo)


class Shipping(WorkflowEntrypoint):
    """A child: it naps, and returns a set."""

    async def run(self, event, step):
        await step.sleep("nap", "1 minute")
        return {"shipped", event["payload"]["to"]}


class Order(WorkflowEntrypoint):
    """Awaits a child, and does something with what it returns."""

    async def run(self, event, step):
        shipped = await step.child("ship", self.env.SHIPPING, {"to": "Graz"})

        async def note():
            return sorted(shipped)

        return await step.do("note", note)


class Export(WorkflowEntrypoint):
    """A step that returns a stream, and others that read it."""

    async def run(self, event, step):
        async def rows() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d\n" % number * 70_000

        async def write():
            return rows()

        async def count(stream):
            size = 0
            async for part in stream:
                size += len(part)
            return size

        written = await step.do("write", write)
        counted = await step.do("count", count, written)
        await step.sleep("nap", "1 hour")
        return [counted, await step.do("count", count, written)]


class Nested(WorkflowEntrypoint):
    """Steps in steps, races, time-outs of the author's, cancelled calls, retries with a growing delay."""

    async def run(self, event, step):
        async def inner():
            return 1

        async def outer():
            first = await step.do("inner", inner)
            await step.sleep("short", 2_000)
            return first + await step.do("inner", inner)

        async def flaky(ctx):
            if ctx["attempt"] < 3:
                raise ValueError(f"attempt {ctx['attempt']}")
            return ctx["attempt"]

        async def for_ever():
            await asyncio.Event().wait()

        total = await step.do("outer", outer)
        tries = await step.do(
            "flaky", flaky, config={"retries": {"limit": 5, "delay": "10 seconds", "backoff": "exponential"}}
        )
        naps = [asyncio.ensure_future(step.sleep(f"nap {n}", f"{n} minutes")) for n in (3, 1, 2)]
        done, pending = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        for nap in pending:
            nap.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        stopped = asyncio.ensure_future(step.do("for ever", for_ever))
        await step.sleep("a while", "5 seconds")
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        return [total, tries, len(done), len(pending)]


class Waits(WorkflowEntrypoint):
    """Waits and steps that others decide about: by events, by hand, by a pause, by a restart."""

    async def run(self, event, step):
        async def work(what):
            return f"{what} done"

        async def fails():
            raise ValueError("as always")

        met: list[Any] = [await step.do("first", work, "first")]
        met.append((await step.wait_for_event("approval", "approved", timeout="1 day"))["payload"])
        met.append(await step.do("stuck", fails, config={"retries": {"limit": 5, "delay": "1 hour"}}))
        await step.sleep("long nap", "30 days")
        met.append(await step.do("last", work, "last"))
        return met
