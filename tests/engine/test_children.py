"""Instances that others start and await."""

import asyncio
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.children import Children
from stepwell.core.records import Action, Created, Terminated
from stepwell.errors import ChildFailed, InstanceNotFound
from stepwell.forcing import Decision
from stepwell.store import codec
from stepwell.store.child_operations import ChildLink, StartChild
from stepwell.store.control_operations import StartTermination, TerminateInstance, TerminateSome
from stepwell.store.operations import CreateInstance, GetInstance, Operation
from stepwell.testing import TestEngine, TestInstance
from tests.engine.flows import NOW, restart
from tests.engine.stores import CheckedStore, refused
from tests.engine.ways import Job, every_way

done: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


class Shipping(WorkflowEntrypoint):
    """Ships what it is told to, after a nap or an event, or fails."""

    async def run(self, event, step):
        done.append("shipping begins")
        match event["payload"]:
            case {"nap": nap}:
                await step.sleep("nap", nap)
            case {"wait": type}:
                await step.wait_for_event("wait", type)
            case {"fails": text}:
                raise LookupError(text)
        return {"shipped", 7}


class Order(WorkflowEntrypoint):
    """Awaits a child; what its params say of it."""

    async def run(self, event, step):
        told = event["payload"]
        on_cancel = told.get("on_cancel", "terminate")
        try:
            return await step.child("ship", self.env.SHIPPING, told.get("params"), on_cancel=on_cancel)
        except ChildFailed as error:
            cause = error.__cause__
            return [error.status, str(error), type(cause).__name__, str(cause)]


def opened(store: CheckedStore | None = None) -> Any:
    """Open an engine that has both workflows."""
    return TestEngine.open([Order, Shipping], store=store)


async def _child(engine: TestEngine, parent: TestInstance) -> TestInstance:
    """Return the only child of an instance."""
    found = await Children(engine.engine).relatives((await parent.view()).row)
    (child,) = found.children
    return engine.instance(Shipping, child.id)


async def test_parent_gets_what_its_child_returns() -> None:
    """The output comes with its types; the child knows who started it, and takes no turn of the parent's meanwhile."""
    store = CheckedStore()
    async with opened(store) as engine:
        parent = await engine.create(Order, id="order-1", params={"params": {"nap": "1 day"}})
        await engine.run_until_idle()
        child = await _child(engine, parent)
        assert (await parent.status(), await child.status()) == ("waiting", "waiting")

        await engine.advance("1 day")

        assert await parent.output() == {"shipped", 7}
        view = await child.view()
        assert (view.row.trigger, view.row.id.startswith("order-1-")) == ("binding", True)
        found = await Children(engine.engine).relatives(view.row)
        assert [(one.workflow, one.id) for one in found.parents] == [("order", "order-1")]
        log = await parent.log()
        assert [(entry.type, entry.name) for entry in log.called] == [("step", "ship-1"), ("waitForEvent", "ship-1")]
        store.check("local", "order", "order-1")
    await store.close()


async def test_error_of_a_child_can_be_caught_with_its_cause() -> None:
    """A child that errors raises ChildFailed, whose cause is the child's error as it was."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"fails": "no van"}})
        await engine.run_until_idle()

        status, text, kind, cause = await parent.output()
        assert (status, kind, cause) == ("errored", "LookupError", "no van")
        assert text.endswith("is errored: LookupError: no van")


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        pytest.param(TestInstance.terminate, "terminated", id="terminated"),
        pytest.param(TestInstance.delete, "deleted", id="deleted"),
        pytest.param(None, "deleted", id="its workflow deleted"),
    ],
)
async def test_child_that_is_ended_from_outside_is_told(ends: Any, status: str) -> None:
    """The parent of a child that is terminated or deleted does not wait for ever."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"nap": "1 day"}})
        await engine.run_until_idle()

        if ends is None:
            await engine.engine.delete_workflow("local", "shipping")
        else:
            await ends(await _child(engine, parent))
        await engine.run_until_idle()

        assert (await parent.output())[0] == status


@pytest.mark.parametrize(("on_cancel", "status"), [("terminate", "terminated"), ("leave", "waiting")])
@pytest.mark.parametrize("ends", ["terminate", "delete", "restart"])
async def test_end_of_the_parent_is_passed_on_by_choice(on_cancel: str, status: str, ends: str) -> None:
    """A child ends in the transaction that ends its parent from outside, or goes on."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"nap": "1 day"}, "on_cancel": on_cancel})
        await engine.run_until_idle()
        child = await _child(engine, parent)

        await getattr(parent, ends)()

        assert await child.status() == status
        if ends == "restart":
            await engine.advance("2 days")
            assert (await parent.status(), await parent.output()) == ("complete", {"shipped", 7})


async def test_cancelled_call_ends_the_child() -> None:
    """A call that the author cancels, here by a time-out, terminates the child, once, also on replay."""

    class Impatient(WorkflowEntrypoint):
        async def run(self, event, step):
            call = asyncio.ensure_future(step.child("ship", self.env.SHIPPING, {"nap": "1 day"}))
            await step.sleep("patience", "1 hour")
            call.cancel()
            await asyncio.wait([call])
            await step.sleep("nap", "1 hour")
            return call.cancelled()

    async with TestEngine.open([Impatient, Shipping]) as engine:
        parent = await engine.create(Impatient)
        await engine.advance("30 minutes")
        child = await _child(engine, parent)

        await engine.advance("1 hour")
        assert await child.status() == "terminated"
        await engine.advance("1 hour")

        assert await parent.output() is True


async def test_cancelled_call_ends_the_child_though_the_store_refuses_for_a_while() -> None:
    """The author meets his cancellation, and no error of the store's; what he does next comes after the end."""
    order: list[str] = []

    class Refusing(CheckedStore):
        refusals = 2

        def run(self, operation: Operation[Any]) -> asyncio.Future[Any]:
            if isinstance(operation, TerminateInstance):
                order.append("asked")
                if self.refusals:
                    self.refusals -= 1
                    return refused("the disk is full")
            return super().run(operation)

    class Impatient(WorkflowEntrypoint):
        async def run(self, event, step):
            call = asyncio.ensure_future(step.child("ship", self.env.SHIPPING, {"nap": "1 day"}))
            await step.sleep("patience", "1 hour")
            call.cancel()
            await asyncio.wait([call])
            order.append("met")
            return call.cancelled()

    store = Refusing()
    async with TestEngine.open([Impatient, Shipping], store=store) as engine:
        parent = await engine.create(Impatient)
        await engine.advance("30 minutes")
        child = await _child(engine, parent)

        await engine.advance("1 hour")

        assert (await child.status(), await parent.output()) == ("terminated", True)
        assert order == ["asked", "asked", "asked", "met"]
    await store.close()


async def test_many_children_at_once() -> None:
    """Children of one name are told apart, and run side by side."""

    class Fleet(WorkflowEntrypoint):
        async def run(self, event, step):
            calls = (step.child("ship", self.env.SHIPPING, {"nap": f"{hours} hours"}) for hours in (3, 1, 2))
            return len(await asyncio.gather(*calls))

    async with TestEngine.open([Fleet, Shipping]) as engine:
        parent = await engine.create(Fleet)
        await engine.advance("3 hours")

        assert (await parent.output(), done) == (3, ["shipping begins"] * 6)
        found = await Children(engine.engine).relatives((await parent.view()).row)
        assert [child.status for child in found.children] == ["complete"] * 3


async def test_crash_of_the_worker_starts_no_second_child() -> None:
    """Whatever is lost, the child that was started is found again."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"wait": "go"}})
        await engine.run_until_idle()
        child = await _child(engine, parent)
        await restart(engine)
        await engine.run_until_idle()

        await child.send_event("go")
        await engine.run_until_idle()

        assert await parent.output() == {"shipped", 7}


async def test_every_crash_leads_to_the_same_end() -> None:
    """From any prefix of its history the parent gets the same of its only child."""

    class Alone(WorkflowEntrypoint):
        async def run(self, event, step):
            if event["payload"].get("is_child"):
                return await step.do("work", lambda: 5)
            return await step.child("one", self.env.ALONE, {"is_child": True})

    assert await every_way(Job(Alone, {})) == 5


@pytest.mark.parametrize(("is_gone", "outcome"), [(False, {"shipped", 7}), (True, "deleted")])
async def test_end_that_a_restart_has_lost_is_told_again(is_gone: bool, outcome: Any) -> None:
    """A restart from a step loses events and waits; the end of a child that stays is told again, also if it is gone."""

    class Beside(WorkflowEntrypoint):
        async def run(self, event, step):
            async def ship():
                try:
                    return await step.child("ship", self.env.SHIPPING)
                except ChildFailed as error:
                    return error.status

            # `work` begins before the wait for the child does.
            shipped, _ = await asyncio.gather(ship(), step.do("work", lambda: done.append("work")))
            return shipped

    async with TestEngine.open([Beside, Shipping]) as engine:
        parent = await engine.create(Beside)
        await engine.run_until_idle()
        assert await parent.output() == {"shipped", 7}
        names = [entry.name for entry in (await parent.log()).called]
        assert names == ["ship-1", "work-1", "ship-1"]
        if is_gone:
            await (await _child(engine, parent)).delete()

        await parent.restart("work")
        await engine.run_until_idle()

        assert (await parent.output(), done.count("work")) == (outcome, 2)
        assert done.count("shipping begins") == 1


async def test_paused_parent_hears_of_the_end_when_it_is_resumed() -> None:
    """The end of a child waits, as events do."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"nap": "1 hour"}})
        await engine.run_until_idle()
        await parent.pause()
        await engine.advance("2 hours")
        assert await parent.status() == "paused"

        await parent.resume()
        await engine.run_until_idle()

        assert await parent.output() == {"shipped", 7}


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        pytest.param(lambda step, env: step.child("a", "shipping"), "a binding of a workflow", id="no binding"),
        pytest.param(lambda step, env: step.child("a", env.SHIPPING, on_cancel="stop"), '"leave"', id="on_cancel"),
        pytest.param(lambda step, env: step.child("a", env.SHIPPING, object()), "not serialisable", id="params"),
    ],
)
async def test_wrong_child_is_refused_at_once(call: Any, problem: str) -> None:
    """What cannot be started fails without being tried again, and says what is wrong."""

    class Wrong(WorkflowEntrypoint):
        async def run(self, event, step):
            await call(step, self.env)

    async with TestEngine.open([Wrong, Shipping]) as engine:
        parent = await engine.create(Wrong)
        await engine.run_until_idle()

        error = await parent.error()
        assert error is not None
        assert problem in error.message


async def test_purge_forgets_who_awaits_whom() -> None:
    """Nothing of a deleted parent is left, and its child, which was left alone, ends as any other."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"nap": "1 hour"}, "on_cancel": "leave"})
        await engine.run_until_idle()
        child = await _child(engine, parent)
        await parent.delete()
        await engine.advance("2 hours")

        assert await child.output() == {"shipped", 7}
        with pytest.raises(InstanceNotFound):
            await parent.view()
        assert (await Children(engine.engine).relatives((await child.view()).row)).parents == []


@pytest.mark.parametrize("first", ["parent", "child"])
async def test_family_of_one_workflow_is_terminated_as_a_whole(first: str) -> None:
    """Terminating all instances of a workflow ends those too that end with, or are awaited by, one of them."""

    class Family(WorkflowEntrypoint):
        async def run(self, event, step):
            match event["payload"]:
                case {"waits": True}:
                    await step.wait_for_event("wait", "go")
                case _:
                    if first == "child":
                        await step.wait_for_event("wait", "begin")
                    await step.child("one", self.env.FAMILY, {"waits": True})

    store = CheckedStore()
    async with TestEngine.open([Family], store=store) as engine:
        parent = await engine.create(Family, id="p")
        await engine.run_until_idle()
        await parent.send_event("begin")
        await engine.run_until_idle()
        row = (await parent.view()).row
        child = (await Children(engine.engine).relatives(row)).children[0].id
        statuses = ["waiting", "queued", "running"]
        assert await store.run(StartTermination("local", "family", statuses))
        record = codec.to_row(Terminated(engine.clock.now(), "api"))

        more = await store.run(TerminateSome("local", "family", record))

        assert not more
        for id in ("p", child):
            assert await engine.instance(Family, id).status() == "terminated"
            store.check("local", "family", id)
    await store.close()


async def _start(store: CheckedStore, id: str, parent: int) -> int:
    record = codec.to_row(Created(NOW, "binding", "{}"))
    creation = CreateInstance("local", "page", id, "binding", record, NOW)
    await store.run(StartChild(creation, ChildLink(parent, 0, f"child:page/{id}")))
    return (await store.run(GetInstance("local", "page", id))).row.row


async def test_long_line_of_children_ends_with_the_first() -> None:
    """However deep instances have started one another, all end in one transaction."""

    class Page(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.sleep("nap", "1 day")

    store = CheckedStore()
    async with TestEngine.open([Page], store=store) as engine:
        first = await engine.create(Page, id="p0")
        row = (await first.view()).row.row
        for number in range(1, 1_200):
            row = await _start(store, f"p{number}", row)

        await first.terminate()

        assert await engine.instance(Page, "p1199").status() == "terminated"
    await store.close()


class _NoChildren(CheckedStore):
    """A store that refuses to start children."""

    def run(self, operation: Operation[Any]) -> "asyncio.Future[Any]":
        return refused("not now") if isinstance(operation, StartChild) else super().run(operation)


async def test_start_of_a_child_is_completed_by_hand_with_what_is_no_id() -> None:
    """The author is told what is wrong with it."""
    store = _NoChildren()
    async with opened(store) as engine:
        parent = await engine.create(Order)
        await engine.run_until_idle()

        await parent.force(Decision("ship-1", Action.COMPLETE, value='{"tracking":1}', by="ann"))
        await engine.run_until_idle()

        error = await parent.error()
        assert error is not None
        assert "completed by hand with a value that is not the id" in error.message
    await store.close()


async def test_child_that_was_awaited_is_completed_by_hand() -> None:
    """The value given by hand is what the call returns."""
    async with opened() as engine:
        parent = await engine.create(Order, params={"params": {"wait": "go"}})
        await engine.run_until_idle()

        await parent.force(Decision("ship-1", Action.COMPLETE, "waitForEvent", value='{"tracking":1}', by="ann"))
        await engine.run_until_idle()

        assert await parent.output() == {"tracking": 1}


@pytest.mark.parametrize(("on_cancel", "status"), [("terminate", "terminated"), ("leave", "waiting")])
async def test_deleted_workflow_ends_the_children_of_its_instances(on_cancel: str, status: str) -> None:
    """They end with their parents, as they do where these are deleted one by one."""
    store = CheckedStore()
    async with opened(store) as engine:
        parent = await engine.create(Order, params={"params": {"wait": "go"}, "on_cancel": on_cancel})
        await engine.run_until_idle()
        child = await _child(engine, parent)

        await engine.engine.delete_workflow("local", "order")

        assert await child.status() == status
        store.check("local", "shipping", child.id)
    await store.close()


async def test_family_is_told_as_a_tree() -> None:
    """Each member with its depth, right behind the one that awaits it; what it has awaited before is in it too."""

    class Root(WorkflowEntrypoint):
        async def run(self, event, step):
            await step.child("done", self.env.SHIPPING)
            await asyncio.gather(
                step.child("left", self.env.ORDER, {"params": {"nap": "1 day"}}),
                step.child("right", self.env.ORDER, {"params": {"wait": "go"}}),
            )

    async with TestEngine.open([Root, Order, Shipping]) as engine:
        root = await engine.create(Root, id="root")
        await engine.create(Order, id="stranger", params={"params": {"nap": "1 day"}})
        await engine.run_until_idle()

        family = await Children(engine.engine).family("local", "root", root.id)

        walked = [(depth, member.workflow, member.status) for member, depth in family.walk()]
        assert walked == [
            (0, "root", "waiting"),
            (1, "shipping", "complete"),
            (1, "order", "waiting"),
            (2, "shipping", "waiting"),
            (1, "order", "waiting"),
            (2, "shipping", "waiting"),
        ]
        assert family.is_whole
        with pytest.raises(InstanceNotFound):
            await Children(engine.engine).family("local", "root", "nobody")


async def test_large_family_is_cut() -> None:
    """What is nearest is told, and that there is more."""
    store = CheckedStore()
    async with TestEngine.open([Order, Shipping], store=store) as engine:
        page = await engine.create(Order, id="page")
        for number in range(1_001):
            creation = CreateInstance(
                "local", "shipping", f"s{number}", "binding", codec.to_row(Created(NOW, "binding", "{}")), NOW
            )
            row = (await page.view()).row.row
            await store.run(StartChild(creation, ChildLink(row, 0, f"child:shipping/s{number}")))

        family = await Children(engine.engine).family("local", "order", "page")

        assert not family.is_whole
        assert [member.id for member, _ in family.walk()] == ["page", *(f"s{number}" for number in range(999))]
    await store.close()
