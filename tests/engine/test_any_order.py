"""Any order of control operations, events, time and crashes: an instance is always where the model says."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from stepwell.core.records import StepSucceeded
from stepwell.core.standing import standing
from stepwell.errors import InstanceAlreadyExists, InstanceFinished, InstanceNotFound, StepNotInHistory
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine, TestInstance
from tests.engine.holds import HeldStore
from tests.engine.oracle import KINDS, MINUTE_MS, PROGRAMS, Model, Player, Refused

REFUSALS = (InstanceAlreadyExists, InstanceFinished, InstanceNotFound, StepNotInHistory)

# How often each operation was done, and refused.
told: Counter[tuple[str, str]] = Counter()

ids = st.sampled_from(["a", "b"])
programs = st.sampled_from(sorted(PROGRAMS))


class AnyOrder(RuleBasedStateMachine):
    """Does the same to an engine and to the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.models: dict[str, Model] = {}
        self.sent = 0
        self.has_worker = True
        self.is_sound = True
        # Bodies that ran for a step whose success stood.
        self.wrong: list[tuple[str, str]] = []
        Player.gates, Player.begins = {}, self._begins
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.store = HeldStore()
        self.opened = TestEngine.open([Player], store=self.store, settings=TurnSettings(lost_turns=1_000_000))
        self.engine = await self.opened.__aenter__()

    # ---- what is done

    @initialize(first=programs, second=programs)
    def create_both(self, first: str, second: str) -> None:
        """Begin with two instances."""
        self.create("a", first)
        self.create("b", second)

    @rule(id=ids, program=programs)
    def create(self, id: str, program: str) -> None:
        """Create an instance, unless there is one."""

        def model() -> None:
            if id in self.models:
                raise Refused
            self.models[id] = Model(PROGRAMS[program])

        async def real() -> None:
            await self.engine.create(Player, id=id, params=program)
            Player.gates[id] = asyncio.Event()

        self._do("create", model, real())

    @rule(id=ids)
    def send(self, id: str) -> None:
        """Send an event, whose payload no other has."""
        self.sent += 1
        payload = f"event {self.sent}"
        model = lambda: self._model(id).send(self._now(), payload)  # noqa: E731 - as its neighbours
        self._do("send", model, self._instance(id).send_event("go", payload))

    @rule(id=ids)
    def pause(self, id: str) -> None:
        """Pause an instance."""
        self._do("pause", lambda: self._model(id).pause(self._now()), self._instance(id).pause())

    @rule(id=ids)
    def resume(self, id: str) -> None:
        """Resume an instance."""
        self._do("resume", lambda: self._model(id).resume(self._now()), self._instance(id).resume())

    @rule(id=ids)
    def terminate(self, id: str) -> None:
        """Terminate an instance."""
        self._do("terminate", lambda: self._model(id).terminate(), self._instance(id).terminate())

    @rule(id=ids)
    def restart(self, id: str) -> None:
        """Restart an instance as a whole."""
        self._do("restart", lambda: self._model(id).restart(), self._instance(id).restart())

    @rule(id=ids, place=st.integers(0, 3))
    def restart_from(self, id: str, place: int) -> None:
        """Restart an instance from a step, which may not have begun."""
        program = self.models[id].program if id in self.models else ()
        move = program[place] if place < len(program) else "do"
        step = (f"{move} {place}", 1, KINDS.get(move, "do"))
        model = lambda: self._model(id).restart_from(place)  # noqa: E731 - as its neighbours
        self._do("restart from", model, self._instance(id).restart(*step))

    @rule(id=ids)
    def delete(self, id: str) -> None:
        """Delete an instance."""
        self._do("delete", lambda: self.models.pop(self._known(id)), self._instance(id).delete())

    @precondition(lambda self: self.models)
    @rule(id=ids)
    def open_gate(self, id: str) -> None:
        """Let the step end that waits for it."""
        if id in self.models:
            self.models[id].is_open = True
            Player.gates[id].set()
            self._compare()

    @rule(minutes=st.sampled_from([1, 5, 9, 10, 30]))
    def advance(self, minutes: int) -> None:
        """Let time go by."""
        self.runner.run(self.engine.advance(minutes * MINUTE_MS))
        if self.has_worker:
            for model in self.models.values():
                model.pass_time(self._now())
        self._compare()

    @precondition(lambda self: self.has_worker)
    @rule()
    def crash(self) -> None:
        """Let the worker die."""
        self.has_worker = False
        self.runner.run(self.engine.crash())
        self._compare()

    @precondition(lambda self: not self.has_worker)
    @rule()
    def start(self) -> None:
        """Start a worker."""
        self.has_worker = True
        self.runner.run(self.engine.start_worker())
        for model in self.models.values():
            model.take_over(self._now())
        self._compare()

    # ---- what has to be

    def _do(self, name: str, model: Callable[[], object], real: Coroutine[Any, Any, object]) -> None:
        try:
            model()
            expected = "done"
        except Refused:
            expected = "refused"
        try:
            self.runner.run(real)
            outcome = "done"
        except REFUSALS:
            outcome = "refused"
        assert (name, outcome) == (name, expected)
        told[name, outcome] += 1
        self._compare()

    def _compare(self) -> None:
        self.is_sound = False
        self.runner.run(self.engine.run_until_idle())
        if self.has_worker:
            for model in self.models.values():
                model.run(self._now())
        for id, model in self.models.items():
            assert self.runner.run(self._found(id)) == (id, model.status, model.succeeded(), self._output(model))
        assert self.wrong == []
        self.is_sound = True

    async def _found(self, id: str) -> tuple[str, str, list[str], Any]:
        instance = self._instance(id)
        self.store.check("local", "player", id)
        return id, await instance.status(), self._succeeded(id), await instance.output()

    def _succeeded(self, id: str) -> list[str]:
        history = self.store.history("local", "player", id)
        return [record.key.name for _, record in standing(history) if isinstance(record, StepSucceeded)]

    def _begins(self, id: str, step: str) -> None:
        if step in self._succeeded(id):
            self.wrong.append((id, step))

    def teardown(self) -> None:
        """Bring every instance to its end, then close everything."""
        try:
            if self.is_sound:
                self._end_all()
        finally:
            self.runner.run(self.opened.__aexit__(None, None, None))
            self.runner.run(self.store.close())
            self.runner.close()

    def _end_all(self) -> None:
        if not self.has_worker:
            self.start()
        for id in self.models:
            self.resume(id)
            self.open_gate(id)
        self.advance(24 * 60)
        assert all(model.is_final for model in self.models.values())

    def _output(self, model: Model) -> list[str] | None:
        return model.output if model.status == "complete" else None

    def _known(self, id: str) -> str:
        self._model(id)
        return id

    def _model(self, id: str) -> Model:
        if id not in self.models:
            raise Refused
        return self.models[id]

    def _instance(self, id: str) -> TestInstance:
        return self.engine.instance(Player, id)

    def _now(self) -> int:
        return self.engine.clock.now()


QUICK = settings(
    max_examples=30,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


# Each of its examples is short, on a busy machine too; all together are not.
@pytest.mark.timeout(240)
def test_any_order_of_control_operations() -> None:
    """Status, results and output are what the model says after each operation; each was done, and was refused, once."""
    told.clear()

    # What is drawn changes with the modules that are loaded: a further round is for what the first has not seen.
    for number in range(1, 6):
        run_state_machine_as_test(seed(number)(AnyOrder), settings=QUICK)
        if not _missing():
            break

    assert _missing() == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_any_order_of_control_operations_at_length() -> None:
    """The same, with other examples each time."""
    run_state_machine_as_test(AnyOrder, settings=settings(QUICK, max_examples=2_000, derandomize=False))


def _missing() -> list[tuple[str, str]]:
    names = ("create", "send", "pause", "resume", "terminate", "restart", "restart from", "delete")
    return [(name, outcome) for name in names for outcome in ("done", "refused") if not told[name, outcome]]
