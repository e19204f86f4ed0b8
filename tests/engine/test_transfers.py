"""Instances as JSON lines: what is wrong in them is found before the instance is there."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.records import Action
from stepwell.engine import NewInstance
from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, InvalidInput, WorkflowNotFound
from stepwell.flow import Flow
from stepwell.forcing import Decision
from stepwell.store import Store
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.operations import ListInstances
from stepwell.store.stream_operations import ReadPiece
from stepwell.store.transfer_operations import ReadRecords
from stepwell.testing import ACCOUNT, TestEngine
from stepwell.transfers import export, import_next
from tests.engine.stores import CheckedStore

SPACED = '{"to":\n "Graz", "n": 1.10,\r\n"big": 12345678901234567890}'


class Order(WorkflowEntrypoint):
    """Says something, writes a stream, and naps."""

    async def run(self, event, step):
        async def parts():
            yield b"abc"

        async def write():
            return parts()

        print("on its way")
        await step.set_progress({"done": 1})
        written = await step.do("write", write)
        await step.sleep("nap", "1 hour")
        return [event["payload"]["to"], await written.read()]


class Alone(WorkflowEntrypoint):
    """Naps, and is the only one of its key."""

    flow = Flow(key="for", singleton="queue")

    async def run(self, event, step):
        await step.sleep("nap", "30 minutes")
        await step.sleep("another", "30 minutes")


async def _exported(engine: TestEngine) -> list[bytes]:
    instance = await engine.create(Order, id="a", params={"to": "Graz"})
    await engine.run_until_idle()
    return [line async for line in export(engine.store, ACCOUNT, "order", instance.id)]


async def _bring_in(store: Store, lines: list[bytes], id: str | None = None) -> str:
    found = await import_next(store, ACCOUNT, iter(enumerate(lines, 1)), id)
    assert found is not None
    return found.row.id


@pytest.fixture
async def lines() -> list[bytes]:
    """The lines of an instance that naps."""
    async with TestEngine.open([Order]) as engine:
        return await _exported(engine)


async def test_instance_goes_on_elsewhere(lines: list[bytes]) -> None:
    """In another store it naps on, reads what was written, and ends; what it has said is there."""
    store = CheckedStore()
    async with TestEngine.open([Order], store=store) as engine:
        await _bring_in(store, lines)
        instance = engine.instance(Order, "a")
        await engine.run_until_idle()
        assert await instance.status() == "waiting"

        await engine.advance("1 hour")

        assert await instance.output() == ["Graz", b"abc"]
        store.check(ACCOUNT, "order", "a")
    await store.close()


async def test_copy_waits_for_the_key_that_it_had() -> None:
    """A singleton elsewhere is one of the same key here."""
    async with TestEngine.open([Alone]) as engine:
        first = await engine.create(Alone, id="a", params={"for": "ann"})
        await engine.run_until_idle()
        exported = [line async for line in export(engine.store, ACCOUNT, "alone", "a")]
        await first.terminate()
        await engine.create(Alone, id="b", params={"for": "ann"})
        await engine.run_until_idle()

        await _bring_in(engine.store, exported, "c")
        await engine.advance("40 minutes")

        assert [await engine.instance(Alone, id).status() for id in ("b", "c")] == ["waiting", "queued"]


async def test_several_follow_one_another(lines: list[bytes]) -> None:
    """Blank lines between them mean nothing; behind the last there is none."""
    async with TestEngine.open([Order]) as engine:
        rest = iter(enumerate([*lines, b"\n", *(line.replace(b'"id":"a"', b'"id":"b"') for line in lines)], 1))

        found = [await import_next(engine.store, ACCOUNT, rest) for _ in range(3)]

        assert [None if each is None else each.row.id for each in found] == ["a", "b", None]


async def test_copy_can_have_another_id(lines: list[bytes]) -> None:
    """Where the first one is, too; what is there stays."""
    async with TestEngine.open([Order]) as engine:
        await _bring_in(engine.store, lines)
        with pytest.raises(InstanceAlreadyExists):
            await _bring_in(engine.store, lines)

        assert await _bring_in(engine.store, lines, "b") == "b"

        assert (await engine.store.run(ListInstances(ACCOUNT, "order", 10))).total == 2


async def test_numbers_and_blanks_stay_as_they_were_sent() -> None:
    """JSON is kept digit for digit, and lies on one line."""
    async with TestEngine.open([Order]) as engine:
        await engine.engine.create(ACCOUNT, "order", NewInstance("a", SPACED))

        line = [line async for line in export(engine.store, ACCOUNT, "order", "a")][1]

        assert line.count(b"\n") == 1
        assert b'{"to":  "Graz", "n": 1.10,  "big": 12345678901234567890}' in line


class Vault(WorkflowEntrypoint):
    """Has a sensitive step that returns nothing by itself."""

    async def run(self, event, step):
        @step.do(config={"sensitive": "output"})
        async def draw():
            raise ValueError("not by itself")

        await draw()
        await step.wait_for_event("approval", "approved")


async def test_decision_that_gave_a_sensitive_result_is_left_out() -> None:
    """What somebody said it returned is its result, and is so before and after a restart; the mark names the record."""
    async with TestEngine.open([Vault]) as engine:
        instance = await engine.create(Vault, id="a")
        await engine.run_until_idle()
        await instance.force(Decision("draw-1", Action.COMPLETE, value='"s3cret"'))
        await engine.run_until_idle()
        await instance.restart()
        await engine.run_until_idle()

        lines = [line async for line in export(engine.store, ACCOUNT, "vault", "a")]
        whole = [line async for line in export(engine.store, ACCOUNT, "vault", "a", with_sensitive=True)]

        hidden = [json.loads(line) for line in lines if b'"left_out":true' in line]
        assert ["s3cret" in b"".join(each).decode() for each in (lines, whole)] == [False, True]
        assert [(part["kind"], "value" in part) for part in hidden] == [
            ("step_forced", False),
            ("step_succeeded", False),
        ]
        with pytest.raises(InvalidInput, match="the results of 1 sensitive steps"):
            await _bring_in(engine.store, lines, "b")


async def test_what_is_not_sensitive_is_all_there() -> None:
    """Nothing is left out of it, whatever is asked for, and nothing in it says so."""
    async with TestEngine.open([Order]) as engine:
        lines = await _exported(engine)
        whole = [line async for line in export(engine.store, ACCOUNT, "order", "a", with_sensitive=True)]

        assert lines == whole
        assert b"left_out" not in b"".join(lines)


async def test_instance_that_is_deleted_meanwhile_is_not_taken_for_whole() -> None:
    """There is no last line, so nobody imports the rest."""
    async with TestEngine.open([Order]) as engine:
        await _exported(engine)
        lines: list[bytes] = []

        async def take() -> None:
            async for line in export(engine.store, ACCOUNT, "order", "a"):
                lines.append(line)
                if len(lines) == 4:
                    await engine.store.run(DeleteInstance(ACCOUNT, "order", "a", engine.clock.now()))

        with pytest.raises(InstanceNotFound):
            await take()

        assert json.loads(lines[-1])["type"] != "end"


def _changed(n: int, change: Callable[[dict[str, Any]], object]) -> Callable[[list[bytes]], list[bytes]]:
    """Return what changes a line, as JSON."""

    def work(lines: list[bytes]) -> list[bytes]:
        changed = list(lines)
        part = json.loads(lines[n])
        change(part)
        changed[n] = json.dumps(part).encode()
        return changed

    return work


def _within(member: str, value: object) -> Callable[[list[bytes]], list[bytes]]:
    """Return what changes a member of each record that has it."""

    def work(lines: list[bytes]) -> list[bytes]:
        parts = [json.loads(line) for line in lines]
        for body in (part.get("body", {}) for part in parts if part["type"] == "record"):
            if member in body:
                body[member] = value
        return [json.dumps(part).encode() for part in parts]

    return work


def _without_history(line: bytes) -> bytes:
    part = json.loads(line)
    part["facts"].update(status="odd", seq=0, step_count=0, created_at=0, started_at=None)
    return json.dumps(part).encode()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(lambda lines: lines[:-1], 'the lines end before the instance "a" does', id="cut off"),
        pytest.param(lambda lines: lines[1:], "line 1 is not the first line of an instance", id="no beginning"),
        pytest.param(lambda lines: [*lines[:3], *lines[4:]], "line 4 has record 2 where 1 comes", id="a record less"),
        pytest.param(
            lambda lines: [*lines[:3], b"{oops", *lines[3:]], "line 4 is no line of an exported", id="no JSON"
        ),
        pytest.param(lambda lines: [*lines[:3], lines[0]], "line 4 begins another instance", id="in another"),
        pytest.param(
            lambda lines: [*lines[:1], *lines[2:]], "line 2 has a piece of the stream 1, of which", id="piece"
        ),
        pytest.param(_changed(1, lambda part: part.update(step="write")), 'line 2 has a stream of "write"', id="step"),
        pytest.param(
            _changed(0, lambda part: part.update(format=2)), "line 1 has the format 2, of Stepwell", id="newer"
        ),
        pytest.param(_changed(0, lambda part: part.update(id="../b")), 'line 1 "../b" is no id', id="id"),
        pytest.param(
            _changed(0, lambda part: part["facts"].update(status="complete")), "does not lead to what", id="status"
        ),
        pytest.param(_changed(0, lambda part: part["facts"].update(step_count=7)), "does not lead to what", id="count"),
        pytest.param(
            _changed(4, lambda part: part.update(kind="exploded")), "line 5 has no record that can", id="kind"
        ),
        pytest.param(
            _changed(4, lambda part: part.update(kind="created")), "line 5 has no record that can", id="order"
        ),
        pytest.param(_changed(4, lambda part: part.update(at=-1)), "line 5 is no line of an exported", id="time"),
        pytest.param(_changed(4, lambda part: part.update(at=10**15)), "line 5 is no line of an exported", id="year"),
        pytest.param(
            _changed(0, lambda part: part["facts"].update(modified_at=10**15)),
            "line 1 is no line",
            id="year it changed",
        ),
        pytest.param(_within("attempt", "x"), "has no record that can be here: ValidationError", id="no number"),
        pytest.param(_within("key", ["do", ["x"], 1]), "has no record that can be here: ValidationError", id="no name"),
        pytest.param(_within("until", "soon"), "has no record that can be here: ValidationError", id="no moment"),
        pytest.param(_within("until", 10**15), "has no record that can be here: ValidationError", id="year it ends"),
        pytest.param(
            _within("config", {"limit": {"error": "sealed:1:"}, "delay": 0, "backoff": "", "timeout": 0}),
            "has no record that can be here: ValidationError",
            id="no limit",
        ),
        pytest.param(
            _changed(5, lambda part: part.update(value="x")), "line 6 has no record that can be here", id="a value"
        ),
        pytest.param(_changed(-1, lambda part: part.update(records=9)), "records have come of", id="end"),
        pytest.param(_changed(0, lambda part: part["facts"].update(seq=5)), "6 records have come of 5", id="seq"),
        pytest.param(
            _changed(0, lambda part: part["facts"].update(is_held=True)),
            "line 11 ends an instance that a worker holds, and due at 1790003600000: export it again",
            id="held and due",
        ),
        pytest.param(
            _changed(0, lambda part: part["facts"].update(turn=2**63 - 1)),
            "line 1 is no line of an exported instance: Expected `int` <= 4611686018427387904",
            id="turn",
        ),
        pytest.param(
            _changed(0, lambda part: part["facts"].update(key="a\0")), "line 1 is no line of an exported", id="key"
        ),
        pytest.param(
            lambda lines: [_without_history(lines[0]), b'{"type":"end","records":0}'],
            "line 2 ends a history that does not lead to what",
            id="no history",
        ),
        pytest.param(
            lambda lines: [*lines[:3], lines[5].replace(b'"seq":3', b'"seq":1')],
            "line 4 has the record attempt_started where a history begins with created",
            id="not created",
        ),
    ],
)
async def test_lines_that_are_wrong_are_refused(
    lines: list[bytes], spoil: Callable[[list[bytes]], list[bytes]], problem: str
) -> None:
    """The line is named, nothing of the instance is there, and its rows are gone."""
    async with TestEngine.open([Order]) as engine:
        with pytest.raises(InvalidInput) as refused:
            await _bring_in(engine.store, spoil(lines))

        assert problem in str(refused.value)
        assert (await engine.store.run(ListInstances(ACCOUNT, "order", 10))).total == 0
        assert await engine.store.run(ReadRecords(1, 0, 9)) == []


async def test_what_is_paused_and_due_is_refused() -> None:
    """A worker would take it, and its history has no place for that."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, id="a", params={"to": "Graz"})
        await engine.run_until_idle()
        await instance.pause()
        paused = [line async for line in export(engine.store, ACCOUNT, "order", "a")]

        with pytest.raises(InvalidInput, match="ends an instance that is paused, and still held or due"):
            await _bring_in(engine.store, _changed(0, lambda part: part["facts"].update(due_at=1))(paused), "b")

        assert await _bring_in(engine.store, paused, "b") == "b"


async def test_stream_that_was_dropped_becomes_no_other(lines: list[bytes]) -> None:
    """A record that names a stream that has not come does not come to name one that is here."""
    async with TestEngine.open([Order]) as engine:
        await _exported(engine)
        assert await engine.store.run(ReadPiece(1, 1)) == b"abc"
        without = [line for line in lines if json.loads(line)["type"] not in {"stream", "piece"}]

        await _bring_in(engine.store, without, "b")

        bodies = [line async for line in export(engine.store, ACCOUNT, "order", "b") if b'"stream":{' in line]
        assert [json.loads(body)["body"]["stream"]["id"] for body in bodies] == [0]


async def test_workflow_that_is_not_there_is_named(lines: list[bytes]) -> None:
    """Its code is to be served first."""
    async with TestEngine.open([]) as engine:
        with pytest.raises(WorkflowNotFound, match='no workflow "order"'):
            await _bring_in(engine.store, lines)
