"""Flow control, as an author declares it and a user sees it: limits, keys, rates, priorities, singletons."""

import asyncio
import re
from typing import Any

import pytest

from stepwell.core.why import SlotAwaited
from stepwell.creation_rate import CreationRate
from stepwell.engine import NewInstance
from stepwell.errors import CreatedTooFast, InstanceNotFound, InvalidInput, QueueFull, ScriptError, WorkflowNotFound
from stepwell.flow import Flow, Place, Rate, from_text, place_of, to_text
from stepwell.server_settings import Settings
from stepwell.store.flow_operations import ListGates
from stepwell.testing import ACCOUNT, TestEngine, TestInstance
from stepwell.workflow import WorkflowEntrypoint

pytestmark = pytest.mark.usefixtures("no_defect")


_BOTH: Any = "both"
_THREE: Any = 3


def sleeping(flow: Flow | None, name: str = "Work") -> Any:
    """Return a workflow that notes in `began` that it begins, works until it is let go, and sleeps for an hour."""
    kind: Any
    began: list[Any] = []
    free = asyncio.Event()

    async def run(self: Any, event: Any, step: Any) -> str:
        async def work() -> None:
            began.append(event["payload"].get("n"))
            await free.wait()

        await step.do("work", work)
        await step.sleep("nap", "1 hour")
        return "done"

    kind = type(name, (WorkflowEntrypoint,), {"run": run, "flow": flow, "began": began, "free": free})
    return kind


async def _statuses(instances: list[TestInstance]) -> list[str]:
    return [await instance.status() for instance in instances]


async def _create(engine: TestEngine, workflow: Any, *params: dict[str, Any]) -> list[TestInstance]:
    return [await engine.create(workflow, id=f"i{n}", params={"n": n, **each}) for n, each in enumerate(params)]


async def test_only_as_many_run_as_may_and_those_that_sleep_do_not_count() -> None:
    """Two of four run; when they sleep the next two have their slots; all wake at once, and two go on at a time."""
    work = sleeping(Flow(limit=2))
    async with TestEngine.open([work]) as engine:
        instances = await _create(engine, work, {}, {}, {}, {})
        await engine.run_until_idle()
        running = await _statuses(instances)
        work.free.set()
        await engine.run_until_idle()
        asleep = await _statuses(instances)
        await engine.advance("1 hour")

        assert running == ["running", "running", "queued", "queued"]
        assert (asleep, work.began) == (["waiting"] * 4, [0, 1, 2, 3])
        assert await _statuses(instances) == ["complete"] * 4


async def test_one_that_wakes_queues_behind_those_that_wait() -> None:
    """A sleeper whose time is over is `queued` while no slot is free, says so to subscribers, and goes on in turn."""
    work = sleeping(Flow(limit=1))
    async with TestEngine.open([work]) as engine:
        work.free.set()
        first = await engine.create(work, id="first")
        await engine.run_until_idle()
        work.free.clear()
        second = await engine.create(work, id="second")
        await engine.advance("1 hour")
        queued = await first.status(), (await first.why()).reasons
        work.free.set()
        await engine.run_until_idle()

        assert (await first.status(), await second.status()) == ("complete", "waiting")
        (reason,) = queued[1]
        assert queued[0] == "queued"
        assert isinstance(reason, SlotAwaited)
        assert (reason.wait.held, reason.wait.most) == (1, 1)


async def test_workflows_without_a_flow_are_not_limited() -> None:
    """What declares nothing has no gate, and all of it runs."""
    work = sleeping(None)
    async with TestEngine.open([work]) as engine:
        instances = await _create(engine, work, *[{}] * 20)
        await engine.run_until_idle()

        assert await _statuses(instances) == ["running"] * 20
        assert (await engine.store.run(ListGates(ACCOUNT))).gates == []


async def test_keys_take_turns() -> None:
    """A key that has many waiting does not keep the one of another from its turn."""
    work = sleeping(Flow(limit=1, key="customer.id"))
    async with TestEngine.open([work]) as engine:
        ann, bob = {"customer": {"id": "ann"}}, {"customer": {"id": "bob"}}
        await _create(engine, work, ann, ann, ann, ann, bob, bob)
        work.free.set()
        await engine.run_until_idle()

        assert work.began == [0, 4, 1, 5, 2, 3]


async def test_of_a_key_only_so_many_run() -> None:
    """A limit of a key holds for each of its values, also for those without a value together."""
    work = sleeping(Flow(key="customer", limit_per_key=1))
    async with TestEngine.open([work]) as engine:
        given: list[dict[str, Any]] = [{"customer": 7}, {"customer": "7"}, {"customer": 8}, {}, {"customer": None}]
        instances = await _create(engine, work, *given)
        await engine.run_until_idle()

        assert await _statuses(instances) == ["running", "queued", "running", "running", "queued"]


async def test_no_more_start_in_a_period_than_the_rate_allows() -> None:
    """Of five, two start at once, two when a minute is over, and the last one a minute later."""
    work = sleeping(Flow(rate=Rate(2, "1 minute")))
    async with TestEngine.open([work]) as engine:
        work.free.set()
        instances = await _create(engine, work, *[{}] * 5)
        await engine.run_until_idle()
        began = [len(work.began)]
        (reason,) = (await instances[2].why()).reasons
        for ms in (59_999, 1, 59_999, 1):
            await engine.advance(ms)
            began.append(len(work.began))

        assert began == [2, 2, 4, 4, 5]
        assert isinstance(reason, SlotAwaited)
        assert reason.until == 1_790_000_060_000


async def test_rate_of_a_key_holds_back_no_other() -> None:
    """The second start of a key waits for its period; another key starts."""
    work = sleeping(Flow(key="k", rate_per_key=Rate(1, "1 minute")))
    async with TestEngine.open([work]) as engine:
        await _create(engine, work, {"k": "a"}, {"k": "a"}, {"k": "b"})
        await engine.run_until_idle()
        at_once = list(work.began)
        await engine.advance("1 minute")

        assert (at_once, work.began) == ([0, 2], [0, 2, 1])


async def test_priority_goes_first_and_waiting_makes_up_for_it() -> None:
    """The larger priority goes first; one level is made up for by a minute of waiting."""
    work = sleeping(Flow(limit=1, priority="urgency", ageing="1 minute"))
    async with TestEngine.open([work]) as engine:
        running = await engine.create(work, params={"n": "first"})
        await engine.create(work, params={"n": "plain"})
        await engine.create(work, params={"n": "later", "urgency": -1})
        await engine.advance("30 seconds")
        await engine.create(work, params={"n": "urgent", "urgency": 1})
        await engine.advance("2 minutes")
        await engine.create(work, params={"n": "too late", "urgency": 1})
        work.free.set()
        await engine.run_until_idle()

        assert work.began == ["first", "urgent", "plain", "later", "too late"]
        assert await running.status() == "waiting"


async def test_singleton_waits_until_the_one_before_has_ended() -> None:
    """Of a key the next one begins when the one before has ended, however long that sleeps."""
    work = sleeping(Flow(key="k", singleton="queue"))
    async with TestEngine.open([work]) as engine:
        work.free.set()
        first, second, other = await _create(engine, work, {"k": "a"}, {"k": "a"}, {"k": "b"})
        await engine.run_until_idle()
        before = await _statuses([first, second, other])
        await engine.advance("1 hour")

        assert before == ["waiting", "queued", "waiting"]
        assert await _statuses([first, second]) == ["complete", "waiting"]


async def test_singleton_that_is_ended_in_its_sleep_lets_the_next_begin() -> None:
    """A termination frees the key, also of one that has no slot."""
    work = sleeping(Flow(key="k", singleton="queue"))
    async with TestEngine.open([work]) as engine:
        work.free.set()
        first, second = await _create(engine, work, {"k": "a"}, {"k": "a"})
        await engine.run_until_idle()
        await first.terminate()
        await engine.run_until_idle()

        assert await second.status() == "waiting"


async def test_singleton_that_skips_answers_with_the_one_that_is_there() -> None:
    """Nothing is created while one of the key is unfinished; afterwards there is a new one."""
    work = sleeping(Flow(key="k", singleton="skip"))
    async with TestEngine.open([work]) as engine:
        work.free.set()
        first, again = await _create(engine, work, {"k": "a"}, {"k": "a"})
        await engine.advance("1 hour")
        later = await engine.create(work, id="later", params={"k": "a"})

        assert (first.id, again.id, later.id) == ("i0", "i0", "later")


async def test_child_of_a_singleton_is_not_skipped() -> None:
    """A parent awaits an instance of its own: it waits for its turn instead."""
    work = sleeping(Flow(key="k", singleton="skip"))

    class Parent(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.child("work", self.env.WORK, {"k": "a"})

    async with TestEngine.open([work, Parent]) as engine:
        work.free.set()
        await engine.create(work, params={"k": "a"})
        parent = await engine.create(Parent)
        await engine.advance("1 hour")
        await engine.advance("1 hour")

        assert await parent.output() == "done"


async def test_account_may_run_only_so_many() -> None:
    """The limit of an account holds for all its workflows together; the one that has waited longest goes first."""
    one, other = sleeping(None, "One"), sleeping(None, "Other")
    async with TestEngine.open([one, other]) as engine:
        await engine.engine.limit_account(ACCOUNT, 1)
        first = await engine.create(one, params={"n": 1})
        await engine.advance(1)
        second = await engine.create(other, params={"n": 2})
        await engine.advance(1)
        third = await engine.create(one, params={"n": 3})
        await engine.run_until_idle()
        before = await _statuses([first, second, third])
        one.free.set()
        await engine.run_until_idle()
        after = await _statuses([first, second, third])
        await engine.engine.limit_account(ACCOUNT, None)
        await engine.run_until_idle()

        assert before == ["running", "queued", "queued"]
        assert after == ["waiting", "running", "queued"]
        assert await _statuses([first, second, third]) == ["waiting", "running", "waiting"]


async def test_limit_that_comes_later_counts_what_runs() -> None:
    """What runs when a limit comes runs on, and counts; what comes afterwards waits until there is room."""
    one = sleeping(None, "One")
    async with TestEngine.open([one]) as engine:
        before = await _create(engine, one, {}, {}, {})
        await engine.run_until_idle()
        await engine.engine.limit_account(ACCOUNT, 2)
        later = await engine.create(one, id="later")
        await engine.run_until_idle()
        statuses = await _statuses([*before, later])
        await before[0].terminate()
        await engine.run_until_idle()
        still = await later.status()
        await before[1].terminate()
        await engine.run_until_idle()

        assert (statuses, still) == (["running"] * 3 + ["queued"], "queued")
        assert await later.status() == "running"


async def test_crash_keeps_the_slot() -> None:
    """What ran when its worker died goes on before what waits: it still has its slot."""
    work = sleeping(Flow(limit=1))
    async with TestEngine.open([work]) as engine:
        first, second = await _create(engine, work, {}, {})
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        await engine.run_until_idle()

        assert await _statuses([first, second]) == ["running", "queued"]
        assert work.began == [0, 0]


async def test_queue_that_is_full_takes_no_more() -> None:
    """As many wait as the setting allows; the next creation says what to do, and creates nothing."""
    work = sleeping(Flow(limit=1))
    async with TestEngine.open([work]) as engine:
        engine.engine.settings = Settings(queued_instances=1)
        await _create(engine, work, {}, {})
        with pytest.raises(QueueFull, match='1 instances of "work" are queued, and no more may be'):
            await engine.create(work, id="c")

        await engine.run_until_idle()
        assert [gate.queued for gate in (await engine.store.run(ListGates(ACCOUNT))).gates] == [1]


def test_no_more_are_created_in_a_second_than_may_be() -> None:
    """Three a second: the fourth is refused until the first is a second ago, and what is refused does not count."""
    rate = CreationRate(3, 0)
    rate.take("acme", "a", 2, 1_000)
    rate.take("acme", "b", 1, 1_400)
    with pytest.raises(CreatedTooFast, match='the account "acme" may have 3 new instances a second') as refused:
        rate.take("acme", "a", 1, 1_500)

    rate.take("other", "a", 3, 1_500)
    rate.take("acme", "a", 2, 2_000)
    with pytest.raises(CreatedTooFast):
        rate.take("acme", "a", 1, 2_399)
    rate.take("acme", "a", 1, 2_400)
    assert refused.value.retry_after_s == 1


def test_what_one_limit_refuses_counts_for_no_other() -> None:
    """A workflow that creates too fast takes nothing from what the account may create."""
    rate = CreationRate(2, 1)
    rate.take("acme", "a", 1, 1_000)
    for _ in range(3):
        with pytest.raises(CreatedTooFast, match='the workflow "a"'):
            rate.take("acme", "a", 1, 1_000)

    rate.take("acme", "b", 1, 1_000)


def test_more_at_once_than_a_second_may_have_is_not_to_be_tried_again() -> None:
    """A batch that is larger than the rate would never be let in: it is an error of the caller's, with what to do."""
    with pytest.raises(InvalidInput, match=r"5 instances at once are more than the 3 .* create fewer at a time"):
        CreationRate(3, 0).take("acme", "a", 5, 1_000)


def test_what_no_waiting_helps_against_is_said_first() -> None:
    """A batch too large for its workflow is not told to wait for the account, and to be refused then for good."""
    rate = CreationRate(5, 3)
    rate.take("acme", "a", 3, 1_000)

    with pytest.raises(InvalidInput, match="4 instances at once are more than the 3"):
        rate.take("acme", "b", 4, 1_000)


async def test_restart_of_what_is_not_there_counts_nothing() -> None:
    """Names that nobody has take nothing from what may be created, and none of them is remembered."""
    work = sleeping(None)
    async with TestEngine.open([work]) as engine:
        engine.engine.settings = Settings(creations_per_second=2, creations_per_second_of_workflow=2)
        engine.engine.__post_init__()
        for _ in range(3):
            with pytest.raises(WorkflowNotFound):
                await engine.engine.control.restart(ACCOUNT, "no such", "a")
            with pytest.raises(InstanceNotFound):
                await engine.engine.control.restart(ACCOUNT, "work", "none")

        await _create(engine, work, {}, {})
        with pytest.raises(CreatedTooFast):
            await engine.create(work, id="c")


async def test_creations_too_fast_create_nothing() -> None:
    """A batch that is over the rate is refused as a whole, before anything of it is done; restarts count."""
    work = sleeping(None)
    async with TestEngine.open([work]) as engine:
        engine.engine.settings = Settings(creations_per_second_of_workflow=2)
        engine.engine.__post_init__()
        (first,) = await _create(engine, work, {})
        with pytest.raises(CreatedTooFast):
            await engine.engine.create_batch(ACCOUNT, "work", [NewInstance(id) for id in "ab"])
        with pytest.raises(WorkflowNotFound):
            await engine.engine.create(ACCOUNT, "no such", NewInstance("x"))
        await engine.create(work, id="c")
        with pytest.raises(CreatedTooFast):
            await first.restart()


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        pytest.param({"limit": 2}, "W.flow must be a stepwell.Flow, got {'limit': 2}", id="dict"),
        pytest.param(Flow(limit=0), "W.flow: limit must be a whole number from 1 to 1,000,000, got 0", id="limit"),
        pytest.param(Flow(limit=True), "W.flow: limit must be a whole number", id="bool"),
        pytest.param(Flow(limit_per_key=1), "W.flow: limit_per_key needs a key", id="no key"),
        pytest.param(
            Flow(key="a..b"), 'W.flow: key must name a member of the params, such as "customer.id"', id="path"
        ),
        pytest.param(
            Flow(rate=_THREE), 'W.flow: rate must be a stepwell.Rate, such as Rate(100, "1 minute")', id="rate"
        ),
        pytest.param(Flow(rate=Rate(1, "soon")), "period must be a number of milliseconds", id="period"),
        pytest.param(Flow(singleton=_BOTH), 'singleton must be "queue" or "skip", got \'both\'', id="singleton"),
    ],
)
def test_flow_that_is_none_is_refused(flow: Any, said: str) -> None:
    """What an author declares wrongly is named with class, member, value and what it has to be."""
    with pytest.raises(ScriptError, match=re.escape(said)):
        to_text(flow, "W")


@pytest.mark.parametrize(
    ("flow", "params", "place"),
    [
        pytest.param(Flow(limit=1), '{"k": 1}', Place(), id="no key"),
        pytest.param(Flow(key="k"), '{"k": "ann"}', Place("ann"), id="text"),
        pytest.param(Flow(key="k"), '{"k": {"b": 1, "a": [2]}}', Place('{"a":[2],"b":1}'), id="object"),
        pytest.param(Flow(key="a.b"), '{"a": {"b": 3}}', Place("3"), id="member of a member"),
        pytest.param(Flow(key="a.b"), '{"a": 1}', Place(""), id="nothing there"),
        pytest.param(Flow(key="k"), "[1]", Place(""), id="no object"),
        pytest.param(Flow(priority="p", ageing=10), '{"p": -2}', Place("", -20), id="priority"),
    ],
)
def test_place_is_read_from_the_params(flow: Flow, params: str, place: Place) -> None:
    """Key and priority are members of the params; what is not there is the empty key, and no priority."""
    assert place_of(from_text(to_text(flow, "W")), params) == place


async def test_params_without_a_sound_place_are_refused() -> None:
    """A priority that is no number, or a key that is too long, is refused when an instance is created."""
    work = sleeping(Flow(key="k", priority="p"))
    async with TestEngine.open([work]) as engine:
        for params, said in (
            ({"p": "high"}, "params.p, the priority, must be a whole number from -100 to 100"),
            ({"k": "x" * 201}, "params.k, the key, must have at most 200 characters"),
        ):
            with pytest.raises(InvalidInput, match=said):
                await engine.create(work, params=params)
