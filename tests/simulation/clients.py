"""The clients of a simulated world: each has an instance, sends it its events, and disturbs it."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from stepwell import reasons, values
from stepwell.engine import Engine, NewInstance
from stepwell.errors import InstanceFinished, StoreUnavailable
from stepwell.store.once import IdempotencyKey
from stepwell.testing import ACCOUNT
from stepwell.waits import wait_for_end
from tests.engine.ways import Job, Outcome, Sending
from tests.simulation.pipe import Pipe

A = TypeVar("A")


@dataclass
class Told:
    """What the client of an instance was told, and what of it has to hold in the end."""

    id: str
    workflow: str
    job: Job
    expected: Outcome
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    # Asked for, and acknowledged; and whether that could not be, as it had ended.
    is_terminated: bool = False
    may_be_terminated: bool = False
    controls: Counter[str] = field(default_factory=Counter)


class Client:
    """Does what somebody may do to an instance. `disturbs` is called before each act."""

    def __init__(self, told: Told, engine: Engine, pipe: Pipe, disturbs: Callable[[], None]) -> None:
        self.told = told
        self._engine = engine
        self._pipe = pipe
        self._rng: random.Random = pipe.rng
        self._disturbs = disturbs

    async def live(self) -> None:
        """Create an instance, send it its events, disturb it, and wait for its end."""
        await asyncio.sleep(self._rng.choice((0.0, 0.0, 3.0)))
        params = values.encode_json(self.told.job.params, "params")
        new = NewInstance(self.told.id, params)
        key = IdempotencyKey(f"create {self.told.id}", "create")
        row = await self._answer(lambda: self._engine.create(ACCOUNT, self.told.workflow, new, key))
        acts = [act for act in ("pause", "restart", "terminate", "look", "look") if self._rng.random() < 0.25]
        for act in self._merged(acts, len(self.told.job.sendings)):
            await asyncio.sleep(self._rng.choice((0.0, 0.001, 0.02, 2.0, 40.0, 1000.0)))
            try:
                await self._act(act)
            except InstanceFinished:
                continue
        await self._answer(lambda: wait_for_end(self._pipe, row))

    def _merged(self, acts: list[str], events: int) -> list[str | int]:
        """Put acts among the events, by their numbers, which stay in their order."""
        merged: list[str | int] = [*range(events)]
        for act in acts:
            merged.insert(self._rng.randint(0, len(merged)), act)
        return merged

    async def _act(self, act: str | int) -> None:
        where, control = (ACCOUNT, self.told.workflow, self.told.id), self._engine.control
        self._pipe.note(f"{self.told.id}: {act}")
        self._disturbs()
        match act:
            case int():
                await self._send(act)
            case "pause":
                status = await self._answer(lambda: control.pause(*where))
                # One that is queued cannot be paused.
                self.told.controls["pause_asked"] += status in ("paused", "waitingForPause")
                await asyncio.sleep(self._rng.choice((0.0, 0.01, 5.0, 900.0)))
                await self._answer(lambda: control.resume(*where))
            case "restart":
                await self._restart()
            case "terminate":
                self.told.may_be_terminated = True
                await self._answer(lambda: control.terminate(*where))
                self.told.is_terminated = True
                self.told.controls["terminated"] += 1
                if self._rng.random() < 0.5:
                    await self._restart()
            case "look":
                why = await self._answer(lambda: reasons.explain(self._engine, *where))
                assert why.reasons or why.end, f"{self.told.id} is {why.status}, and nothing says why"

    async def _restart(self) -> None:
        """Restart an instance, which forgets its events: they are sent once more."""
        await self._answer(lambda: self._engine.control.restart(ACCOUNT, self.told.workflow, self.told.id))
        self.told.is_terminated = self.told.may_be_terminated = False
        self.told.controls["restarted"] += 1
        for number in range(len(self.told.job.sendings)):
            try:
                await self._send(number)
            except InstanceFinished:
                return

    async def _send(self, number: int) -> None:
        told = self.told
        sending = told.job.sendings[number]
        assert isinstance(sending, Sending)
        payload = values.encode_json(sending.payload, "payload")
        key = IdempotencyKey(f"{told.id} {number} {told.controls['restarted']} {told.events.total()}", "send")
        where = (ACCOUNT, told.workflow, told.id)
        await self._answer(lambda: self._engine.send_event(*where, sending.event_type, payload, key))
        told.events[sending.event_type, payload] += 1

    async def _answer(self, ask: Callable[[], Awaitable[A]]) -> A:
        """Ask until there is an answer."""
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(1)
