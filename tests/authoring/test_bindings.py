"""`env.MY_WORKFLOW`: instances of another workflow, made and spoken to from code."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    InvalidInstanceId,
    StepFailed,
)
from stepwell.testing import TestEngine
from tests.engine.flows import ONCE

UUID_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Child(WorkflowEntrypoint):
    async def run(self, event, step):
        match event["payload"]:
            case {"fails": message}:
                raise ValueError(message)
            case {"waits": event_type}:
                return (await step.wait_for_event("wait", event_type))["payload"]
        return event["payload"]


class Other(WorkflowEntrypoint):
    async def run(self, event, step):
        return "other"


class Parent(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("start")
        async def start():
            return (await self.env.CHILD.create({"params": {"n": 5}})).id

        child = await start()
        await step.sleep("nap", "1 hour")

        @step.do("look")
        async def look():
            return await (await self.env.CHILD.get(child)).status()

        return await look()


class Careful(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            await step.do("look", self.env.CHILD.get, "nobody", config=ONCE)
        except StepFailed as error:
            return [error.name, str(error)]


@pytest.fixture
async def engine() -> AsyncIterator[TestEngine]:
    """Open an engine of four workflows."""
    async with TestEngine.open([Child, Other, Parent, Careful]) as engine:
        yield engine


# ---- create


async def test_create_gives_a_handle_of_an_instance_with_these_params(engine: TestEngine) -> None:
    """`create` takes an id and params, and returns the instance.

    Source: developers.cloudflare.com/workflows/build/workers-api/#create
    """
    handle = await engine.env.CHILD.create({"id": "a", "params": {"n": 5}})
    await engine.run_until_idle()

    assert (handle.id, await engine.instance(Child, "a").output()) == ("a", {"n": 5})


async def test_create_without_an_id_makes_a_uuid(engine: TestEngine) -> None:
    """An id that is not given is a UUID of version 4, another one each time.

    Source: developers.cloudflare.com/workflows/build/workers-api/#create
    """
    ids = [(await engine.env.CHILD.create()).id for _ in range(3)]

    assert len(set(ids)) == 3
    assert all(UUID_V4.fullmatch(id) for id in ids)


async def test_create_without_params_has_an_empty_payload(engine: TestEngine) -> None:
    """`event["payload"]` is `{}` then.

    Source: github.com/cloudflare/workers-sdk (packages/workflows-shared, src/binding.ts)
    """
    await engine.env.CHILD.create({"id": "a"})
    await engine.run_until_idle()

    assert await engine.instance(Child, "a").output() == {}


async def test_create_takes_cloudflares_other_options(engine: TestEngine) -> None:
    """`retention` says how long it is kept after its end, in either spelling; `locationHint` is without effect here.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowinstancecreateoptions
    """
    retention = {"successRetention": "1 day", "errorRetention": 5000}
    await engine.env.CHILD.create({"id": "a", "retention": retention, "locationHint": "weur"})
    await engine.env.CHILD.create(id="b", retention={"success_retention": "1 day"})
    await engine.env.CHILD.create(id="c", retention={"errorRetention": 5})

    await engine.advance("23 hours")
    before = [await engine.instance(Child, id).status() for id in "abc"]
    await engine.advance("1 hour")

    assert before == ["complete", "complete", "complete"]
    assert await engine.instance(Child, "c").status() == "complete"
    for id in "ab":
        with pytest.raises(InstanceNotFound):
            await engine.instance(Child, id).status()


@pytest.mark.parametrize(
    ("retention", "problem"),
    [
        pytest.param("1 day", "`retention` must be such as", id="text"),
        pytest.param({"success": 1}, "`retention` must be such as", id="unknown"),
        pytest.param({"successRetention": "soon"}, "retention.successRetention must be a number of", id="words"),
        pytest.param({"errorRetention": "101 years"}, "at most 3153600000000 milliseconds", id="too long"),
    ],
)
async def test_wrong_retention_is_refused(engine: TestEngine, retention: object, problem: str) -> None:
    """The error names what is wrong, and nothing is created.

    Source: developers.cloudflare.com/workflows/build/workers-api/#workflowinstancecreateoptions
    """
    with pytest.raises(InvalidInput, match=re.escape(problem)):
        await engine.env.CHILD.create(id="a", retention=retention)

    with pytest.raises(InstanceNotFound):
        await engine.env.CHILD.get("a")


@pytest.mark.parametrize("ends", [pytest.param(False, id="queued"), pytest.param(True, id="complete")])
async def test_id_that_is_taken_is_refused(engine: TestEngine, *, ends: bool) -> None:
    """An id is unique within its workflow, and stays taken when its instance has ended.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    await engine.env.CHILD.create({"id": "a"})
    if ends:
        await engine.run_until_idle()

    with pytest.raises(InstanceAlreadyExists):
        await engine.env.CHILD.create({"id": "a"})


async def test_id_may_be_that_of_another_workflows_instance(engine: TestEngine) -> None:
    """Ids of different workflows have nothing to do with each other.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    await engine.env.CHILD.create({"id": "a", "params": {"n": 5}})
    await engine.env.OTHER.create({"id": "a"})
    await engine.run_until_idle()

    assert await engine.instance(Child, "a").output() == {"n": 5}
    assert await engine.instance(Other, "a").output() == "other"


@pytest.mark.parametrize(
    "id",
    [
        pytest.param("", id="empty"),
        pytest.param("-a", id="dash first"),
        pytest.param("a b", id="space"),
        pytest.param("x" * 101, id="101 characters"),
    ],
)
async def test_id_that_breaks_the_rule_is_refused(engine: TestEngine, id: str) -> None:
    """An id is up to 100 letters, digits, dashes and underscores.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    assert (await engine.env.CHILD.create({"id": "x" * 100})).id == "x" * 100
    with pytest.raises(InvalidInstanceId):
        await engine.env.CHILD.create({"id": id})


async def test_params_may_have_1_mib_of_json(engine: TestEngine) -> None:
    """Params of 2**20 bytes are taken, and one byte more is refused.

    Source: developers.cloudflare.com/workflows/reference/limits/
    """
    await engine.env.CHILD.create({"id": "a", "params": "x" * 1_048_574})

    with pytest.raises(InvalidInput, match="1,048,577 bytes as JSON; at most 1,048,576 are allowed"):
        await engine.env.CHILD.create({"id": "b", "params": "x" * 1_048_575})


# ---- create_batch


async def test_batch_of_a_list_passes_over_ids_that_exist(engine: TestEngine) -> None:
    """Of a list, the instances that were created are returned, in order.

    Source: developers.cloudflare.com/workflows/build/workers-api/#createbatch
    """
    await engine.env.CHILD.create({"id": "b"})

    created = await engine.env.CHILD.create_batch([{"id": "a", "params": {"n": 1}}, {"id": "b"}, {"id": "c"}])
    await engine.run_until_idle()

    assert [handle.id for handle in created] == ["a", "c"]
    assert await engine.instance(Child, "a").output() == {"n": 1}


async def test_batch_of_an_object_tells_what_was_not_created(engine: TestEngine) -> None:
    """Of `{"instances": [...]}` an id that exists is error 10405, one that is twice in the batch 10415.

    Source: developers.cloudflare.com/workflows/build/workers-api/#createbatch
    """
    await engine.env.CHILD.create({"id": "a"})

    told = await engine.env.CHILD.create_batch({"instances": [{"id": "a"}, {"id": "b"}, {"id": "b"}]})

    assert [handle.id for handle in told["created"]] == ["b"]
    assert [(error["index"], error["id"], error["code"]) for error in told["errors"]] == [
        (0, "a", 10405),
        (2, "b", 10415),
    ]
    assert [sorted(error) for error in told["errors"]] == [["code", "id", "index", "message"]] * 2


async def test_batch_of_a_count_shares_its_options(engine: TestEngine) -> None:
    """Of `{"count": n, ...}` so many instances with the same options are created.

    Source: developers.cloudflare.com/workflows/build/workers-api/#createbatch
    """
    told = await engine.env.CHILD.create_batch({"count": 3, "params": {"n": 5}})
    await engine.run_until_idle()

    assert [await engine.instance(Child, handle.id).output() for handle in told["created"]] == [{"n": 5}] * 3
    assert told["errors"] == []


@pytest.mark.parametrize(
    ("batch", "count"),
    [
        pytest.param([{}], 1, id="one"),
        pytest.param([{}] * 100, 100, id="100"),
        pytest.param([], None, id="none"),
        pytest.param([{}] * 101, None, id="101"),
        pytest.param({"count": 0}, None, id="count of none"),
        pytest.param({"count": 101}, None, id="count of 101"),
    ],
)
async def test_batch_has_1_to_100_instances(engine: TestEngine, batch: Any, count: int | None) -> None:
    """Fewer than one or more than 100 are refused, and nothing is created.

    Source: developers.cloudflare.com/workflows/build/workers-api/#createbatch
    """
    if count is None:
        with pytest.raises(InvalidInput):
            await engine.env.CHILD.create_batch(batch)
    else:
        await engine.env.CHILD.create_batch(batch)

    counts = (await engine.engine.workflow("local", "child")).counts
    assert sum(counts.values()) == (count or 0)


# ---- get and the instance


async def test_get_returns_the_instance(engine: TestEngine) -> None:
    """`get` gives a handle of an instance that exists.

    Source: developers.cloudflare.com/workflows/build/workers-api/#get
    """
    await engine.env.CHILD.create({"id": "a"})

    assert (await engine.env.CHILD.get("a")).id == "a"


async def test_get_of_an_unknown_id_is_refused(engine: TestEngine) -> None:
    """An id that no instance of the workflow has is an error.

    Source: developers.cloudflare.com/workflows/build/workers-api/#get
    """
    await engine.env.OTHER.create({"id": "a"})

    with pytest.raises(InstanceNotFound, match=r"^instance\.not_found: "):
        await engine.env.CHILD.get("a")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        pytest.param({"n": 5}, {"status": "complete", "error": None, "output": {"n": 5}}, id="complete"),
        pytest.param(
            {"fails": "bad"},
            {"status": "errored", "error": {"name": "ValueError", "message": "bad"}, "output": None},
            id="errored",
        ),
        pytest.param({"waits": "go"}, {"status": "waiting", "error": None, "output": None}, id="waiting"),
    ],
)
async def test_status_has_status_error_and_output(engine: TestEngine, params: Any, status: Any) -> None:
    """`status()` tells how the instance is, its error with name and message, and its output; nothing of its steps.

    Source: developers.cloudflare.com/workflows/build/workers-api/#instancestatus
    """
    handle = await engine.env.CHILD.create({"params": params})
    await engine.run_until_idle()

    assert await handle.status() == status


async def test_status_of_an_instance_that_has_not_begun_is_queued(engine: TestEngine) -> None:
    """A new instance is queued until a worker takes it.

    Source: developers.cloudflare.com/workflows/build/workers-api/#instancestatus
    """
    await engine.crash()

    handle = await engine.env.CHILD.create()

    assert await handle.status() == {"status": "queued", "error": None, "output": None}


async def test_event_is_sent_with_type_and_payload(engine: TestEngine) -> None:
    """`send_event` takes a dict with `type` and `payload`, which the wait of that type gets.

    Source: developers.cloudflare.com/workflows/build/workers-api/#sendevent
    """
    handle = await engine.env.CHILD.create({"params": {"waits": "go"}})
    await handle.send_event({"type": "go", "payload": {"by": "ann"}})
    await engine.run_until_idle()

    assert (await handle.status())["output"] == {"by": "ann"}


async def test_event_for_an_instance_that_failed_is_refused(engine: TestEngine) -> None:
    """`send_event` raises where nothing could get the event.

    Source: developers.cloudflare.com/workflows/build/workers-api/#sendevent
    """
    handle = await engine.env.CHILD.create({"params": {"fails": "bad"}})
    await engine.run_until_idle()

    with pytest.raises(InstanceFinished):
        await handle.send_event({"type": "go"})


async def test_workflow_starts_another_in_a_step(engine: TestEngine) -> None:
    """`self.env` has the binding; in a step, the other instance is created once however often `run` is replayed.

    Source: developers.cloudflare.com/workflows/build/rules-of-workflows/
    """
    parent = await engine.create(Parent)
    await engine.advance("1 day")

    assert await parent.output() == {"status": "complete", "error": None, "output": {"n": 5}}
    assert (await engine.engine.workflow("local", "child")).counts == {"complete": 1}


async def test_error_of_a_binding_can_be_caught(engine: TestEngine) -> None:
    """What a binding refuses in a step is the step's error, with its name and message.

    Source: developers.cloudflare.com/workflows/build/workers-api/#get
    """
    careful = await engine.create(Careful)
    await engine.run_until_idle()

    assert await careful.output() == [
        "InstanceNotFound",
        'instance.not_found: no instance "nobody" in workflow "child"',
    ]
