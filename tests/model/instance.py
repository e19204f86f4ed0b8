"""One instance of an account as the oracle knows it: the model of its program, and what is said of it beside."""

from dataclasses import dataclass, field, replace

from tests.engine.oracle import KINDS, PROGRAMS, Model
from tests.engine.oracle import Refused as NotNow
from tests.model.refusals import Refused

FINAL = ("complete", "errored", "terminated")
# With these an instance keeps its slot.
RUNNING = ("running", "waitingForPause")
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


@dataclass(kw_only=True)
class Instance(Model):
    """`row` numbers the instances of an account in the order of their creation, also those that are gone."""

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

    def log(self) -> list[tuple[str, str, bool | None]]:
        """Return name, type and success of what the log shows; None: that has not ended."""
        entries: list[tuple[str, str, bool | None]] = []
        told = iter(self.output)
        for place, move in enumerate(self.program[: self.begun]):
            kind = {"do": "step", "sleep": "sleep", "waitForEvent": "waitForEvent"}[KINDS[move]]
            is_over: bool | None = place < self.place or None
            if move == "wait" and is_over:
                is_over = next(told) != "late"
            if self.decided == (None,) and self.status == "errored" and place == self.place:
                is_over = False
            entries.append((f"{move} {place}-1", kind, is_over))
        if self.status == "terminated":
            entries.append(("", "termination", None))
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
        self.run(now)
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
        """Terminate it."""
        if self.is_final:
            raise Refused("InstanceFinished")
        self.terminate()
        self._look_whether_ended(now)

    def begin_again(self, now: int, version: str, trigger: str = "api") -> None:
        """Restart it as a whole."""
        self.restart()
        self.started_at, self.trigger = None, trigger
        self._begun_again(version)

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
        if not (place == self.place < self.begun and self._fits(action, move)):
            raise Refused("InvalidInput")
        if action in ("retry", "skip"):
            self.is_retried = True
            assert self.due_at is not None
            self.due_at = now if self.paused_at is None else self.paused_at
        elif self.decided is None:
            self.decided = (value if action == "complete" else None,)
        self.is_due |= self.status in ("waiting", "queued")

    def take_over(self, now: int) -> None:
        """Be found by a new worker, the last one having died."""
        if self.status == "waitingForPause":
            self.status = "paused"
            self._let_go()

    def _fits(self, action: str, move: str) -> bool:
        if action == "skip":
            return move == "nap"
        if action == "retry":
            return move == "retry" and self.due_at is not None and not self.is_retried
        return move != "nap"

    # ---- how it goes on

    def _move(self, move: str, now: int) -> bool:
        is_open = self.begun > self.place
        if is_open and self.decided is not None and (self.paused_at is None or move == "hold"):
            return self._do_what_is_decided(move)
        is_over = super()._move(move, now)
        if is_over:
            self.is_retried = False
        if self.status == "errored":
            self.error = ("ValueError", "as the program says")
        return is_over

    def _do_what_is_decided(self, move: str) -> bool:
        assert self.decided is not None
        (value,) = self.decided
        if value is None:
            self.status, self.error, self.due_at = "errored", FORCED, None
            return False
        if move == "wait":
            self.output.append(value)
        self.place, self.due_at, self.decided, self.is_retried = self.place + 1, None, None, False
        return True

    def _look_whether_ended(self, now: int) -> None:
        if self.is_final:
            self.ended_at, self.is_due, self.paused_at = now, False, None
        if self.status not in RUNNING:
            self._let_go()

    def _let_go(self) -> None:
        self.has_slot, self.queued_at, self.is_due = False, None, False

    def _begun_again(self, version: str) -> None:
        self.version, self.ended_at, self.error, self.is_due = version, None, None, True
        self.decided, self.is_retried = None, False


def program_of(params: str) -> tuple[str, ...]:
    """Return the program that params name."""
    return PROGRAMS[FIRED if params == "{}" else params.strip('"')]


def step_of(program: tuple[str, ...], place: int) -> tuple[str, str]:
    """Return the name and the kind of the step call of a move, which there may not be."""
    move = program[place] if place < len(program) and program[place] != "fail" else "do"
    return f"{move} {place}", KINDS[move]


def types_of(kind: str) -> str:
    """Return how logs call a kind of step call."""
    return {"do": "step"}.get(kind, kind)
