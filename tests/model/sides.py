"""The same account in two stores: what is asked of both, each in a way in which the other one can be compared."""

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stepwell.engine import Engine
from stepwell.server_settings import Settings
from stepwell.settings import TurnSettings
from stepwell.store import Store
from stepwell.store.operations import Operation, RegisterWorkflow
from stepwell.store.sql.rows import Connection, every
from stepwell.store.sqlite import SqliteStore
from stepwell.store.wrapped import WrappedStore
from stepwell.testing import ACCOUNT, TestEngine
from tests import postgres
from tests.model.programs import Errand, Foreign, Hourly, Keyed, Narrow, Paced, Plain
from tests.store.difference import CREATIONS, Look, number_as

A = TypeVar("A")

CLASSES = (Plain, Narrow, Keyed, Paced, Hourly, Errand)
# The script whose class no worker here runs.
ELSEWHERE = "elsewhere"
# How many instances of a workflow may be queued, and created in a second, in the account and of each workflow.
MOST_QUEUED, MOST_CREATED, MOST_CREATED_OF_WORKFLOW = MOST = (3, 10, 5)


class Ids:
    """The ids that a server makes: the same ones each time that an operation is begun."""

    def __init__(self) -> None:
        self._operations = itertools.count(1)
        self._operation = 0
        self._made = 0

    def next_operation(self) -> None:
        """Begin an operation that nobody has begun before."""
        self._operation = next(self._operations)
        self.begin()

    def begin(self) -> None:
        """Begin the operation once more."""
        self._made = 0

    def make(self) -> uuid.UUID:
        """Return the next id."""
        self._made += 1
        return uuid.UUID(int=self._operation << 32 | self._made)

    def make_hex(self, length: int) -> str:
        """Return the next id as so many bytes in hex digits."""
        return self.make().hex[-2 * length :]

    def make_secret(self, _: int) -> str:
        """Return the next id as the text of a secret of 32 bytes."""
        return self.make().hex + "0" * 11


IDS = Ids()


class Numbered(WrappedStore[Store]):
    """A store whose row numbers are those of another one: `note` says what is done behind each creation.

    Each database leaves numbers out where it meets a row that is there already, and each in other places.
    """

    def __init__(self, inner: Store, note: Callable[[], None]) -> None:
        super().__init__(inner)
        self._note = note

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation."""
        answer: asyncio.Future[A] = super().run(operation)
        if isinstance(operation, CREATIONS):
            self._note()
        return answer


@dataclass
class Side:
    """An engine on a store of its own, whose tables can be looked at."""

    name: str
    store: Store
    look: Look
    gates: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    test: TestEngine = field(init=False)

    @property
    def engine(self) -> Engine:
        """What is asked."""
        return self.test.engine

    async def open(self) -> None:
        """Let it run."""
        told = TurnSettings(lost_turns=1_000_000)
        self._opened = TestEngine.open(CLASSES, store=self.store, settings=told, env={"GATES": self.gates})
        self.test = await self._opened.__aenter__()
        told_server = Settings(
            queued_instances=MOST_QUEUED,
            creations_per_second=MOST_CREATED,
            creations_per_second_of_workflow=MOST_CREATED_OF_WORKFLOW,
        )
        self.test.engine = Engine(self.store, self.test.clock, told_server)
        ids = ("0" * 8, "1" * 8)
        made_of = (ELSEWHERE, Foreign.__name__, "0" * 64)
        await self.store.run(RegisterWorkflow(ACCOUNT, "foreign", *made_of, *ids, self.test.clock.now()))

    async def close(self) -> None:
        """Let go of everything."""
        await self._opened.__aexit__(None, None, None)
        await self.store.close()


def sqlite_side() -> Side:
    """Return one on SQLite alone."""
    store: Any = SqliteStore.in_memory()
    return Side("SQLite", store, _look_at(store._shell._reading._connection))


def both_sides(stores: postgres.Stores) -> tuple[Side, Side]:
    """Return one on SQLite, and one on PostgreSQL, which is asked behind it and numbers rows as it did."""
    sqlite = sqlite_side()
    store = stores.open()
    look = _look_at(store._shell.inner._opened.first)
    numbers: deque[dict[str, int]] = deque()

    def learn() -> None:
        numbers.append(dict(sqlite.look("select name, seq from sqlite_sequence")))

    def follow() -> None:
        number_as(look, numbers.popleft())

    sqlite.store = Numbered(sqlite.store, learn)
    return sqlite, Side("PostgreSQL", Numbered(store, follow), look)


def _look_at(connection: Connection) -> Look:
    return lambda sql: every(connection, sql)
