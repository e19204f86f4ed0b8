"""Limits that steps share: how many of them run at a time, and how many begin, in all instances of an account."""

import asyncio
from typing import Any, cast

import pytest

from stepwell.core.records import Action, SlotGiven
from stepwell.errors import ScriptError, StoreUnavailable
from stepwell.flow import Flow, Rate, SharedLimit, to_text
from stepwell.forcing import Decision
from stepwell.store import codec
from stepwell.store.flow_operations import AskSlot, LeaveSlot, ListGates, ShareLimit
from stepwell.store.operations import Operation, ReadHistory
from stepwell.store.sqlite import SqliteStore
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.workflow import WorkflowEntrypoint

pytestmark = pytest.mark.usefixtures("no_defect")

MINUTE = 60_000


class Desk:
    """Where steps are at work: who began, in order, and whom it has let go."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.at_work: set[Any] = set()
        self.most = 0
        self._ends: dict[Any, asyncio.Event] = {}

    async def work(self, who: Any) -> str:
        """Be at work until it is let go."""
        self.began.append(who)
        self.at_work.add(who)
        self.most = max(self.most, len(self.at_work))
        try:
            await self._ends.setdefault(who, asyncio.Event()).wait()
        finally:
            self.at_work.discard(who)
        return f"did {who}"

    def let_go(self, *whom: Any) -> None:
        """Let them end."""
        for who in whom:
            self._ends.setdefault(who, asyncio.Event()).set()


def asking(desk: Desk, limit: SharedLimit | None = None, name: str = "Ask") -> Any:
    """Return a workflow whose only step works at a desk, and shares the limit `desk`."""

    async def run(self: Any, event: Any, step: Any) -> Any:
        who = event["payload"]["n"]
        return await step.do("work", desk.work, who, limit="desk")

    flow = None if limit is None else Flow(shared={"desk": limit})
    return type(name, (WorkflowEntrypoint,), {"run": run, "flow": flow})


async def create(engine: TestEngine, workflow: Any, count: int, first: int = 0) -> list[TestInstance]:
    """Create instances i0, i1, ..."""
    made = []
    for n in range(first, first + count):
        made.append(await engine.create(workflow, id=f"i{n}", params={"n": n}))
        await engine.run_until_idle()
    return made


async def statuses(instances: list[TestInstance]) -> list[str]:
    """Return their statuses."""
    return [await instance.status() for instance in instances]


async def shared(engine: TestEngine) -> tuple[int, int]:
    """Return how many slots are held, and how many steps wait for one."""
    (limit,) = (await engine.store.run(ListGates(ACCOUNT))).shared
    return limit.held, limit.waiting


async def test_only_as_many_steps_run_as_may_and_the_others_wait_in_the_order_of_asking() -> None:
    """Two of four are at work; whoever ends makes room for the one that has waited longest, and all end."""
    desk = Desk()
    work = asking(desk, SharedLimit(2))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 4)
        assert desk.began == [0, 1]
        assert await statuses(instances) == ["running", "running", "waiting", "waiting"]
        assert await shared(engine) == (2, 2)

        desk.let_go(1)
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2]
        assert await statuses(instances) == ["running", "complete", "running", "waiting"]

        desk.let_go(0, 2, 3)
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2, 3]
        assert [await instance.output() for instance in instances] == [f"did {n}" for n in range(4)]
        assert await shared(engine) == (0, 0)
        assert desk.most == 2


async def test_limit_is_shared_by_all_workflows_of_an_account() -> None:
    """A step of another workflow waits for the slot that one of this has."""
    desk = Desk()
    one, other = asking(desk, SharedLimit(1), "One"), asking(desk, None, "Other")
    async with TestEngine.open([one, other]) as engine:
        await create(engine, one, 1)
        await create(engine, other, 1, first=1)
        assert desk.began == [0]

        desk.let_go(0)
        await engine.run_until_idle()
        assert desk.began == [0, 1]


async def test_wait_is_on_record() -> None:
    """The history says since when a step waited, and for which limit; one that does not wait has no such record."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 2)
        asked_at = engine.clock.now()
        await engine.advance("5 minutes")
        desk.let_go(0, 1)
        await engine.run_until_idle()

        histories = [await engine.store.run(ReadHistory((await one.view()).row.row)) for one in instances]
        records = [[each.record for each in codec.from_rows(rows)] for rows in histories]
        given = [[record for record in each if isinstance(record, SlotGiven)] for each in records]
        assert given[0] == []
        (record,) = given[1]
        assert (record.limit, record.since, record.start_at) == ("desk", asked_at, asked_at + 5 * MINUTE)


async def test_steps_of_one_instance_share_it_too() -> None:
    """Of five steps at once two run at a time, and the instance stays with its worker."""
    desk = Desk()

    class Many(WorkflowEntrypoint):
        """Five at once."""

        flow = Flow(shared={"desk": SharedLimit(2)})

        async def run(self, event: Any, step: Any) -> Any:
            calls = [step.do(f"work {n}", desk.work, n, limit="desk") for n in range(5)]
            return await asyncio.gather(*calls)

    async with TestEngine.open([Many]) as engine:
        instance = await engine.create(Many)
        await engine.run_until_idle()
        assert desk.began == [0, 1]
        desk.let_go(1)
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2]
        desk.let_go(0, 2, 3, 4)
        await engine.run_until_idle()

        assert await instance.output() == [f"did {n}" for n in range(5)]
        assert desk.most == 2
        assert await shared(engine) == (0, 0)


async def test_rate_lets_as_many_begin_as_it_says() -> None:
    """Two in any minute: the third begins a minute after the first, by itself, and the fifth a minute later."""
    desk = Desk()
    desk.let_go(*range(5))
    work = asking(desk, SharedLimit(rate=Rate(2, "1 minute")))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 5)
        assert desk.began == [0, 1]
        await engine.advance(MINUTE - 1)
        assert desk.began == [0, 1]
        await engine.advance(1)
        assert desk.began == [0, 1, 2, 3]
        await engine.advance("1 minute")
        assert desk.began == [0, 1, 2, 3, 4]
        assert await statuses(instances) == ["complete"] * 5


async def test_slot_that_is_heard_of_twice_begins_one_attempt() -> None:
    """Of two that wait for the same moment the second gets its slot by the question of the first, and asks as well."""
    desk = Desk()

    class Pair(WorkflowEntrypoint):
        """Two steps at once."""

        async def run(self, event: Any, step: Any) -> Any:
            calls = [step.do(f"work {n}", desk.work, f"pair {n}", limit="desk") for n in range(2)]
            return await asyncio.gather(*calls)

    work = asking(desk, SharedLimit(rate=Rate(2, "1 minute")))
    async with TestEngine.open([work, Pair]) as engine:
        await create(engine, work, 2)
        await engine.create(Pair)
        await engine.advance("1 minute")

        assert desk.began == [0, 1, "pair 0", "pair 1"]
        assert await shared(engine) == (4, 0)


async def test_each_attempt_has_a_slot_of_its_own() -> None:
    """While a step waits for its next attempt another one has its slot; the retry waits for that."""
    desk = Desk()
    failures = [ValueError("once")]

    class Failing(WorkflowEntrypoint):
        """Fails once."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> Any:
            async def attempt() -> str:
                if failures:
                    raise failures.pop()
                return await desk.work("retry")

            return await step.do("work", attempt, limit="desk", config={"retries": {"limit": 3, "delay": "1 minute"}})

    work = asking(desk)
    async with TestEngine.open([Failing, work]) as engine:
        failing = await engine.create(Failing)
        await engine.run_until_idle()
        (other,) = await create(engine, work, 1)
        assert desk.began == [0]

        await engine.advance("5 minutes")
        assert desk.began == [0]
        desk.let_go(0, "retry")
        await engine.run_until_idle()
        assert desk.began == [0, "retry"]
        assert await statuses([failing, other]) == ["complete", "complete"]


async def test_limit_that_nobody_has_set_lets_wait_until_somebody_does() -> None:
    """A name that nothing declares loses nothing: the step waits, and begins when the limit is set."""
    desk = Desk()
    work = asking(desk)
    async with TestEngine.open([work]) as engine:
        (instance,) = await create(engine, work, 1)
        await engine.advance("1 day")
        assert (desk.began, await instance.status()) == ([], "waiting")

        await engine.store.run(ShareLimit(ACCOUNT, "desk", '{"concurrency":1}', engine.clock.now()))
        await engine.run_until_idle()
        assert desk.began == [0]


async def test_what_is_set_wins_and_can_be_taken_back() -> None:
    """A higher limit lets more begin at once; taken back, the one that the code declares holds again."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        await create(engine, work, 4)
        assert desk.began == [0]
        await engine.store.run(ShareLimit(ACCOUNT, "desk", '{"concurrency":3}', engine.clock.now()))
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2]

        await engine.store.run(ShareLimit(ACCOUNT, "desk", None, engine.clock.now()))
        desk.let_go(0, 1)
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2]
        desk.let_go(2)
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2, 3]


async def test_higher_rate_is_not_waited_for_as_the_lower_one() -> None:
    """One in an hour has let the second wait for an hour; with ten in a minute it begins at once, and is counted."""
    desk = Desk()
    work = asking(desk, SharedLimit(rate=Rate(1, "1 hour")))
    async with TestEngine.open([work]) as engine:
        await create(engine, work, 3)
        await engine.advance("1 minute")
        assert desk.began == [0]

        faster = '{"rate":{"limit":10,"period":60000}}'
        await engine.store.run(ShareLimit(ACCOUNT, "desk", faster, engine.clock.now()))
        await engine.run_until_idle()
        assert desk.began == [0, 1, 2]
        assert await shared(engine) == (3, 0)


@pytest.mark.parametrize("act", ["terminate", "delete", "pause", "restart"])
async def test_what_is_done_to_one_that_waits_keeps_nobody_else(act: str) -> None:
    """One that waits and is terminated, deleted, paused or restarted lets the next one begin."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 3)
        await getattr(instances[1], act)()
        desk.let_go(0, 1)
        await engine.run_until_idle()
        assert [who for who in desk.began if who != 1] == [0, 2]
        desk.let_go(2)
        await engine.run_until_idle()
        if act == "pause":
            await instances[1].resume()
            await engine.run_until_idle()
        assert desk.began.count(1) == (act in {"pause", "restart"})
        assert await shared(engine) == (0, 0)


@pytest.mark.parametrize("act", ["terminate", "delete", "restart"])
async def test_what_is_done_to_one_that_has_a_slot_gives_it_back(act: str) -> None:
    """The slot of an attempt that is cut short is the next one's at once."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 2)
        await getattr(instances[0], act)()
        await engine.run_until_idle()
        assert desk.began == [0, 1]
        assert desk.at_work == {1}

        desk.let_go(0, 1)
        await engine.run_until_idle()
        assert await shared(engine) == (0, 0)


async def test_call_that_is_cancelled_while_it_waits_gives_up_its_place() -> None:
    """A time-out of the author's round a step that waits: the instance goes on, and the slot is never its own."""
    desk = Desk()

    class Impatient(WorkflowEntrypoint):
        """Waits no longer than a durable sleep."""

        async def run(self, event: Any, step: Any) -> Any:
            call = asyncio.ensure_future(step.do("work", desk.work, "impatient", limit="desk"))
            nap = asyncio.ensure_future(step.sleep("nap", "5 minutes"))
            done, _ = await asyncio.wait([call, nap], return_when=asyncio.FIRST_COMPLETED)
            if call not in done:
                call.cancel()
                return "gave up"
            return call.result()

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Impatient]) as engine:
        await create(engine, work, 1)
        impatient = await engine.create(Impatient)
        await engine.run_until_idle()
        await create(engine, work, 1, first=1)
        assert await shared(engine) == (1, 2)

        await engine.advance("5 minutes")
        assert await impatient.output() == "gave up"
        assert await shared(engine) == (1, 1)
        desk.let_go(0, 1)
        await engine.run_until_idle()
        assert desk.began == [0, 1]


async def test_worker_that_dies_keeps_the_slots_of_its_instances() -> None:
    """The next turn of the instance goes on with the slot, and nobody else begins meanwhile."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 3)
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()
        assert desk.began == [0, 0]
        assert await shared(engine) == (1, 2)

        desk.let_go(0, 1, 2)
        await engine.run_until_idle()
        assert desk.began == [0, 0, 1, 2]
        assert await statuses(instances) == ["complete"] * 3


async def test_slot_of_one_that_was_terminated_while_its_worker_was_dead_is_taken_back() -> None:
    """Nobody gives it back; a sweep finds it."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 2)
        await engine.crash()
        await instances[0].terminate()
        await engine.start_worker()
        await engine.run_until_idle()
        assert desk.began == [0]

        await engine.advance("1 minute")
        assert desk.began == [0, 1]


async def test_drained_worker_gives_slots_back_and_keeps_places() -> None:
    """A reload interrupts who is at work, and whose slot is the next one's then; those that wait keep their places."""
    desk = Desk()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work]) as engine:
        instances = await create(engine, work, 3)
        await engine.stop()
        await engine.start_worker()
        await engine.run_until_idle()
        desk.let_go(0, 1, 2)
        await engine.run_until_idle()
        assert desk.most == 1
        assert await statuses(instances) == ["complete"] * 3
        assert await shared(engine) == (0, 0)


async def test_step_inside_a_step_of_the_same_limit_is_refused() -> None:
    """It would wait for the step that it is called in; the error says so."""

    class Nested(WorkflowEntrypoint):
        """Calls a step in a step."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> Any:
            async def inner() -> int:
                return 1

            async def outer() -> Any:
                return await step.do("inner", inner, limit="desk")

            return await step.do("outer", outer, limit="desk")

    async with TestEngine.open([Nested]) as engine:
        instance = await engine.create(Nested)
        await engine.run_until_idle()

        failure = await instance.error()
        assert failure is not None
        assert failure.message == (
            'Step "inner": the limit must be another one than that of the step in whose body it is called: it would '
            'wait for itself, got "desk".'
        )


@pytest.mark.parametrize("limit", ["", "a b", "-x", "x" * 65, 5])
async def test_wrong_name_is_refused(limit: Any) -> None:
    """The name of a limit has rules, and the error tells them."""

    class Wrong(WorkflowEntrypoint):
        """Names a limit that cannot be."""

        async def run(self, event: Any, step: Any) -> Any:
            async def work() -> int:
                return 1

            return await step.do("work", work, limit=limit)

    async with TestEngine.open([Wrong]) as engine:
        instance = await engine.create(Wrong)
        await engine.run_until_idle()

        failure = await instance.error()
        assert failure is not None
        assert failure.message.startswith('Step "work": the limit must be a name of 1 to 64 letters')


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (["desk"], "Ask.flow: shared must be limits by name, as {\"openai\": SharedLimit(8)}, got ['desk']"),
        ({"a b": SharedLimit(1)}, "Ask.flow: shared: the name of a limit must be 1 to 64 letters"),
        ({"desk": 5}, 'Ask.flow: shared "desk" must be a stepwell.SharedLimit, such as SharedLimit(8), got 5'),
        ({"desk": SharedLimit()}, 'Ask.flow: shared "desk" must have a concurrency or a rate'),
        ({"desk": SharedLimit(0)}, 'Ask.flow: shared "desk": concurrency must be a whole number from 1 to'),
        ({"desk": SharedLimit(rate=Rate(1, "soon"))}, 'Ask.flow: shared "desk": rate: period must be'),
    ],
)
def test_wrong_declaration_is_refused(declared: Any, message: str) -> None:
    """What a class declares is looked at when it is loaded: the error names the limit and what is wrong."""
    with pytest.raises(ScriptError) as caught:
        to_text(Flow(shared=declared), "Ask")

    assert str(caught.value).startswith(message)


async def test_decorated_steps_take_a_limit() -> None:
    """Both decorators do what `step.do` does."""
    from stepwell import step as a_step

    desk = Desk()

    @a_step(limit="desk")
    async def marked() -> str:
        return await desk.work("marked")

    class Decorated(WorkflowEntrypoint):
        """Both forms."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> Any:
            @step.do("decorated", limit="desk")
            async def decorated() -> str:
                return await desk.work("decorated")

            return await asyncio.gather(decorated(), marked())

    async with TestEngine.open([Decorated]) as engine:
        instance = await engine.create(Decorated)
        await engine.run_until_idle()
        assert desk.began == ["decorated"]
        desk.let_go("decorated")
        await engine.run_until_idle()
        assert desk.began == ["decorated", "marked"]
        desk.let_go("marked")
        await engine.run_until_idle()
        assert await instance.output() == ["did decorated", "did marked"]


async def test_place_is_given_up_when_run_ends_without_its_step() -> None:
    """Nobody awaits the step any more: it counts no longer among those that wait."""
    desk = Desk()

    class Hasty(WorkflowEntrypoint):
        """Leaves a call behind."""

        async def run(self, event: Any, step: Any) -> str:
            left = asyncio.ensure_future(step.do("work", desk.work, "left", limit="desk"))
            await step.do("other", lambda: 1)
            assert not left.done()
            return "done"

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Hasty]) as engine:
        await create(engine, work, 1)
        hasty = await engine.create(Hasty)
        await engine.run_until_idle()
        assert await hasty.output() == "done"
        assert await shared(engine) == (1, 0)


async def test_rollback_gives_up_what_run_waits_for() -> None:
    """While it goes on, nothing of `run` has a place any more."""
    desk = Desk()

    class Undone(WorkflowEntrypoint):
        """Fails while a step of it waits, and is rolled back for an hour."""

        async def run(self, event: Any, step: Any) -> None:
            await step.do("booked", lambda: 1, rollback=lambda: desk.work("undo"))
            waits = asyncio.ensure_future(step.do("work", desk.work, "waits", limit="desk"))
            await step.sleep("nap", "1 minute")
            assert not waits.done()
            raise ValueError("no")

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Undone]) as engine:
        await create(engine, work, 1)
        undone = await engine.create(Undone)
        await engine.run_until_idle()
        assert await shared(engine) == (1, 1)
        await engine.advance("1 minute")
        assert (await undone.status(), "undo" in desk.at_work) == ("rollingBack", True)
        assert await shared(engine) == (1, 0)


async def test_step_that_is_completed_by_hand_in_its_turn_waits_no_longer() -> None:
    """Its turn goes on with other things, and has no place any more that could keep it open, or be given a slot."""
    desk = Desk()

    class Failing(WorkflowEntrypoint):
        """Fails, and would be tried again; another step keeps the turn open."""

        async def run(self, event: Any, step: Any) -> Any:
            async def fail() -> None:
                raise ValueError("always")

            config = {"retries": {"limit": 9, "delay": 10}}
            return await asyncio.gather(
                step.do("work", fail, limit="desk", config=config), step.do("other", desk.work, "other")
            )

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Failing]) as engine:
        failing = await engine.create(Failing)
        await engine.run_until_idle()
        await create(engine, work, 2)
        await engine.advance("1 second")
        assert (desk.began, await shared(engine)) == (["other", 0], (1, 2))
        await failing.force(Decision("work-1", Action.COMPLETE, value='"by hand"'))
        await engine.run_until_idle()
        assert await shared(engine) == (1, 1)
        (turn,) = [turn for turn in engine._worker.turns.values() if turn.claim.id == failing.id]  # type: ignore[union-attr]  # it runs
        assert not turn.slots.is_waiting

        desk.let_go(0, 1, "other")
        await engine.run_until_idle()
        assert await failing.output() == ["by hand", "did other"]


async def test_step_that_is_completed_by_hand_while_it_waits_gives_its_place_up() -> None:
    """Its retry waits for a slot; when that comes nobody wants it, and the next one has it."""
    desk = Desk()

    class Failing(WorkflowEntrypoint):
        """Fails, and would be tried again."""

        async def run(self, event: Any, step: Any) -> Any:
            async def fail() -> None:
                raise ValueError("always")

            done = await step.do("work", fail, limit="desk", config={"retries": {"limit": 9, "delay": "1 second"}})
            await step.sleep("nap", "1 hour")
            return done

    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work, Failing]) as engine:
        failing = await engine.create(Failing)
        await engine.run_until_idle()
        await create(engine, work, 1)
        await engine.advance("1 second")
        assert await shared(engine) == (1, 1)
        await create(engine, work, 1, first=1)
        await failing.force(Decision("work-1", Action.COMPLETE, value='"by hand"'))
        await engine.run_until_idle()
        desk.let_go(0)
        await engine.run_until_idle()

        assert desk.began == [0, 1]
        desk.let_go(1)
        await engine.run_until_idle()
        assert await shared(engine) == (0, 0)


class SlowStore:
    """A store that answers questions for slots late, and can refuse to take slots back."""

    def __init__(self) -> None:
        self.inner = SqliteStore.in_memory()
        self.may_answer = asyncio.Event()
        self.refusals = 0
        self.asked = 0

    def run(self, operation: Operation[Any]) -> Any:
        """Do an operation."""
        if isinstance(operation, LeaveSlot) and self.refusals:
            self.refusals -= 1
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreUnavailable("not now"))
            return refused
        answer = self.inner.run(operation)
        if not isinstance(operation, AskSlot):
            return answer
        self.asked += 1
        return asyncio.ensure_future(self._late(answer))

    async def _late(self, answer: Any) -> Any:
        await self.may_answer.wait()
        return await answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_instance_is_not_put_back_before_the_answer() -> None:
    """A slot that was given meanwhile would be forgotten."""
    desk, store = Desk(), SlowStore()
    work = asking(desk, SharedLimit(1))
    async with TestEngine.open([work], store=cast("Any", store)) as engine:
        (instance,) = await create(engine, work, 1)
        assert (store.asked, await instance.status()) == (1, "running")

        store.may_answer.set()
        await engine.run_until_idle()
        assert (desk.began, await instance.status()) == ([0], "running")
        desk.let_go(0)
        await engine.run_until_idle()
    await store.inner.close()


async def test_record_that_comes_before_the_answer_is_not_lost() -> None:
    """The question was answered with a wait, and the slot came while that answer was on its way."""
    desk, store = Desk(), SlowStore()

    class Two(WorkflowEntrypoint):
        """One step that asks, and one that keeps the turn open and lets it hear."""

        async def run(self, event: Any, step: Any) -> Any:
            async def other() -> None:
                await desk.work("other")

            return await asyncio.gather(step.do("work", desk.work, "asks", limit="desk"), step.do("other", other))

    async with TestEngine.open([Two], store=cast("Any", store)) as engine:
        await engine.create(Two)
        await engine.run_until_idle()
        assert (store.asked, desk.began) == (1, ["other"])
        await engine.store.run(ShareLimit(ACCOUNT, "desk", '{"concurrency":1}', engine.clock.now()))
        await engine.run_until_idle()

        store.may_answer.set()
        await engine.run_until_idle()
        assert desk.began == ["other", "asks"]
        desk.let_go("asks", "other")
        await engine.run_until_idle()
    await store.inner.close()


async def test_slot_that_cannot_be_given_back_now_is_later() -> None:
    """The store is asked again each second; but not where a later attempt of the step has the slot by then."""
    desk, store = Desk(), SlowStore()
    store.may_answer.set()
    failures = [ValueError("once")]

    class Retried(WorkflowEntrypoint):
        """Fails once, and is tried again at once."""

        flow = Flow(shared={"desk": SharedLimit(1)})

        async def run(self, event: Any, step: Any) -> Any:
            async def attempt() -> str:
                if failures:
                    raise failures.pop()
                return await desk.work("again")

            return await step.do("work", attempt, limit="desk", config={"retries": {"limit": 3, "delay": 1}})

    async with TestEngine.open([Retried], store=cast("Any", store)) as engine:
        store.refusals = 1
        await engine.create(Retried)
        await engine.run_until_idle()
        await engine.advance("3 seconds")
        assert desk.began == ["again"]
        assert await shared(engine) == (1, 0)

        store.refusals = 2
        desk.let_go("again")
        await engine.run_until_idle()
        assert await shared(engine) == (1, 0)
        await engine.advance("2 seconds")
        assert await shared(engine) == (0, 0)
    await store.inner.close()
