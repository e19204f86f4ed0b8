"""The workflows of the scenario of crash points: together they do all that an instance can do.

Nothing of them depends on how many attempts there were, as a lost one counts: what fails does so until a moment.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from stepwell import Flow, NonRetryableError, SharedLimit, WorkflowEntrypoint, WorkflowTimeoutError
from stepwell.errors import ChildFailed

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000
PATIENT = {"retries": {"limit": 100, "delay": MINUTE_MS, "backoff": "constant"}, "timeout": "1 day"}
IMPATIENT = PATIENT | {"timeout": MINUTE_MS}
EVERY_HOUR = "0 * * * *"
# What has no room beside a record.
LARGE = "x" * 10_000


class World:
    """What lies outside of the engine and outlasts it. `now` is set by whoever has a clock."""

    now: Callable[[], int]

    def __init__(self) -> None:
        self.now = lambda: START_MS
        # How often the body of each step of each instance has returned.
        self.returned: Counter[tuple[str, str]] = Counter()
        self._gates: dict[str, asyncio.Event] = {}

    def gate(self, name: str) -> asyncio.Event:
        """Return what bodies of steps wait for until somebody sets it."""
        return self._gates.setdefault(name, asyncio.Event())

    def is_closed(self, minutes: float) -> bool:
        """Tell whether it is still before a moment, in minutes since the start."""
        return self.now() < START_MS + minutes * MINUTE_MS


class Worldly(WorkflowEntrypoint):
    """A workflow whose bodies tell the world that they have returned."""

    world: World

    def body(self, event, name, value=None, *, closed=0.0, gate=None):
        """Return a body that returns a value; before a moment it fails, and before a gate is open it waits."""

        async def body():
            if gate is not None:
                await self.world.gate(gate).wait()
            if self.world.is_closed(closed):
                raise ConnectionError(f"{name} is closed")
            self.world.returned[event["instanceId"], name] += 1
            return value

        return body


class Order(Worldly):
    """Does what a step can do, and waits in every way."""

    async def run(self, event, step):
        told = [await step.do("charge", self.body(event, "charge", {"paid": 3}, closed=0.5), config=PATIENT)]
        told.append(await step.do("scan", self._scan, config=IMPATIENT))
        told.append(len(await step.do("print", self.body(event, "print", LARGE))))
        told.append(await self._nest(event, step))
        told.append(await asyncio.gather(*(step.do(name, self.body(event, name, name)) for name in ("a", "b", "a"))))
        try:
            await step.do("decline", self._decline)
        except NonRetryableError as error:
            told.append(str(error))
        told.append(await self._waits(step))
        stream = await step.do("letters", self._letters)
        told.append((await stream.read()).decode())
        told.append(step.patched("new way"))
        step.log("nearly done")
        await step.set_labels({"stage": "late"})
        await step.set_progress({"percent": 90})
        told.append(await self._race(event, step))
        return told

    async def _scan(self):
        if self.world.is_closed(3):
            await asyncio.Event().wait()
        return "scanned"

    async def _decline(self):
        raise NonRetryableError("declined")

    async def _letters(self) -> AsyncIterator[bytes]:
        for letter in (b"a", b"b" * 300_000):
            yield letter

    async def _nest(self, event, step):
        @step.do("outer", config=PATIENT)
        async def outer():
            inner = await step.do("inner", self.body(event, "inner", "in"))
            await step.sleep("inner nap", MINUTE_MS)
            return [inner, "out"]

        return await outer()

    async def _waits(self, step):
        await step.sleep("nap", 10 * MINUTE_MS)
        await step.sleep_until("until", datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(minutes=30))
        early = await step.wait_for_event("early", "early")
        late = await step.wait_for_event("late", "late", timeout="1 day")
        try:
            await step.wait_for_event("never", "never", timeout=5 * MINUTE_MS)
        except WorkflowTimeoutError as error:
            return [early["payload"], len(late["payload"]), str(error)]

    async def _race(self, event, step):
        slow = asyncio.create_task(step.sleep("slow", "30 days"))
        fast = await step.do("fast", self.body(event, "fast", "fast"))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        return fast


class Parcel(Worldly):
    """Is sent as somebody's child, or by itself."""

    async def run(self, event, step):
        await step.do("send", self.body(event, "send"), rollback=_no_undo)
        match event["payload"]:
            case {"nap": minutes}:
                await step.sleep("nap", minutes * MINUTE_MS)
            case {"fails": text}:
                raise LookupError(text)
        return "sent"


async def _no_undo() -> None:
    pass


class Family(Worldly):
    """Awaits its children: one that gets through, one that fails, and one that ends with it."""

    async def run(self, event, step):
        told = [await step.child("good", self.env.PARCEL, {"nap": 3})]
        try:
            await step.child("bad", self.env.PARCEL, {"fails": "lost"})
        except ChildFailed as error:
            told.append(str(error.__cause__))
        await step.do("told", self.body(event, "told", told))
        return await step.child("last", self.env.PARCEL, {"nap": 100_000})


class Trip(Worldly):
    """Books, fails, and is rolled back, which fails too for a while; or sleeps until it is terminated."""

    async def run(self, event, step):
        await step.do("flight", self.body(event, "flight", "LH 1"), rollback=self._undo_flight(event))
        await step.do("hotel", self.body(event, "hotel", "Ritz"), rollback=self._undo_hotel, rollback_config=PATIENT)
        if event["payload"].get("naps"):
            await step.sleep("nap", "300 days")
        raise ValueError("no car")

    def _undo_flight(self, event):
        minutes = event["payload"].get("closed", 0)

        async def undo(context):
            if self.world.is_closed(minutes):
                raise NonRetryableError(f"{context.output} stays")

        return undo

    async def _undo_hotel(self, context):
        if self.world.is_closed(0.5):
            raise ConnectionError("nobody answers")


class Desk(Worldly):
    """Has a step that shares a limit; it stays at the desk until the gate is open."""

    flow = Flow(shared={"desk": SharedLimit(1)})

    async def run(self, event, step):
        gate = event["payload"].get("gate", "desk")
        return await step.do("work", self.body(event, "work", "did", gate=gate), limit="desk", config=PATIENT)


class Single(Worldly):
    """One runs at a time; all sleep first, and queue to go on."""

    flow = Flow(limit=1)

    async def run(self, event, step):
        await step.sleep("nap", MINUTE_MS // 2)
        return await step.do("work", self.body(event, "work", "did", gate="single"), config=PATIENT)


class Keyed(Worldly):
    """One of each customer runs at a time."""

    flow = Flow(key="customer", limit_per_key=1)

    async def run(self, event, step):
        return await step.do("work", self.body(event, "work", "did"))


class Report(Worldly):
    """Is made by a schedule."""

    schedules = EVERY_HOUR

    async def run(self, event, step):
        return (event["schedule"] or {}).get("cron")


class Stuck(Worldly):
    """Has a step, a nap and a wait that somebody decides by hand, and one that is tried again by hand."""

    async def run(self, event, step):
        told = [await step.do("ask", self.body(event, "ask", gate="never"), config=PATIENT)]
        try:
            await step.do("judge", self.body(event, "judge", gate="never"), config=PATIENT)
        except ValueError as error:
            told.append(str(error))
        await step.sleep("nap", "300 days")
        told.append((await step.wait_for_event("wait", "word", timeout="300 days"))["payload"])
        again = PATIENT | {"retries": {"limit": 9, "delay": "300 days", "backoff": "constant"}}
        told.append(await step.do("again", self.body(event, "again", "yes", closed=80), config=again))
        return told


class Sleeper(Worldly):
    """Sleeps for long between two steps: what is controlled, moved, and found by jobs."""

    async def run(self, event, step):
        before = await step.do("before", self.body(event, "before", 1))
        await step.sleep("nap", (event["payload"] or {}).get("nap", 60) * MINUTE_MS)
        return [before, await step.do("after", self.body(event, "after", 2))]


class Brief(Worldly):
    """Ends at once; it is deleted with its workflow, or when its retention is over."""

    async def run(self, event, step):
        return await step.do("work", self.body(event, "work", LARGE))


WORKFLOWS = (Order, Parcel, Family, Trip, Desk, Single, Keyed, Report, Stuck, Sleeper, Brief)
