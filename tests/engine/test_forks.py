"""Forks: a new instance from any step of another one, which stays as it is."""

import asyncio
from dataclasses import dataclass

import pytest

from stepwell import Flow, WorkflowEntrypoint
from stepwell.control import FromStep
from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, InvalidInput, StepNotInHistory, VersionNotFound
from stepwell.forks import FORKED_FROM, NEWEST, Fork, Forks
from stepwell.store.operations import ReadHistory
from stepwell.store.transfer_operations import ExportInstance
from stepwell.testing import ACCOUNT, TestEngine, TestInstance

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


async def _bytes():
    for part in (b"ab", b"cd"):
        yield part


def _ran(name: str, value: object = None) -> object:
    ran.append(name)
    return value


class Order(WorkflowEntrypoint):
    """Charges, reads a stream, waits for a go, and ships."""

    async def run(self, event, step):
        paid = await step.do("charge", _ran, "charge", {"amount": event.payload["amount"]})
        stream = await step.do("scan", _bytes)
        scanned = b"".join([part async for part in stream]).decode()
        await step.sleep("rest", "1 hour")
        go = await step.wait_for_event("go", "go")
        pack, _ = await asyncio.gather(step.do("pack", _ran, "pack", "box"), step.do("label", _ran, "label"))
        return [paid["amount"], scanned, go["payload"], pack, await step.do("ship", _ran, "ship", 1)]


async def _done(engine: TestEngine) -> TestInstance:
    instance = await engine.create(Order, id="old", params={"amount": 3}, labels={"customer": "ann"})
    await engine.advance("2 hours")
    await instance.send_event("go", "now")
    await engine.advance("1 minute")
    assert await instance.output() == [3, "abcd", "now", "box", 1]
    ran.clear()
    return instance


async def _fork(engine: TestEngine, fork: Fork, source: str = "old") -> TestInstance:
    row = await Forks(engine.store, engine.clock).fork(ACCOUNT, "order", source, fork)
    return engine.instance(Order, row.id)


@pytest.mark.parametrize(
    ("step", "steps"),
    [
        (FromStep("ship"), ["ship"]),
        (FromStep("label"), ["label", "ship"]),
        (FromStep("pack"), ["pack", "label", "ship"]),
    ],
    ids=str,
)
async def test_fork_goes_on_from_its_step(step: FromStep, steps: list[str]) -> None:
    """What came before is copied, streams and events too; the source is as it was."""
    async with TestEngine.open([Order]) as engine:
        source = await _done(engine)
        before = await engine.store.run(ReadHistory((await source.view()).row.row))

        fork = await _fork(engine, Fork(step))
        await engine.advance("1 minute")

        assert await fork.output() == [3, "abcd", "now", "box", 1]
        assert ran == steps
        assert await engine.store.run(ReadHistory((await source.view()).row.row)) == before
        assert await fork.labels() == {"customer": "ann", FORKED_FROM: "old"}
        assert [entry.name for entry in (await fork.log()).called] == [
            entry.name for entry in (await source.log()).called
        ]


async def test_fork_has_other_params_and_outputs() -> None:
    """From the beginning, or in the place of what was copied; events behind its step are sent anew."""
    async with TestEngine.open([Order]) as engine:
        await _done(engine)

        again = await _fork(engine, Fork(id="again", params='{"amount":9}'))
        edited = await _fork(engine, Fork(FromStep("rest", type="sleep"), outputs={"charge-1": '{"amount":7}'}))
        await engine.advance("2 hours")
        for instance in (again, edited):
            assert await instance.status() == "waiting"
            await instance.send_event("go", "later")
        await engine.advance("1 minute")

        assert await again.output() == [9, "abcd", "later", "box", 1]
        assert await edited.output() == [7, "abcd", "later", "box", 1]
        assert ran.count("charge") == 1


@dataclass
class Amount:
    """What is asked for of whom."""

    cents: int
    who: str


class Limited(WorkflowEntrypoint[Amount]):
    """One at a time for each of those who pay."""

    flow = Flow(key="who", limit_per_key=1)

    async def run(self, event, step):
        go = await step.wait_for_event("go", "go")
        return await step.do("pay", lambda: [event.payload.who, go["payload"]])


async def test_other_params_have_to_fit_and_say_where_the_fork_queues() -> None:
    """They are held against the schema of its version, and its key is that of them."""
    async with TestEngine.open([Limited]) as engine:
        await engine.create(Limited, id="old", params={"cents": 1, "who": "ann"})
        forks = Forks(engine.store, engine.clock)

        with pytest.raises(InvalidInput, match=r"params\.cents does not fit"):
            await forks.fork(ACCOUNT, "limited", "old", Fork(id="bad", params='{"cents":"x","who":"bob"}'))
        await forks.fork(ACCOUNT, "limited", "old", Fork(id="new", params='{"cents":1,"who":"bob"}'))
        queued = (await engine.store.run(ExportInstance(ACCOUNT, "limited", "new"))).facts

        assert queued.key == "bob"
        with pytest.raises(InstanceNotFound):
            await engine.engine.get(ACCOUNT, "limited", "bad")


async def test_fork_of_an_instance_that_runs_leaves_it_alone() -> None:
    """Both go on, each for itself, also through a crash; a fork of a fork names the fork."""
    async with TestEngine.open([Order]) as engine:
        source = await engine.create(Order, id="old", params={"amount": 1})
        await engine.run_until_idle()

        fork = await _fork(engine, Fork(FromStep("scan"), id="new"))
        await engine.run_until_idle()
        await engine.crash()
        await engine.start_worker()
        second = await _fork(engine, Fork(FromStep("rest", type="sleep"), id="newer"), "new")
        await engine.advance("2 hours")
        for instance in (source, fork, second):
            await instance.send_event("go")
        await engine.advance("1 minute")

        assert [await each.status() for each in (source, fork, second)] == ["complete"] * 3
        assert ran.count("charge") == 1
        assert (await second.labels())[FORKED_FROM] == "new"


async def test_fork_needs_room_for_the_label_that_names_its_source() -> None:
    """Else it could not leave the store and come into another one; nothing of it is there."""
    async with TestEngine.open([Order]) as engine:
        await engine.create(Order, id="old", params={"amount": 1}, labels={f"n{n}": "x" for n in range(16)})

        with pytest.raises(InvalidInput, match="was given 16 labels"):
            await _fork(engine, Fork(id="new"))
        with pytest.raises(InstanceNotFound):
            await engine.engine.get(ACCOUNT, "order", "new")


@pytest.mark.parametrize(
    ("fork", "source", "error"),
    [
        (Fork(FromStep("fly")), "old", StepNotInHistory),
        (Fork(FromStep("ship"), outputs={"fly-1": "1"}), "old", InvalidInput),
        (Fork(FromStep("scan"), outputs={"ship-1": "1"}), "old", InvalidInput),
        (Fork(id="old"), "old", InstanceAlreadyExists),
        (Fork(version="none"), "old", VersionNotFound),
        (Fork(), "nobody", InstanceNotFound),
    ],
)
async def test_fork_that_cannot_be_made_leaves_nothing(fork: Fork, source: str, error: type[Exception]) -> None:
    """Neither an instance, nor half of one."""
    async with TestEngine.open([Order]) as engine:
        await _done(engine)

        with pytest.raises(error):
            await _fork(engine, fork, source)
        await engine.advance("1 minute")

        assert (await engine.engine.get(ACCOUNT, "order", "old")).row.status == "complete"
        assert len(ran) == 0
        assert (await _fork(engine, Fork(version=NEWEST))).id != "old"
