"""Labels of instances: given at the creation, set by `run`; they decide nothing, and none is lost."""

from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.errors import InvalidInput, WorkflowFatalError
from stepwell.limits import LABELS
from stepwell.settings import TurnSettings
from stepwell.store.label_operations import SetLabels
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.transfers import export, import_next
from tests.engine.flows import ONCE, error_of, opened, restart, workflow
from tests.engine.stores import CheckedStore
from tests.engine.ways import Job, every_way, outcome


class Labelled(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.set_labels({"stage": "begun", "gone": "soon"})
        amount = await step.do("charge", lambda: 7, config={"retries": {"limit": 9, "delay": 0}})
        await step.set_labels({"stage": "charged", "amount": str(amount), "gone": None})
        await step.sleep("nap", "1 hour")
        await step.set_labels({"stage": "done"})
        return amount


LABELLED = {"amount": "7", "stage": "done"}


async def test_labels_are_the_same_after_any_crash() -> None:
    """Whatever write a worker dies after, the labels at the end are those of a run without a crash."""
    assert await every_way(Job(Labelled)) == 7

    assert (await outcome(Job(Labelled), CheckedStore())).labels == LABELLED


async def test_labels_are_stored_when_the_call_returns() -> None:
    """What the code goes on with finds them in the store."""
    found: list[dict[str, str]] = []

    async def run(event, step):
        await step.set_labels({"a": "1"})
        found.append(await instance.labels())

    async with opened(run) as (engine, instance):
        await engine.run_until_idle()

    assert found == [{"a": "1"}]


async def test_replay_sets_nothing_again() -> None:
    """A call that is stored is passed over by every later turn."""

    class Counting(CheckedStore):
        calls = 0

        def run(self, operation: Any) -> Any:
            self.calls += isinstance(operation, SetLabels)
            return super().run(operation)

    store = Counting()
    async with TestEngine.open([Labelled], store=store, settings=TurnSettings(parks_always=True)) as engine:
        instance = await engine.create(Labelled)
        await engine.run_until_idle()
        await restart(engine)
        await engine.advance("2 hours")

        assert (await instance.status(), await instance.labels()) == ("complete", LABELLED)
    assert store.calls == 3
    await store.close()


async def test_code_changes_what_was_given() -> None:
    """A label of the creation can be set anew, and taken away."""

    async def run(event, step):
        await step.set_labels({"kind": "late", "region": None, "none": None})

    flow = workflow(run)
    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow, labels={"kind": "new", "region": "eu", "by": "ann"})
        await engine.run_until_idle()

        assert await instance.labels() == {"by": "ann", "kind": "late"}


@pytest.mark.parametrize("at", [pytest.param(None, id="as a whole"), pytest.param("charge", id="from a step")])
async def test_restart_keeps_what_was_given(at: str | None) -> None:
    """What the code has set is gone with a restart; the code sets it again as far as it gets."""
    async with TestEngine.open([Labelled]) as engine:
        instance = await engine.create(Labelled, labels={"by": "ann", "stage": "given"})
        await engine.run_until_idle()
        before = await instance.labels()
        await engine.crash()
        await instance.restart(at)
        given = await instance.labels()

        await engine.start_worker()
        await engine.advance("2 hours")

        assert before == {"amount": "7", "by": "ann", "stage": "charged"}
        assert given == {"by": "ann", "stage": "given"}
        assert await instance.labels() == {"by": "ann", **LABELLED}


HOSTILE = [
    pytest.param({"": "x"}, "the name of a label must be 1 to 64 letters", id="no name"),
    pytest.param({"a=b": "x"}, "the name of a label must be", id="a sign in a name"),
    pytest.param({"n" * 65: "x"}, "the name of a label must be", id="a long name"),
    pytest.param({"größe": "x"}, "the name of a label must be", id="a name beyond ASCII"),
    pytest.param({1: "x"}, "the name of a label must be", id="a number for a name"),
    pytest.param({"a": ""}, "the value of the label a must be a text of 1 to 256 characters", id="no value"),
    pytest.param({"a": "v" * 257}, "the value of the label a must be", id="a long value"),
    pytest.param({"a": "x\x1b[31m"}, "the value of the label a must be", id="an escape"),
    pytest.param({"a": "x\0"}, "the value of the label a must be", id="NUL"),
    pytest.param({"a": "x\ny"}, "the value of the label a must be", id="two lines"),
    pytest.param({"a": "x\N{LINE SEPARATOR}y"}, "the value of the label a must be", id="two lines in Unicode"),
    pytest.param({"a": "x\N{RIGHT-TO-LEFT OVERRIDE}y"}, "the value of the label a must be", id="another direction"),
    pytest.param({"a": "x\N{LEFT-TO-RIGHT ISOLATE}y"}, "the value of the label a must be", id="an isolate"),
    pytest.param({"a": "\ud83d"}, "the value of the label a must be", id="half a character"),
    pytest.param({"a": 5}, "the value of the label a must be .* got 5", id="a number"),
    pytest.param({f"n{n}": "x" for n in range(LABELS + 1)}, "there are 17 labels; at most 16", id="too many"),
    pytest.param(["a"], "labels must be an object", id="a list"),
]


@pytest.mark.parametrize(("labels", "message"), HOSTILE)
async def test_labels_that_break_a_rule_are_refused_at_creation(labels: Any, message: str) -> None:
    """The error names the label, its value and the rule; nothing is created."""
    async with TestEngine.open([Labelled]) as engine:
        with pytest.raises(InvalidInput, match=message):
            await engine.create(Labelled, labels=labels)

        assert (await engine.engine.workflow("local", "labelled")).counts == {}


@pytest.mark.parametrize(("labels", "message"), HOSTILE)
async def test_labels_that_break_a_rule_are_an_error_of_the_code(labels: Any, message: str) -> None:
    """It ends the instance, if nobody catches it."""

    async def run(event, step):
        await step.set_labels(labels)

    error = await error_of(run)

    assert error is not None
    assert error.name == "WorkflowFatalError"
    assert message.partition(" .*")[0] in error.message


async def test_texts_of_any_language_come_back_as_they_were() -> None:
    """What is neither a control nor a direction is a value like any other."""
    values = {"a": "größer \U0001f600", "b/c.d": "שלום", "e": "' \"%_\\", "f": "x" * 256}
    async with TestEngine.open([Labelled]) as engine:
        instance = await engine.create(Labelled, labels=values)

        assert await instance.labels() == values


async def test_code_sets_a_bounded_number_of_labels() -> None:
    """The name that is one too many is refused, on the first run as on replay; those that are set may be set again."""
    refused: list[str] = []

    async def run(event, step):
        for number in range(LABELS):
            await step.set_labels({f"n{number}": "1"})
        await step.set_labels({"n0": "2"})
        try:
            await step.set_labels({"more": "1"})
        except WorkflowFatalError as error:
            refused.append(str(error))
        await step.sleep("nap", "1 hour")
        await step.set_labels({"n1": "3"})

    async with opened(run, settings=TurnSettings(parks_always=True)) as (engine, instance):
        await engine.advance("2 hours")
        labels = await instance.labels()

    assert labels == {f"n{number}": "1" for number in range(LABELS)} | {"n0": "2", "n1": "3"}
    assert len(refused) == 2
    assert refused[0] == refused[1]
    assert refused[0].startswith("set_labels: the code has set 16 labels, and sets more as well; at most 16 names")


async def test_body_of_a_step_sets_no_labels() -> None:
    """A replay would not run it: the error says what to do."""

    async def run(event, step):
        async def work():
            await step.set_labels({"a": "1"})

        await step.do("work", work, config=ONCE)

    error = await error_of(run)

    assert error is not None
    assert "labels are set by `run` itself, not in the body of a step" in error.message


async def test_binding_creates_with_labels_and_reads_them() -> None:
    """Code that creates an instance gives it labels, and its handle tells them."""
    found: dict[str, str] = {}

    class Caller(WorkflowEntrypoint):
        async def run(self, event, step):
            other = await self.env.LABELLED.create(id="b", labels={"by": "caller"})
            found.update(await other.labels())

    async with TestEngine.open([Caller, Labelled]) as engine:
        await engine.create(Caller)
        await engine.run_until_idle()

    assert found["by"] == "caller"


async def test_labels_move_with_an_instance() -> None:
    """An instance that is brought in elsewhere has its labels, and its code sets none of them again."""
    async with TestEngine.open([Labelled]) as engine, TestEngine.open([Labelled], clock=engine.clock) as other:
        instance = await engine.create(Labelled, id="a", labels={"by": "ann", "stage": "given"})
        await engine.run_until_idle()
        lines = [line async for line in export(engine.store, ACCOUNT, "labelled", "a")]
        await engine.crash()

        await import_next(other.store, ACCOUNT, iter(enumerate(lines, 1)))
        there = other.instance(Labelled, "a")
        at_first = await there.labels()
        await other.advance("2 hours")

        assert at_first == await instance.labels()
        assert (await there.status(), await there.labels()) == ("complete", {"by": "ann", **LABELLED})
        await there.restart()
        await other.crash()
        assert await there.labels() == {"by": "ann", "stage": "given"}
