"""The facts of the log as pages show them: what each process says is noted in the store, bit by bit.

There all hosts find what any of them has said, also one that is gone by now. What the log says is kept apart from that:
whoever needs all of it reads standard error. Workers tell their server, which alone writes.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from stepwell.audit import cleaned
from stepwell.core.steplog import iso
from stepwell.errors import StoreError
from stepwell.rounds import rounds
from stepwell.store import Store
from stepwell.store.fact_operations import Fact, NotedFact, NoteFacts

EVERY_S = 1.0
# So many wait to be noted, and of more the oldest are left out; so many are noted at once.
MOST_WAITING = 1_000
MOST_MESSAGE = 1_000
_MOST_NAME = 300
# What authors log are lines of their instances; and of requests that are refused anybody can make as many as he likes.
_LEFT_OUT = frozenset({"author.log", "request.refused", "requests.refused"})


class FactShown(msgspec.Struct):
    """A line of the log of a server, or of a worker; what it does not have is null."""

    id: str
    at: str
    level: str
    event: str
    message: str
    host: str | None
    process: str
    account: str | None
    workflow_name: str | None
    instance_id: str | None


def shown_fact(noted: NotedFact, *, sees_all: bool) -> FactShown:
    """Return a fact as our own route and command show it; `sees_all`: also of which host it is."""
    fact = noted.fact
    return FactShown(
        str(noted.row),
        iso(fact.at),
        fact.level,
        fact.event,
        fact.message,
        fact.host if sees_all else None,
        fact.process,
        fact.account,
        fact.workflow,
        fact.instance,
    )


class FactHandler(logging.Handler):
    """Hands on each fact that the log tells, from whatever thread that is told."""

    def __init__(self, process: str, tell: Callable[[Fact], None], host: str = "") -> None:
        super().__init__(logging.INFO)
        self._process, self._tell, self._host = process, tell, host

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on what is a fact, without its traceback."""
        try:
            self._hand_on(record)
        except Exception:  # whoever logs goes on: as with any handler, standard error says what is wrong with the line
            self.handleError(record)

    def _hand_on(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event is None or event in _LEFT_OUT:
            return
        fields: Mapping[str, object] = getattr(record, "fields", {})
        account, workflow, instance = (_name(fields.get(name)) for name in ("account", "workflow", "instance"))
        message = cleaned(record.getMessage(), MOST_MESSAGE)
        at, level = int(record.created * 1000), record.levelname.lower()
        self._tell(Fact(at, level, str(event), message, self._host, self._process, account, workflow, instance))


@dataclass(slots=True)
class FactLog:
    """What a server and its workers have said, until it is noted. What workers say is of the account they serve."""

    store: Store
    host: str
    account: str
    _waiting: deque[Fact] = field(default_factory=lambda: deque(maxlen=MOST_WAITING), init=False)

    def handler(self) -> FactHandler:
        """Return what takes the facts of this process."""
        return FactHandler("server", self._waiting.append, self.host)

    def hear(self, worker: str, said: Fact) -> None:
        """Take what a worker says: of itself alone and of now, as author code may speak for it."""
        told = (cleaned(said.level, _MOST_NAME), cleaned(said.event, _MOST_NAME), cleaned(said.message, MOST_MESSAGE))
        named = (_name(said.workflow), _name(said.instance))
        self._waiting.append(Fact(int(time.time() * 1000), *told, self.host, worker, self.account, *named))

    async def run(self) -> None:
        """Note what waits, for ever."""
        await rounds("what the log says", EVERY_S, self.note)

    async def note(self) -> None:
        """Note what waits. Raises StoreError: then it waits on."""
        facts = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if facts:
                await self.store.run(NoteFacts(facts))
        except StoreError:
            self._waiting.extendleft(reversed(facts))
            raise


def _name(value: object) -> str | None:
    return None if value is None else cleaned(str(value), _MOST_NAME)
