"""What an operation drawn by lot is made of: texts and numbers that may go wrong, and what the store has just now."""

import json
from random import Random
from typing import Any, NamedTuple

from stepwell.core.failures import Failure
from stepwell.core.records import (
    AttemptFailed,
    AttemptStarted,
    Completed,
    Failed,
    Key,
    Record,
    SleepStarted,
    StepConfig,
    StepKind,
    StepSucceeded,
    Terminated,
)
from stepwell.limits import INLINE_VALUE_BYTES
from stepwell.store import codec
from stepwell.store.operations import RecordRow
from stepwell.store.sql.rows import Connection, Row, every
from tests.store.scenes import NOW

ACCOUNTS = ["acme", "ACME"]
# Upper and lower case, what `like` and quoting take for something else, and characters of up to four bytes.
WORKFLOWS = ["orders", "ORDERS", "o_d%rs", "größe", "GRÖSSE", 'it\'s \\ "so"', "\U0001f600"]
SEARCHES = [None, "", "ORD", "ord", "%", "_", "\\", "'", '"', "Ö", "ö", "ss", "ß", "\U0001f600", "\x1a", "\0"]
SCRIPTS = ["shop", "bank"]
CLASSES = ["Orders", "Größe"]
IDS = ["a", "A", "b", "c", "d", "e", "ä", "%", "\0", "\x1a", "\x1a0"]
STEPS = ["charge", "Charge", "größer \U0001f600", "it's 100% \\ _"]
LABELS = ["env", "Env", "a/b.c"]
STATUSES = ["queued", "running", "waiting", "paused", "complete", "errored", "terminated"]
NUMBERS = [0, 1, 2, 3, 7, 2**31, 2**53 - 1, 2**53 + 1, 2**62]
_UGLY = [
    "",
    "x",
    "\0",
    "\x1a",
    "a\x1a0b\0c\x1a1",
    "\\u0000",
    "\\ud83d\\ude00",
    "\U0001f600",
    "%s '\" \\",
    "\r\n\t\x7f\x85\u2028",
]
_LARGE = [INLINE_VALUE_BYTES - 2, INLINE_VALUE_BYTES - 1, INLINE_VALUE_BYTES, INLINE_VALUE_BYTES + 1]

_SEEN = """
    select i.row, w.account, w.name, i.id, i.turn, i.n, i.seq, i.step_count, i.owner, i.log_n, i.status, i.ended_at,
        i.restarted_seq
    from instances as i
    join workflows as w on w.row = i.workflow
    """


class Seen(NamedTuple):
    """An instance as it is."""

    row: int
    account: str
    workflow: str
    id: str
    turn: int
    n: int
    seq: int
    step_count: int
    owner: int | None
    log_n: int
    status: str
    ended_at: int | None
    restarted_seq: int

    @property
    def named(self) -> tuple[str, str, str]:
        """How it is asked for."""
        return self.account, self.workflow, self.id


_NOBODY = Seen(99, "acme", "orders", "nobody", 1, 1, 2, 0, 7, 0, "running", None, 0)


class Anything:
    """Draws by lot, with a look at the store: nothing but what happens to be there would ever fit."""

    def __init__(self, random: Random, connection: Connection) -> None:
        self.random = random
        self.now = NOW
        self._connection = connection
        self._ids = 0

    # ---- of nothing

    def chance(self, of_a_hundred: int) -> bool:
        """Tell whether what happens so often happens now."""
        return self.random.randrange(100) < of_a_hundred

    def of(self, *choices: Any) -> Any:
        """Return one of these."""
        return self.random.choice(choices)

    def few(self, choices: list[Any], most: int = 3) -> list[Any]:
        """Return some of these, perhaps none."""
        return [self.random.choice(choices) for _ in range(self.random.randint(0, most))]

    def new_id(self) -> str:
        """Return an id that nothing has had."""
        self._ids += 1
        return f"id-{self._ids}"

    def account(self) -> str:
        """Return an account."""
        return ACCOUNTS[self.chance(10)]

    def number(self) -> int:
        """Return a small number, or one that a double or 32 bits cannot hold."""
        return self.random.choice(NUMBERS) if self.chance(20) else self.random.randint(0, 5)

    def moment(self) -> int:
        """Return a time that is near, or very far."""
        return 2**62 if self.chance(3) else self.now + self.random.randint(-50, 200)

    def text(self) -> str:
        """Return a text of a few characters, or of so many that a value lies apart, or almost."""
        return self._large() if self.chance(10) else "".join(self.few(_UGLY))

    def value(self) -> str:
        """Return a value as steps return it."""
        # Control characters as they are: no JSON has them, but a stream that is shown may.
        return self.text() if self.chance(15) else json.dumps(self.text(), ensure_ascii=self.chance(50))

    def label(self) -> str:
        """Return the value of a label."""
        return str(self.of("prod", "Prod", "ß \U0001f600", "%"))

    def failure(self) -> Failure:
        """Return an error as it is recorded."""
        return Failure("ValueError", "".join(self.few(_UGLY)))

    def key(self, kind: StepKind = StepKind.DO) -> Key:
        """Return the key of a step."""
        return Key(kind, self.random.choice(STEPS), 1)

    def records(self) -> list[RecordRow]:
        """Return what a turn writes."""
        return [codec.to_row(self._record()) for _ in range(self.random.choice([0, 1, 1, 1, 2, 3]))]

    def end(self, status: str) -> RecordRow:
        """Return the record that ends an instance so."""
        match status:
            case "complete":
                return codec.to_row(Completed(self.now, self.value()))
            case "errored":
                return codec.to_row(Failed(self.now, self.failure()))
            case _:
                return codec.to_row(Terminated(self.now, "api"))

    def _large(self) -> str:
        character = self.random.choice(["x", "x", "ß", "\U0001f600"])
        return character * (self.random.choice(_LARGE) // len(character.encode()))

    def _record(self) -> Record:
        at, key = self.now, self.key()
        match self.random.randrange(5):
            case 0:
                config = StepConfig(float("inf"), "5 minutes", "exponential", self.number())
                return AttemptStarted(at, key, 1, config, rollback=self.chance(50))
            case 1:
                return AttemptFailed(at, key, 1, self.failure(), self.moment())
            case 2:
                return SleepStarted(at, self.key(StepKind.SLEEP), self.moment())
            case _:
                return StepSucceeded(
                    at, key, self.number(), self.value(), None, {"model": "m", "tokens": 7, "cost": 0.5}
                )

    # ---- of the store

    def rows(self, sql: str) -> list[Row]:
        """Ask the store."""
        return every(self._connection, sql)

    def one(self, sql: str, otherwise: Any) -> Any:
        """Return something that the store has (one column), or, now and then, something else."""
        found = [] if self.chance(10) else [value for (value,) in self.rows(sql)]
        return self.random.choice(found) if found else otherwise

    def instance(self, where: str = "true") -> Seen:
        """Return an instance, or, now and then, one that there is not."""
        found = [] if self.chance(7) else self.rows(f"{_SEEN} where {where}")
        if found:
            return Seen(*self.random.choice(found))
        account, workflow = self.place()
        return _NOBODY._replace(account=account, workflow=workflow)

    def held(self) -> Seen:
        """Return an instance that a worker holds, or, now and then, another one."""
        return self.instance("i.owner is not null") if self.chance(93) else self.instance()

    def turn_of(self, seen: Seen) -> int:
        """Return the turn of an instance, or, now and then, one before or after it."""
        return seen.turn + self.of(-1, 1) if self.chance(8) else seen.turn

    def place(self) -> tuple[str, str]:
        """Return account and name of a workflow, or, now and then, of none."""
        if self.chance(90) and (found := self.rows("select account, name from workflows")):
            return self.random.choice(found)
        return self.account(), self.random.choice(WORKFLOWS)

    def named(self) -> tuple[str, str, str]:
        """Return how an instance is asked for: one that is there, or one of a workflow that is, or of none."""
        if self.chance(85):
            return self.instance().named
        return *self.place(), self.random.choice(IDS)

    def worker(self) -> int:
        """Return the number of a worker."""
        return int(self.one("select row from workers", self.random.randint(1, 9)))

    def snapshot(self) -> int:
        """Return the number of a snapshot; 0: none."""
        return int(self.one("select row from snapshots", 0)) if self.chance(30) else 0
