"""What an instance has to come to under control operations: a model in plain Python, and the workflow that it models.

A program is a list of moves, one after the other:

    do       a step
    hold     a step whose body waits for the instance's gate
    retry    a step whose first attempt fails; the second is a minute later
    nap      a sleep of ten minutes
    wait     a wait of ten minutes for the event `go`
    fail     the end, with an error
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from stepwell import WorkflowEntrypoint, WorkflowTimeoutError

MINUTE_MS = 60_000
LENGTHS_MS = {"retry": MINUTE_MS, "nap": 10 * MINUTE_MS, "wait": 10 * MINUTE_MS}
STEPS = ("do", "hold", "retry")
KINDS = {"do": "do", "hold": "do", "retry": "do", "nap": "sleep", "wait": "waitForEvent"}

PROGRAMS = {
    "steps": ("do", "do", "do"),
    "sleepy": ("do", "nap", "do"),
    "asking": ("wait", "do", "wait", "nap"),
    "trying": ("retry", "do", "hold", "retry"),
    "failing": ("do", "hold", "nap", "fail"),
    "patient": ("hold", "wait", "do", "wait"),
}


TRIED_ON = {"retries": {"limit": 1000, "delay": MINUTE_MS, "backoff": "constant"}, "timeout": "365 days"}


class Refused(Exception):
    """An operation that cannot be done."""


@dataclass(eq=False)
class Model:
    """An instance. `place` is the move that it is at, `due_at` when that ends, `begun` how many moves have begun."""

    program: tuple[str, ...]
    status: str = "queued"
    place: int = 0
    begun: int = 0
    due_at: int | None = None
    paused_at: int | None = None
    is_open: bool = False
    # When each was received, and its payload.
    events: list[tuple[int, str]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    # The moves of which each adds one to the output.
    telling: ClassVar[tuple[str, ...]] = ("wait",)

    @property
    def is_final(self) -> bool:
        """Tell whether it has ended."""
        return self.status in ("complete", "errored", "terminated")

    def succeeded(self) -> list[str]:
        """Return the steps whose success stands."""
        return [f"{move} {i}" for i, move in enumerate(self.program[: self.place]) if move in STEPS]

    def run(self, now: int) -> None:
        """Go on as far as a worker can bring it now."""
        if self.status in ("queued", "waiting"):
            self.status = "running"
        while self.status in ("running", "waitingForPause"):
            if self.place == len(self.program):
                self.status = "complete"
            elif not self._move(self.program[self.place], now):
                return

    def take_over(self, now: int) -> None:
        """Go on with a new worker, the last one having died: what was in flight is begun again, unless in a pause."""
        if self.status == "waitingForPause":
            self.status = "paused"
        self.run(now)

    def pass_time(self, until: int) -> None:
        """Go on with a worker until a moment."""
        while self.status == "waiting" and self.due_at is not None and self.due_at <= until:
            self.run(self.due_at)

    def pause(self, now: int) -> None:
        """Do it."""
        self._refuse_if_final()
        if self.status in ("running", "waiting"):
            self.paused_at = now
            self.status = "paused" if self.status == "waiting" else "waitingForPause"

    def resume(self, now: int) -> None:
        """Do it."""
        if self.status not in ("paused", "waitingForPause"):
            return
        self.status = "queued" if self.status == "paused" else "running"
        assert self.paused_at is not None
        if self.due_at is not None:
            self.due_at += now - self.paused_at
        self.paused_at = None

    def terminate(self) -> None:
        """Do it."""
        self._refuse_if_final()
        self.status, self.due_at = "terminated", None

    def restart_from(self, place: int) -> None:
        """Do it, from a move on that has begun."""
        if place >= self.begun:
            raise Refused
        self.restart(place)

    def restart(self, place: int = 0) -> None:
        """Do it, as a whole, or from a move on."""
        self.status, self.place, self.begun, self.due_at, self.paused_at = "queued", place, place, None, None
        self.events.clear()
        del self.output[sum(move in self.telling for move in self.program[:place]) :]

    def send(self, now: int, payload: str) -> None:
        """Send the event `go`."""
        self._refuse_if_final()
        self.events.append((now, payload))

    def _refuse_if_final(self) -> None:
        if self.is_final:
            raise Refused

    def _move(self, move: str, now: int) -> bool:
        """Make a move; tell whether it is done."""
        if move == "fail":
            self.status = "errored"
            return False
        if self.paused_at is not None and move in STEPS and self.begun == self.place:
            self.status = "paused"
            return False
        self.begun = self.place + 1
        if move == "hold" and not self.is_open:
            return False
        if move in LENGTHS_MS and not self._is_over(move, now):
            return False
        self.place, self.due_at = self.place + 1, None
        return True

    def _is_over(self, move: str, now: int) -> bool:
        if self.due_at is None:
            self.due_at = (now if self.paused_at is None else self.paused_at) + LENGTHS_MS[move]
        if self.paused_at is not None:
            self.status = "paused"
            return False
        if move == "wait" and self.events and self.events[0][0] <= self.due_at:
            self.output.append(self.events.pop(0)[1])
            return True
        if now < self.due_at:
            self.status = "waiting"
            return False
        if move == "wait":
            self.output.append("late")
        return True


class Player(WorkflowEntrypoint):
    """Does what the program says that its params name."""

    # By instance; a deleted one's successor has another.
    gates: dict[str, asyncio.Event]
    # What is told of each body that begins: instance and step.
    begins: Callable[[str, str], None]

    async def run(self, event, step):
        told = []
        for i, move in enumerate(self._program(event["payload"])):
            if move == "fail":
                raise ValueError("as the program says")
            if move == "nap":
                await step.sleep(f"nap {i}", LENGTHS_MS["nap"])
            elif move == "wait":
                told.append(await self._wait(f"wait {i}", step))
            else:
                told += await self._do(event["instanceId"], f"{move} {i}", step)
        return told

    async def _wait(self, name, step):
        try:
            event = await step.wait_for_event(name, "go", timeout=LENGTHS_MS["wait"])
        except WorkflowTimeoutError:
            return "late"
        return event["payload"]

    async def _do(self, instance, name, step):
        @step.do(name, config=TRIED_ON)
        async def body(ctx):
            self._begins(instance, name)
            if name.startswith("hold"):
                await self._gate(instance).wait()
            if name.startswith("retry") and ctx["attempt"] == 1:
                raise ValueError("once")

        await body()
        # What it adds to the output.
        return []

    def _begins(self, instance, name):
        Player.begins(instance, name)

    def _program(self, params):
        return PROGRAMS[params]

    def _gate(self, instance):
        return Player.gates[instance]
