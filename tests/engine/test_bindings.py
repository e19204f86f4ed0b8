"""`self.env`: the workflows that a workflow can start and speak to, and its variables."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.bindings import WorkflowBinding
from stepwell.engine import Engine, NewInstance
from stepwell.env import Env
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    NoFailedRollback,
    NotSerialisable,
)
from stepwell.newest_versions import Checked
from stepwell.testing import ACCOUNT, TestEngine
from tests.crash.server import DevServer, run_dev


@dataclass
class Order:
    item: str
    due: date


class Child(WorkflowEntrypoint):
    async def run(self, event, step):
        if event["payload"].get("fails"):
            raise ValueError("bad")
        if event["payload"].get("waits"):
            return (await step.wait_for_event("wait", "go"))["payload"]
        return event["payload"]


class Parent(WorkflowEntrypoint):
    # What to do with the binding.
    work: Callable[[Any, Any], Awaitable[Any]]

    async def run(self, event, step):
        return await type(self).work(self.env.CHILD, step)


async def does(work: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """Return what a workflow gets of the binding of another."""
    flow = type("Parent", (Parent,), {"work": staticmethod(work), "__module__": __name__})
    async with TestEngine.open([flow, Child]) as engine:
        instance = await engine.create(flow)
        await engine.run_until_idle()
        error = await instance.error()
        if error is not None:
            return error.name, error.message
        return await instance.output()


async def test_workflow_starts_another_and_sees_how_it_ends() -> None:
    """`create` in both forms gives a handle, whose `status` tells status, error and output."""

    async def work(binding, step):
        one = await binding.create({"id": "one", "params": {"n": 1}})
        two = await binding.create(id="two", params={"fails": True})
        three = await binding.create()
        await step.sleep("nap", 500)
        return [one.id, await one.status(), await two.status(), len(three.id), (await binding.get("one")).id]

    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="x")
        await engine.run_until_idle()
        assert (await handle.status())["status"] == "complete"
    flow = type("Parent", (Parent,), {"work": staticmethod(work), "__module__": __name__})
    async with TestEngine.open([flow, Child]) as engine:
        instance = await engine.create(flow)
        await engine.advance("1 minute")

        assert await instance.output() == [
            "one",
            {"status": "complete", "error": None, "output": {"n": 1}},
            {"status": "errored", "error": {"name": "ValueError", "message": "bad"}, "output": None},
            36,
            "one",
        ]
        view = await engine.engine.get("local", "child", "one")
        assert view.row.trigger == "binding"


async def test_params_are_said_in_plain_json() -> None:
    """Typed params arrive as the JSON that is natural for them."""

    async def work(binding, step):
        handle = await binding.create(id="a", params=Order("book", date(2026, 1, 2)))
        return (await handle.status())["status"]

    flow = type("Parent", (Parent,), {"work": staticmethod(work), "__module__": __name__})
    async with TestEngine.open([flow, Child]) as engine:
        await engine.create(flow)
        await engine.run_until_idle()

        assert await engine.instance(Child, "a").output() == {"item": "book", "due": "2026-01-02"}


async def test_handle_gives_what_the_api_answers() -> None:
    """`get` has logs and status in the API's shape; `order` turns the steps round, `simple` leaves them out."""

    class TwoSteps(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.do("one", lambda: {"a": 1})
            await step.sleep("two", 5)
            return event["payload"]

    async with TestEngine.open([TwoSteps]) as engine:
        handle = await engine.env.TWO_STEPS.create(id="a", params={"n": 1})
        await engine.advance("1 second")

        whole = await handle.get()
        turned = await handle.get(order="desc")
        brief = await handle.get(simple=True)
        with pytest.raises(InvalidInput, match="order must be one of asc, desc, got 'up'"):
            await handle.get(order="up")

    assert (whole["status"], whole["params"], whole["trigger"]) == ("complete", {"n": 1}, {"source": "binding"})
    assert (whole["output"], whole["success"], whole["step_count"]) == ('{"n":1}', True, 2)
    assert [(step["type"], step["name"]) for step in whole["steps"]] == [("step", "one-1"), ("sleep", "two-1")]
    assert whole["steps"][0]["output"] == '{"a":1}'
    assert turned == {**whole, "steps": whole["steps"][::-1]}
    assert brief == {**whole, "steps": []}


async def test_event_is_sent_through_the_handle() -> None:
    """`send_event` takes a dict, as on Cloudflare, or keywords."""

    async def work(binding, step):
        for id, send in (("a", "send_event"), ("b", "sendEvent")):
            handle = await binding.create(id=id, params={"waits": True})
            await getattr(handle, send)({"type": "go", "payload": id})
        c = await binding.create(id="c", params={"waits": True})
        await c.send_event(type="go", payload={"by": "ann"})

    flow = type("Parent", (Parent,), {"work": staticmethod(work), "__module__": __name__})
    async with TestEngine.open([flow, Child]) as engine:
        await engine.create(flow)
        await engine.run_until_idle()

        assert [await engine.instance(Child, id).output() for id in "abc"] == ["a", "b", {"by": "ann"}]


async def test_batch_creates_what_is_not_there() -> None:
    """Of a list the new ones are returned; of an object also why the others were not made."""

    async def work(binding, step):
        first = await binding.create_batch([{"id": "a"}, {"id": "b", "params": {"n": 1}}])
        again = await binding.createBatch([{"id": "b"}, {"id": "c"}])
        told = await binding.create_batch({"instances": [{"id": "c"}, {"id": "d"}, {"id": "d"}]})
        many = await binding.create_batch({"count": 3, "params": {"n": 5}})
        return [
            [handle.id for handle in first],
            [handle.id for handle in again],
            [handle.id for handle in told["created"]],
            [(error["index"], error["id"], error["code"]) for error in told["errors"]],
            len(many["created"]),
        ]

    assert await does(work) == [["a", "b"], ["c"], ["d"], [(0, "c", 10405), (2, "d", 10415)], 3]


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        pytest.param(lambda binding: binding.get("nobody"), InstanceNotFound, id="unknown id"),
        pytest.param(lambda binding: binding.create(id="taken"), InstanceAlreadyExists, id="id that is taken"),
        pytest.param(lambda binding: binding.create(colour="red"), InvalidInput, id="unknown option"),
        pytest.param(lambda binding: binding.create(params=object()), Exception, id="params that are no JSON"),
        pytest.param(lambda binding: binding.create(id=5), InvalidInput, id="id that is no text"),
        pytest.param(lambda binding: binding.create_batch([]), InvalidInput, id="no instance"),
        pytest.param(lambda binding: binding.create_batch(None), InvalidInput, id="no batch"),
        pytest.param(lambda binding: binding.create_batch({"instances": 5}), InvalidInput, id="no list"),
        pytest.param(lambda binding: binding.create_batch(["a"]), InvalidInput, id="options that are no dict"),
        pytest.param(lambda binding: binding.create_batch({"count": True}), InvalidInput, id="count that is a bool"),
        pytest.param(lambda binding: binding.create_batch([{}] * 101), InvalidInput, id="too many"),
        pytest.param(lambda binding: binding.create_batch({"count": 10**9}), InvalidInput, id="far too many"),
        pytest.param(lambda binding: binding.create_batch({"count": "3"}), InvalidInput, id="count that is no number"),
    ],
)
async def test_what_cannot_be_is_refused(work: Any, kind: type[Exception]) -> None:
    """Each refusal is an error that a workflow can catch."""
    async with TestEngine.open([Child]) as engine:
        await engine.create(Child, id="taken")

        with pytest.raises(kind):
            await work(engine.env.CHILD)


async def test_batch_with_a_wrong_instance_creates_none() -> None:
    """All instances of a batch are checked before the first is made."""
    async with TestEngine.open([Child]) as engine:
        for wrong in ({"id": "not an id"}, {"params": object()}, {"colour": "red"}):
            with pytest.raises((InvalidInput, NotSerialisable)):
                await engine.env.CHILD.create_batch([{"id": "a"}, wrong])

        with pytest.raises(InstanceNotFound):
            await engine.env.CHILD.get("a")


async def test_batch_is_checked_once() -> None:
    """What is known to be right when the first instance is made is not asked again for each."""
    checked: list[str | None] = []

    class Asked(Engine):
        async def check(self, account: str, workflow: str, new: NewInstance) -> Checked:
            checked.append(new.id)
            return await super().check(account, workflow, new)

    async with TestEngine.open([Child]) as engine:
        binding = WorkflowBinding(Asked(engine.store, engine.clock), ACCOUNT, "child")
        await binding.create_batch([{"id": "a"}, {"id": "b"}])

        assert checked == ["a", "b"]


async def test_event_that_cannot_be_sent_is_refused() -> None:
    """An event needs a type, and an instance that has not ended."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="a")
        with pytest.raises(InvalidInput, match="needs a `type`"):
            await handle.send_event({"payload": 5})
        await engine.run_until_idle()
        with pytest.raises(InstanceFinished):
            await handle.send_event(type="go")


async def test_instance_is_controlled_through_the_handle() -> None:
    """`pause`, `resume`, `restart`, `terminate`, `delete` do what their names say; what they write says `binding`."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="a", params={"waits": True})
        await engine.run_until_idle()
        statuses = []
        for change in (handle.pause, handle.resume, handle.restart, handle.terminate):
            await change()
            statuses.append((await handle.status())["status"])
        assert statuses == ["paused", "queued", "queued", "terminated"]
        assert (await handle.get())["steps"] == [{"type": "termination", "trigger": {"source": "binding"}}]

        await handle.delete()

        with pytest.raises(InstanceNotFound):
            await handle.status()


async def test_log_is_read_through_the_handle() -> None:
    """Lines in their order, as the HTTP API has them, behind the one of a number."""

    class Says(WorkflowEntrypoint):
        async def run(self, event, step):
            step.log("first")
            await step.do("work", lambda: step.log("second"))

    async with TestEngine.open([Says]) as engine:
        handle = await engine.env.SAYS.create(id="a")
        await engine.run_until_idle()

        lines = await handle.logs()

        assert [(line["n"], line["step"], line["attempt"], line["level"], line["text"]) for line in lines] == [
            (1, None, None, "INFO", "first"),
            (2, "work-1", 1, "INFO", "second"),
        ]
        assert await handle.logs(after=1) == lines[1:]
        assert lines[0]["at"].endswith("Z")
        with pytest.raises(InvalidInput, match="logs: `after` must be the number of a line, got -1"):
            await handle.logs(after=-1)


async def test_steps_are_decided_by_hand_through_the_handle() -> None:
    """Each method does what its name says; who did it is `binding`."""

    class Stuck(WorkflowEntrypoint):
        async def run(self, event, step):
            async def flaky(ctx):
                if ctx.attempt == 1:
                    raise ValueError("not yet")
                return ctx.attempt

            first = await step.do("flaky", flaky, config={"retries": {"limit": 1, "delay": "1 day"}})
            await step.sleep("nap", "1 day")
            second = await step.do("hangs", asyncio.Event().wait)
            third = (await step.wait_for_event("asks", "asked"))["payload"]
            try:
                await step.do("hangs too", asyncio.Event().wait)
            except LookupError as error:
                return [first, second, third, str(error)]

    async with TestEngine.open([Stuck]) as engine:
        handle = await engine.env.STUCK.create(id="a")
        for decide in (
            lambda: handle.retry_step("flaky-1"),
            lambda: handle.skip_sleep("nap-1"),
            lambda: handle.complete_step("hangs-1", {"n": 1}),
            lambda: handle.complete_step("asks-1", "yes", type="waitForEvent"),
            lambda: handle.fail_step("hangs too-1", LookupError("gone")),
        ):
            await engine.run_until_idle()
            await decide()
        await engine.run_until_idle()

        assert (await handle.status())["output"] == [2, {"n": 1}, "yes", "gone"]
        decided = await engine.engine.forcing.decisions((await engine.instance(Stuck, "a").view()).row.row)
        assert [(record.action, record.by) for record in reversed(decided)] == [
            *(("retry", "binding"), ("skip", "binding"), ("complete", "binding")),
            *(("complete", "binding"), ("fail", "binding")),
        ]
        with pytest.raises(InvalidInput, match="retry: `type` must be one of step, rollback, got 'sleep'"):
            await handle.retry_step("nap-1", type="sleep")
        with pytest.raises(InstanceFinished):
            await handle.skip_sleep("nap-1")
        with pytest.raises(NoFailedRollback):
            await handle.resume_rollback()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(({"from": {"name": "wait", "type": "waitForEvent"}},), id="dict"),
        pytest.param(({"from": {"name": "wait", "count": 1, "type": "waitForEvent"}},), id="all members"),
    ],
)
async def test_handle_restarts_from_a_step(given: tuple[Any, ...]) -> None:
    """`restart` takes the step to begin at as Cloudflare has it."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="a", params={"waits": True})
        await handle.send_event(type="go")
        await engine.run_until_idle()
        assert (await handle.status())["status"] == "complete"

        await handle.restart(*given)
        await engine.run_until_idle()

        assert (await handle.status())["status"] == "waiting"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("wait", id="text"),
        pytest.param({}, id="no name"),
        pytest.param({"name": 5}, id="name that is no text"),
        pytest.param({"name": "wait", "count": 0}, id="count of none"),
        pytest.param({"name": "wait", "type": "step"}, id="unknown type"),
        pytest.param({"name": "wait", "colour": "red"}, id="unknown member"),
    ],
)
async def test_step_to_restart_from_is_checked(wrong: Any) -> None:
    """What names no step is refused, with what it has to be like."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="a")
        await engine.run_until_idle()

        with pytest.raises(InvalidInput, match="restart: `from` must be such as"):
            await handle.restart(from_=wrong)

        assert (await handle.status())["status"] == "complete"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda handle: handle.terminate({"rolback": True}),
            'terminate: the option "rolback" is not known; it takes rollback',
            id="terminate",
        ),
        pytest.param(
            lambda handle: handle.terminate({"rollback": "yes"}),
            "terminate: `rollback` must be True or False, got 'yes'",
            id="rollback that is no bool",
        ),
        pytest.param(
            lambda handle: handle.restart({"form": {"name": "wait", "type": "waitForEvent"}}),
            'restart: the option "form" is not known; it takes from, from_',
            id="restart",
        ),
    ],
)
async def test_change_with_an_option_that_there_is_not_is_refused(change: Any, message: str) -> None:
    """What is written wrong would be passed over otherwise, and something else done; the instance is as it was."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create(id="a", params={"waits": True})
        await engine.run_until_idle()

        with pytest.raises(InvalidInput) as refused:
            await change(handle)

        assert str(refused.value) == message
        assert (await handle.status())["status"] == "waiting"


async def test_batch_is_deleted_through_the_binding() -> None:
    """Each id is answered in its place; one that is no id refuses all."""
    async with TestEngine.open([Child]) as engine:
        for id in "ab":
            await engine.env.CHILD.create(id=id)
        with pytest.raises(InvalidInput, match="nothing was deleted"):
            await engine.env.CHILD.delete_batch(["a", "no:id"])

        told = await engine.env.CHILD.deleteBatch(["b", "none", "a", "b"])

        assert told["deleted"] == [{"id": "b"}, {"id": "a"}, {"id": "b"}]
        assert [(error["id"], error["code"]) for error in told["errors"]] == [("none", 10400)]
        for wrong in ([], ["a"] * 101, "a", None):
            with pytest.raises(InvalidInput, match="1 to 100"):
                await engine.env.CHILD.delete_batch(wrong)


async def test_what_there_is_not_is_named() -> None:
    """A wrong name is an error that says of what."""
    async with TestEngine.open([Child]) as engine:
        handle = await engine.env.CHILD.create()

        with pytest.raises(AttributeError, match="an instance has no 'colour'"):
            _ = handle.colour


def test_environment_shows_names_and_no_values() -> None:
    """A variable may be a secret: it is in no repr and in no error."""
    env = Env({}, {"TOKEN": "s3cret"})

    assert env.TOKEN == "s3cret"
    assert repr(env) == "<Env TOKEN>"
    with pytest.raises(AttributeError) as refused:
        _ = env.OTHER
    assert "TOKEN" in str(refused.value)
    assert "s3cret" not in str(refused.value)


SOURCE = """
from workers import WorkflowEntrypoint

class Shop(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do()
        async def look():
            return [self.env.COLOUR, self.env.TOKEN, self.env.LIMITS["n"], self.env.STEPWELL_TEST_NAME]

        @step.do()
        async def start(look):
            return (await self.env.HELPERS.create({"params": {"seen": look}})).id

        child = await start()
        await step.sleep("nap", "2 seconds")
        return await (await self.env.HELPERS.get(child)).status()

class Helper(WorkflowEntrypoint):
    async def run(self, event, step):
        return event["payload"]["seen"]
"""
WRANGLER = """{
    "name": "shop",
    "vars": {"COLOUR": "red", "TOKEN": "public", "LIMITS": {"n": 5}},
    "workflows": [
        {"name": "shop", "class_name": "Shop", "binding": "SHOP"},
        {"name": "helper", "class_name": "Helper", "binding": "HELPERS"}
    ]
}"""


def test_server_gives_bindings_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vars`, `.dev.vars` (which wins) and the environment's named variables are there in a real worker."""
    monkeypatch.setenv("STEPWELL_TEST_NAME", "ann")
    (tmp_path / "flows.py").write_text(SOURCE)
    (tmp_path / "wrangler.jsonc").write_text(WRANGLER)
    (tmp_path / ".dev.vars").write_text('# secrets\nTOKEN="s3cret # not a comment"\n')

    with DevServer(tmp_path, "flows.py", "--env", "STEPWELL_TEST_NAME") as server:
        server.create("shop", "1")
        answer = server.wait_for_status("shop", "1", "complete")

    assert answer["status"] == "complete"
    assert '["red","s3cret # not a comment",5,"ann"]' in answer["output"]
    assert "s3cret" not in server.log


def test_variable_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    """The error names it, and a hint says what to do."""
    (tmp_path / "flows.py").write_text(SOURCE)

    done = run_dev("flows.py", "--env", "STEPWELL_TEST_MISSING", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'error: the environment variable "STEPWELL_TEST_MISSING", which workflows are to have, is not set; '
        "set it, or leave it out"
    ]
