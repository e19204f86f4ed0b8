"""One instance of an account as the oracle knows it: the model of its program, and what is said of it beside.

Programs have more moves here:

    book     a step with a rollback
    lend     a step with a rollback whose first attempt fails; the second is a minute later
    hire     a step with a rollback that fails for good unless the instance's gate is open
    pour     a step that returns a stream
    errand   a child that succeeds, after a nap
    trouble  a child that fails, after a nap
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from tests.engine import oracle
from tests.engine.oracle import MINUTE_MS, Model
from tests.engine.oracle import Refused as NotNow
from tests.model.refusals import Refused

FINAL = ("complete", "errored", "terminated")
# With these an instance keeps its slot.
RUNNING = ("running", "waitingForPause", "rollingBack")
UNDONE = ("book", "lend", "hire")
# The program of the child of a move.
CHILDREN = {"errand": "brief", "trouble": "brief and bad"}
# How long the end of a child is awaited.
CHILD_MS = 36_500 * 24 * 60 * MINUTE_MS
KINDS = {**oracle.KINDS, **dict.fromkeys((*UNDONE, "pour"), "do"), **dict.fromkeys(CHILDREN, "waitForEvent")}
PROGRAMS = {
    **oracle.PROGRAMS,
    "booking": ("book", "lend", "wait", "fail"),
    "hiring": ("book", "hire", "lend", "nap", "fail"),
    "pouring": ("pour", "wait", "pour", "do"),
    "sending": ("do", "errand", "nap"),
    "troubled": ("trouble", "wait", "errand"),
}
CHILD_PROGRAMS = {"brief": ("do", "nap"), "brief and bad": ("nap", "fail")}
# What a stream of a move has, but for its first byte, in pieces as its author gives them.
CHUNK, CHUNKS = 100_000, 3
ACTIONS = ("retry", "skip", "complete", "fail")
# What a schedule's firing does, which has no params.
FIRED = "sleepy"
# The error that somebody lets a step fail with.
FORCED = ("Forced", "by hand")


@dataclass(frozen=True)
class Kept:
    """How long an instance is kept after it completed, and after any other end; None: not said."""

    success_ms: int | None = None
    error_ms: int | None = None

    def or_else(self, other: "Kept") -> "Kept":
        """Return what is said here and, where nothing is, there. 0 says nothing."""
        return Kept(self.success_ms or other.success_ms, self.error_ms or other.error_ms)


@dataclass(kw_only=True, eq=False)
class Instance(Model):
    """`row` numbers the instances of an account in the order of their creation, also those that are gone."""

    telling: ClassVar[tuple[str, ...]] = ("wait", "pour", *CHILDREN)

    id: str
    row: int
    params: str
    version: str
    created_at: int
    trigger: str = "api"
    kept: Kept = field(default_factory=Kept)
    labels: dict[str, str] = field(default_factory=dict)
    started_at: int | None = None
    ended_at: int | None = None
    error: tuple[str, str] | None = None
    # It is to have a turn.
    is_due: bool = True
    has_slot: bool = False
    queued_at: int | None = None
    # What somebody decided of the move that it is at: a value, or None for an error.
    decided: tuple[str | None] | None = None
    is_retried: bool = False
    # How far the steps are undone, by their places, the first of them first: None: that is tried again later.
    undone: dict[int, bool | None] = field(default_factory=dict)
    # What it will have come to when they are undone, and with which error.
    undone_for: tuple[str, tuple[str, str] | None] | None = None
    rollback: str | None = None
    # What of the log lies behind the steps of the program: the undoing of those of a place, and terminations (None).
    tail: list[int | None] = field(default_factory=list)
    # How its queue knows it.
    key: str = ""
    # Creates a child for one of its moves.
    bear: Callable[["Instance", str], "Instance"]
    parent: "Instance | None" = None
    children: list["Instance"] = field(default_factory=list)
    # The child whose end is awaited, and what has come of it.
    awaited: "Instance | None" = None
    heard: str | None = None

    @property
    def at(self) -> int:
        """The move that it is at, or undoes."""
        return next((place for place, is_undone in self.undone.items() if not is_undone), self.place)

    def standing(self) -> tuple[object, ...]:
        """Return what a turn may change, so that others may have one."""
        return self.status, self.place, self.begun, self.due_at, len(self.tail), self.is_due, self.has_slot

    def log(self) -> list[tuple[str, str, bool | None]]:
        """Return name, type and success of what the log shows; None: that has not ended."""
        entries: list[tuple[str, str, bool | None]] = []
        told = iter(self.output)
        for place, move in enumerate(self.program[: self.begun]):
            name, kind = f"{move} {place}-1", types_of(KINDS[move])
            is_over: bool | None = place < self.place or None
            if move in self.telling and is_over:
                is_over = next(told) != "late"
            if self.decided == (None,) and self.has_failed and place == self.place:
                is_over = False
            if move in CHILDREN:
                entries.append((name, "step", True))
            entries.append((name, kind, is_over))
        for undone in self.tail:
            if undone is None:
                entries.append(("", "termination", None))
            else:
                entries.append((f"{self.program[undone]} {undone}-1", "rollback", self.undone[undone]))
        return entries

    def forked(self, id: str, row: int, now: int, place: int) -> "Instance":
        """Return a new instance that has done what this one has before a move."""
        fork = replace(
            self,
            id=id,
            row=row,
            created_at=now,
            started_at=None,
            trigger="api",
            labels=self.labels | {"forked_from": self.id},
            events=[],
            output=[*self.output],
            is_open=False,
            has_slot=False,
            queued_at=None,
            parent=None,
            children=[],
            undone={},
            tail=[],
        )
        fork.restart(place)
        fork._begun_again(self.version)
        return fork

    # ---- what is done to it

    def turn(self, now: int) -> None:
        """Go on as far as a worker can bring it now."""
        if self.started_at is None:
            self.started_at = now
        self.is_due = False
        if self.status != "rollingBack":
            self.run(now)
        if self.status == "rollingBack":
            self._undo(now)
        self._look_whether_ended(now)

    def pause(self, now: int) -> None:
        """Do it."""
        if self.is_final:
            raise Refused("InstanceFinished")
        super().pause(now)
        if self.status == "paused":
            self._let_go()

    def resume(self, now: int) -> None:
        """Do it."""
        self.is_due |= self.status == "paused"
        super().resume(now)

    def end(self, now: int) -> None:
        """Terminate it, and its children."""
        if self.is_final:
            raise Refused("InstanceFinished")
        if self.status == "rollingBack":
            self.rollback = "failed"
        self.terminate()
        self.tail.append(None)
        self._look_whether_ended(now)
        self.end_children(now)

    def end_children(self, now: int) -> None:
        """Terminate those that have not ended."""
        for child in self.children:
            if not child.is_final:
                child.end(now)

    def end_undone(self, now: int) -> None:
        """Terminate it once its steps are undone."""
        if self.is_final or not self._has_rollbacks():
            self.end(now)
        elif self.status != "rollingBack":
            self._roll_back(("terminated", None))
            self.is_due = True

    def resume_rollback(self) -> None:
        """Go on with a rollback that has failed."""
        if self.rollback != "failed":
            raise Refused("NoFailedRollback")
        self.status, self.rollback, self.error, self.ended_at, self.is_due = "rollingBack", None, None, None, True

    def hear(self, child: "Instance", what: str) -> None:
        """Be told what has become of a child."""
        if self.is_final:
            return
        if self.awaited is child:
            self.heard = self.heard or what
        self.is_due |= self.status in ("waiting", "queued")

    def begin_again(self, now: int, version: str, trigger: str = "api") -> None:
        """Restart it as a whole; its children end."""
        self.restart()
        self.started_at, self.trigger = None, trigger
        self._begun_again(version)
        self.end_children(now)

    def begin_again_from(self, place: int, version: str) -> None:
        """Restart it from a move on."""
        try:
            self.restart_from(place)
        except NotNow as error:
            raise Refused("StepNotInHistory") from error
        self._begun_again(version)

    def receive(self, now: int, event_type: str, payload: str) -> None:
        """Take an event. It waits for those of the type `go` alone."""
        if self.is_final:
            raise Refused("InstanceFinished")
        if event_type == "go":
            self.send(now, payload)
        self.is_due |= self.status in ("waiting", "queued")

    def force(self, now: int, action: str, place: int, value: str) -> None:
        """Decide by hand what becomes of a move."""
        if self.is_final:
            raise Refused("InstanceFinished")
        move = self.program[place] if place < len(self.program) else "do"
        is_open = place == self.at and (self.status == "rollingBack" or place < self.begun)
        if not (is_open and self._fits(action, move)):
            raise Refused("InvalidInput")
        if action in ("retry", "skip"):
            self.is_retried = True
            assert self.due_at is not None
            self.due_at = now if self.paused_at is None else self.paused_at
        elif self.decided is None:
            self.decided = (value if action == "complete" else None,)
        self.is_due |= self.status in ("waiting", "queued", "rollingBack")

    def take_over(self, now: int) -> None:
        """Be found by a new worker, the last one having died."""
        if self.status == "waitingForPause":
            self.status = "paused"
            self._let_go()

    def _fits(self, action: str, move: str) -> bool:
        if action == "skip":
            return move == "nap" and self.status != "rollingBack"
        if action == "retry":
            return move in ("retry", "lend") and self.due_at is not None and not self.is_retried
        return move != "nap" and self.status != "rollingBack"

    # ---- how it goes on

    def _move(self, move: str, now: int) -> bool:
        is_open = self.begun > self.place
        if is_open and self.decided is not None and (self.paused_at is None or move == "hold"):
            return self._do_what_is_decided(move)
        if not is_open and self.paused_at is not None and (move in CHILDREN or KINDS.get(move) == "do"):
            self.status = "paused"
            return False
        if move in CHILDREN and not is_open:
            self.awaited, self.heard = self.bear(self, move), None
        is_over = self._is_heard(now) if move in CHILDREN else super()._move(move, now)
        if is_over:
            self.is_retried = False
        if is_over and move == "pour":
            self.output.append(shown(self.place - 1))
        if self.status == "errored":
            self._fail(("ValueError", "as the program says"))
        return is_over

    def _is_heard(self, now: int) -> bool:
        """Tell whether the end of the child has been heard of."""
        self.begun = self.place + 1
        if self.due_at is None:
            self.due_at = now + CHILD_MS
        if self.paused_at is not None or self.heard is None:
            self.status = "waiting" if self.paused_at is None else "paused"
            return False
        self.output.append(self.heard)
        self.place, self.due_at, self.awaited, self.heard = self.place + 1, None, None, None
        return True

    def _do_what_is_decided(self, move: str) -> bool:
        assert self.decided is not None
        (value,) = self.decided
        if value is None:
            self._fail(FORCED)
            return False
        if move in self.telling:
            self.output.append(value)
        self.place, self.due_at, self.decided, self.is_retried = self.place + 1, None, None, False
        return True

    # ---- how it is rolled back

    @property
    def has_failed(self) -> bool:
        """Whether an error has ended its run."""
        return self.status == "errored" or (self.undone_for is not None and self.undone_for[0] == "errored")

    @property
    def has_hired(self) -> bool:
        """Whether it has done a step that cannot be undone while its gate is closed, and has not ended."""
        return "hire" in self.program[: self.place] and not self.is_final and not self.is_open

    def _has_rollbacks(self) -> bool:
        return any(move in UNDONE for move in self.program[: self.begun])

    def _fail(self, error: tuple[str, str]) -> None:
        self.due_at = None
        if self._has_rollbacks():
            self._roll_back(("errored", error))
        else:
            self.status, self.error = "errored", error

    def _roll_back(self, undone_for: tuple[str, tuple[str, str] | None]) -> None:
        self.status, self.undone_for, self.due_at, self.paused_at = "rollingBack", undone_for, None, None
        self.is_retried = False

    def _undo(self, now: int) -> None:
        """Undo the steps that have begun, the last of them first; who cannot be undone ends it."""
        for place in reversed(range(self.begun)):
            if self.program[place] in UNDONE and not self.undone.get(place):
                if place not in self.undone:
                    self.tail.append(place)
                self.undone[place] = self._is_undone(place, now)
                if self.undone[place] is None:
                    return
                if not self.undone[place]:
                    self._come_to("failed")
                    return
        self._come_to("complete")

    def _is_undone(self, place: int, now: int) -> bool | None:
        """Undo a step; None: that is tried again later."""
        if self.program[place] != "lend":
            return self.program[place] == "book" or self.is_open
        if self.due_at is None:
            self.due_at = now + MINUTE_MS
        if now < self.due_at:
            return None
        self.due_at, self.is_retried = None, False
        return True

    def _come_to(self, rollback: str) -> None:
        assert self.undone_for is not None
        self.rollback = rollback
        self.status, self.error = self.undone_for
        if self.status == "terminated":
            self.tail.append(None)

    def _look_whether_ended(self, now: int) -> None:
        if self.is_final:
            self.ended_at, self.is_due, self.paused_at = now, False, None
            if self.parent is not None:
                self.parent.hear(self, self.status)
        if self.status not in RUNNING:
            self._let_go()

    def _let_go(self) -> None:
        self.has_slot, self.queued_at, self.is_due = False, None, False

    def _begun_again(self, version: str) -> None:
        self.version, self.ended_at, self.error, self.is_due = version, None, None, True
        self.decided, self.is_retried, self.awaited, self.heard = None, False, None, None
        self.undone_for, self.rollback = None, None
        self.undone.clear()
        self.tail.clear()


def program_of(params: str) -> tuple[str, ...]:
    """Return the program that params name, as a text or a member."""
    said = json.loads(params)
    name = said.get("program", FIRED) if isinstance(said, dict) else said
    return {**PROGRAMS, **CHILD_PROGRAMS}[name]


def key_of(params: str) -> str:
    """Return the key that params name; none: the empty one."""
    said = json.loads(params)
    return str(said.get("key", "")) if isinstance(said, dict) else ""


def shown(place: int) -> str:
    """Return what the workflow tells of the stream of a move."""
    return f"{place} times {CHUNK * CHUNKS}"


def step_of(program: tuple[str, ...], place: int) -> tuple[str, str]:
    """Return the name and the kind of the step call of a move, which there may not be."""
    move = program[place] if place < len(program) and program[place] != "fail" else "do"
    return f"{move} {place}", KINDS[move]


def begin_of(program: tuple[str, ...], place: int) -> tuple[str, str]:
    """Return name and kind of the first step call of a move: a child is begun before its end is awaited."""
    name, kind = step_of(program, place)
    return name, "do" if name.split()[0] in CHILDREN else kind


def types_of(kind: str) -> str:
    """Return how logs call a kind of step call."""
    return {"do": "step"}.get(kind, kind)
