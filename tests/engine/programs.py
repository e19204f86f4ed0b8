"""Random programs: a tree that one workflow interprets.

The output of a program is a function of the program alone: values name the place in the program that they come
from, so a result that reaches the wrong call is seen; and a race is one that only one side can win. Names are few, so
that branches collide.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

from stepwell import WorkflowEntrypoint
from stepwell.core.records import Key, StepKind
from stepwell.errors import AuthorError, SleepInThePast, WorkflowTimeoutError
from tests.engine.ways import Job, Sending

A = TypeVar("A")

DAY_MS = 86_400_000
# A crash loses attempts, and what is lost counts; here it must not end a step.
RETRIES = {"limit": 3, "delay": 1000, "backoff": "constant"}


@dataclass(frozen=True)
class Work:
    """A step that fails a few times, does what is inside it, and then returns its place or fails for good.

    `limit` is one that it shares with other steps.
    """

    place: int
    name: str
    failures: int = 0
    succeeds: bool = True
    size: int = 0
    limit: str | None = None


class Interpreter(WorkflowEntrypoint):
    """Runs the program that it gets as its params."""

    # Is told of each body that runs, before it does anything.
    witness: Callable[[Key], None] = print

    async def run(self, event, step):
        self.created = event["timestamp"]
        self.step = step
        return await self.do(event["payload"])

    async def do(self, node: list[Any]) -> Any:
        kind, *rest = node
        return await getattr(self, kind)(*rest)

    async def seq(self, *nodes):
        return [await self.do(node) for node in nodes]

    async def loop(self, times, node):
        return [await self.do(node) for _ in range(times)]

    async def work(self, said, *inner):
        work = Work(**said)

        @self.step.do(work.name, config={"retries": RETRIES, "timeout": "1 year"}, limit=work.limit)
        async def body(ctx):
            type(self).witness(Key(StepKind.DO, ctx["step"]["name"], ctx["step"]["count"]))
            await self.labour(work, ctx)
            results = [await self.do(node) for node in inner]
            if ctx["attempt"] <= work.failures:
                raise ValueError("not yet")
            if not work.succeeds:
                raise KeyError("never")
            return [work.place, "x" * work.size, results]

        try:
            return await body()
        except KeyError as error:
            return [work.place, repr(error)]

    async def labour(self, work: Work, ctx: Any) -> None:
        """Do what a body takes time for: nothing."""

    async def gather(self, *nodes):
        return await asyncio.gather(*(self.do(node) for node in nodes))

    async def as_completed(self, *nodes):
        return sorted([str(await result) for result in asyncio.as_completed([self.do(node) for node in nodes])])

    async def group(self, *nodes):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.do(node)) for node in nodes]
        return [task.result() for task in tasks]

    async def failing_group(self, name, *nodes):
        @self.step.do(name, config={"retries": {"limit": 0, "delay": 0}, "timeout": "1 year"})
        async def fails():
            raise LookupError(name)

        try:
            async with asyncio.TaskGroup() as group:
                for node in nodes:
                    group.create_task(self.do(node))
                group.create_task(fails())
        except ExceptionGroup as errors:
            return [repr(error) for error in errors.exceptions]

    async def race(self, fast, slow):
        racers = [asyncio.create_task(self.do(slow)), asyncio.create_task(self.do(fast))]
        done, pending = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return [task.result() for task in done]

    async def in_time(self, node):
        async with asyncio.timeout(30):
            return await self.do(node)

    async def too_late(self, name):
        @self.step.do(name)
        async def hangs():
            await asyncio.Event().wait()

        try:
            async with asyncio.timeout(0.002):
                await hangs()
        except TimeoutError:
            return "too late"

    async def depends(self, place, name):
        @self.step.do(name)
        async def first():
            return [place, 1]

        @self.step.do(depends=[first])
        async def second(one):
            return [one, 2]

        @self.step.do(depends=[first, second], concurrent=True)
        async def third(one, two, ctx):
            return [one, two, ctx["step"]["name"]]

        return await third()

    async def sleep(self, name, ms):
        await self.step.sleep(name, ms)

    async def sleep_until(self, name, days):
        try:
            await self.step.sleep_until(name, self.created + timedelta(days=days))
        except SleepInThePast:
            return "over"

    async def wait(self, name, event_type, times):
        return [(await self.step.wait_for_event(name, event_type))["payload"] for _ in range(times)]

    async def wait_in_vain(self, name):
        try:
            await self.step.wait_for_event(name, "never", timeout="30 days")
        except WorkflowTimeoutError as error:
            return str(error)

    async def refused(self, name):
        async def body():
            raise AssertionError

        refusals: list[Callable[[], Awaitable[Any]]] = [
            self.step.do(name, config={"timeout": "soon"})(body),
            lambda: self.step.sleep(name, "soon"),
            lambda: self.step.sleep_until(name, 0),
            lambda: self.step.wait_for_event(name, "no.dots"),
        ]
        messages = []
        for refusal in refusals:
            try:
                await refusal()
            except AuthorError as error:
                messages.append(type(error).__name__)
        return messages


class Choices(Protocol):
    """What a program is drawn with."""

    def one_of(self, among: Sequence[A]) -> A:
        """Choose one."""

    def number(self, least: int, most: int) -> int:
        """Choose a whole number; both bounds are included."""


class _Hypothetical:
    """Lets hypothesis choose."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one_of(self, among: Sequence[A]) -> A:
        return self._draw(st.sampled_from(among))

    def number(self, least: int, most: int) -> int:
        return self._draw(st.integers(least, most))


class _Drawing:
    """Draws a program. Each event type is waited for in one place, so that no wait takes another's event."""

    def __init__(self, choices: Choices) -> None:
        self.choose = choices
        self.sendings: list[Sending] = []
        self._places = 0

    def nodes(self, depth: int) -> list[Any]:
        return [self.node(depth) for _ in range(self.choose.number(1, 3))]

    def node(self, depth: int) -> list[Any]:
        name = self.choose.one_of("aab")
        if depth == 0 or self.choose.one_of([False, True]):
            leaves = (self.work, self.work, self.sleep, self.sleep_until, self.wait, self.other_leaf)
            leaf: Callable[..., list[Any]] = self.choose.one_of(leaves)
            return leaf(name)
        branches = (self.nest, self.nest, self.race, self.in_time, self.loop, self.failing_group, self.other_branch)
        branch: Callable[..., list[Any]] = self.choose.one_of(branches)
        return branch(name, depth - 1)

    def place(self) -> int:
        self._places += 1
        return self._places

    def work(self, name: str) -> list[Any]:
        return self.nest(name)

    def sleep(self, name: str) -> list[Any]:
        return ["sleep", name, self.choose.one_of([0, 500, 5000, DAY_MS])]

    def sleep_until(self, name: str) -> list[Any]:
        # Never at a moment at which something else ends too.
        return ["sleep_until", name, self.choose.one_of([45, 300]) + self.place() / 77]

    def wait(self, name: str) -> list[Any]:
        event_type, times = f"type{self.place()}", self.choose.number(1, 2)
        is_late = self.choose.one_of([False, True])
        self.sendings += [Sending(event_type, [event_type, i], is_late) for i in range(times)]
        return ["wait", name, event_type, times]

    def other_leaf(self, name: str) -> list[Any]:
        kind = self.choose.one_of(["wait_in_vain", "refused", "too_late", "depends"])
        return [kind, self.place(), name] if kind == "depends" else [kind, name]

    def nest(self, name: str, depth: int | None = None) -> list[Any]:
        failures = self.choose.one_of([0, 0, 1, 2])
        succeeds = self.choose.one_of([True, True, True, False])
        work = Work(self.place(), name, failures, succeeds, self.choose.one_of([0, 0, 5000]))
        return ["work", asdict(work), *(self.nodes(depth) if depth is not None else [])]

    def quick(self, name: str) -> list[Any]:
        return ["work", asdict(Work(self.place(), name))]

    def in_time(self, name: str, depth: int) -> list[Any]:
        return ["in_time", ["gather", *(self.quick(name) for _ in range(self.choose.number(1, 3)))]]

    def loop(self, name: str, depth: int) -> list[Any]:
        return ["loop", self.choose.number(2, 3), self.work(name)]

    def race(self, name: str, depth: int) -> list[Any]:
        late: list[Any] = ["sleep", name, 200 * DAY_MS]
        long = ["seq", late, *self.nodes(depth)]
        vain = ["wait_in_vain", name]
        losers = [long, vain, ["gather", long, vain], ["seq", late, ["too_late", name]]]
        return ["race", self.quick(name), self.choose.one_of(losers)]

    def failing_group(self, name: str, depth: int) -> list[Any]:
        return ["failing_group", name, *self.nodes(depth)]

    def other_branch(self, name: str, depth: int) -> list[Any]:
        return [self.choose.one_of(["gather", "group", "seq", "as_completed"]), *self.nodes(depth)]


def draw_program(choices: Choices, depth: int) -> Job:
    """Return a program with its events; `depth` bounds how deep it is nested."""
    drawing = _Drawing(choices)
    tree = ["seq", *drawing.nodes(depth)]
    return Job(Interpreter, tree, drawing.sendings)


@st.composite
def programs(draw: st.DrawFn, depth: int) -> Job:
    """Return a random program with its events; `depth` bounds how deep it is nested."""
    return draw_program(_Hypothetical(draw), depth)
