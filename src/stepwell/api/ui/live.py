"""What changes, as the dashboard hears it: names of topics, at most so often, and never what they hold.

Topics are `overview`, `workflow:NAME` and `instance:NAME/ID`, each part percent-encoded. Whoever hears of one asks the
API what it is now. So nothing can be told twice or in the wrong order, and a slow reader holds back nobody: for each
client there is a set of topics, however much happens.

Each event has a mark as its id. A page that comes with the mark it had before it read something is told by `hello`
whether anything has changed since: else it need not read it again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import unquote

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api.changes import ChangeCount
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.api.streams import SIGN_OF_LIFE_S, Place, Stream, Streams
from stepwell.engine import Engine
from stepwell.errors import InstanceNotFound, WorkflowNotFound
from stepwell.store.operations import GetInstance, InstanceRow

MOST_TOPICS = 8
# How long after a change the next is told, at least; and how often in a second pages are told of any, however many are
# open: each reads again then, and is answered in the process that writes everybody's steps.
LIST_S = 1.0
LISTS_A_SECOND = 50
INSTANCE_S = 0.1
INSTANCES_A_SECOND = 500
# A page that comes back shows its session again: one whose token was revoked hears no more.
LONGEST_S = 600.0

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "x-accel-buffering": "no"}


@dataclass(frozen=True, slots=True)
class Topics:
    """What a page wants to hear of: lists, by their topics, and one instance, by its own and what that names."""

    lists: tuple[str, ...]
    instances: tuple[tuple[str, str, str], ...]


@dataclass(slots=True)
class _Changes:
    """The topics that have changed and were not told yet. `lists` change with anything that does.

    `streams` are those of all pages. `stops` end what the store tells of instances.
    """

    lists: tuple[str, ...]
    count: ChangeCount
    streams: Streams
    stops: list[Callable[[], None]] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)
    told_at: dict[str, float] = field(default_factory=dict)
    has_some: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, *topics: str) -> None:
        self.waiting.update(topics)
        self.has_some.set()

    def list_changed(self) -> None:
        self.add(*self.lists)

    def end(self) -> None:
        self.count.forget(self.list_changed)
        while self.stops:
            self.stops.pop()()
        self.over.set()
        self.has_some.set()

    async def next(self) -> list[str]:
        """Return topics to tell, when there are some; none when it is over. Nothing is lost by a cancellation."""
        time = asyncio.get_running_loop().time
        while not self.over.is_set():
            if not self.waiting:
                self.has_some.clear()
                await self.has_some.wait()
            elif ready := [topic for topic in self.waiting if self._at(topic) <= time()]:
                self.waiting.difference_update(ready)
                self.told_at |= dict.fromkeys(ready, time())
                if self.lists and not self.waiting.intersection(self.lists):
                    # Until now it was known that they have to be told; a busy store need not say it again each time.
                    self.count.wait(self.list_changed)
                return sorted(ready)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(map(self._at, self.waiting))):
                        await self.over.wait()
        return []

    def _at(self, topic: str) -> float:
        return self.told_at.get(topic, 0) + pause_s(is_list=topic in self.lists, pages=self.streams.count)


def pause_s(*, is_list: bool, pages: int) -> float:
    """Return how long after a change the next one is told of a topic, with so many pages open, in seconds."""
    return max(LIST_S, pages / LISTS_A_SECOND) if is_list else max(INSTANCE_S, pages / INSTANCES_A_SECOND)


async def stream_changes(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the topics that change, as Server-Sent Events, until the server stops. Raises InvalidInput."""
    topics = _topics(request.query.text("topics", 4096) or "")
    seen = request.query.text("after", 100)
    count = request.served.changes
    count.mark(engine.store)
    changes = _Changes(topics.lists, count, request.served.streams)
    place = request.take_stream(changes.end)
    try:
        await _watch(engine, request.account, topics, changes)
    except BaseException:
        place.end()
        raise
    events = _events(changes, partial(count.mark, engine.store), seen, place)
    return Stream(events, "text/event-stream", _HEADERS, place.end)


async def _watch(engine: Engine, account: str, topics: Topics, changes: _Changes) -> None:
    if topics.lists:
        changes.count.wait(changes.list_changed)
    for topic, workflow, id in topics.instances:
        row = await _find(engine, account, workflow, id)
        if row is not None:
            changes.stops.append(engine.store.watch(row, partial(changes.add, topic)))


async def _find(engine: Engine, account: str, workflow: str, id: str) -> InstanceRow | None:
    """Return an instance that may be watched; None: there is none, which the page finds out when it asks for it."""
    try:
        return (await engine.store.run(GetInstance(account, workflow, id, with_steps=False))).row
    except (InstanceNotFound, WorkflowNotFound):
        return None


async def _events(changes: _Changes, mark: Callable[[], str], seen: str | None, place: Place) -> AsyncIterator[bytes]:
    now = mark()
    yield b"retry: 1000\n" + _event("hello", now, b"" if seen == now else b"changed")
    time = asyncio.get_running_loop().time
    ends_at = time() + LONGEST_S
    while not changes.over.is_set() and time() < ends_at:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                told = await changes.next()
        except TimeoutError:
            yield _event("alive", mark())
            continue
        if told:
            yield _event("changed", mark(), msgspec.json.encode(told))
    if place.cut is not None:
        yield _event("bye", mark())


def _event(kind: str, mark: str, data: bytes = b"") -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (mark.encode(), kind.encode(), data)


def _topics(text: str) -> Topics:
    """Read the names of topics. Raises InvalidInput."""
    names = tuple(dict.fromkeys(text.split(",")))
    if not 1 <= len(names) <= MOST_TOPICS:
        raise invalid("topics", f"topics must be 1 to {MOST_TOPICS} names with commas between them, got {len(names)}")
    lists, instances = [], []
    for name in names:
        kind, _, rest = name.partition(":")
        if kind == "instance" and rest.count("/") == 1:
            workflow, id = map(unquote, rest.split("/"))
            instances.append((name, workflow[: limits.WORKFLOW_NAME_LENGTH + 1], id))
        elif name == "overview" or (kind == "workflow" and rest):
            lists.append(name)
        else:
            raise invalid(
                "topics",
                f'topics are overview, workflow:NAME and instance:NAME/ID, each percent-encoded, got "{name:.100}"',
            )
    return Topics(tuple(lists), tuple(instances))
