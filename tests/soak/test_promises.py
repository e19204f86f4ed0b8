"""The checker of the soak finds each kind of loss, in a history that is right but for that."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace as replace_row

from stepwell.core.instance import fold
from stepwell.core.records import (
    AttemptStarted,
    Completed,
    Created,
    EventReceived,
    Key,
    Record,
    Running,
    StepConfig,
    StepKind,
    StepSucceeded,
    WaitEnded,
    Waiting,
    WaitStarted,
)
from stepwell.store import codec
from stepwell.store.operations import InstanceHistory, InstanceRow
from tests.soak.calls import ACKNOWLEDGED, REFUSED, UNKNOWN, Began, Call
from tests.soak.promises import PADDING, Facts, check_absent, check_instance, check_reads

ONE, TWO, GO = Key(StepKind.DO, "one", 1), Key(StepKind.DO, "two", 1), Key(StepKind.WAIT, "go", 1)
CONFIG = StepConfig(10, 50, "constant", 1_000)
PAYLOAD = {"for": "a", "n": 7}


def _call(act: str, outcome: str = ACKNOWLEDGED, told: Any = None) -> Call:
    return Call(act, "waiting", "a", outcome, 0.0, 1.0, told)


def _began(number: int, step: str, value: str, pid: int) -> tuple[int, Began]:
    return number, Began("a", step, f"key of {step}", 1, value, pid, float(number))


@dataclass
class Scene:
    """An instance of `waiting` that has ended as it should; each case changes one thing about it."""

    records: list[tuple[tuple[int, int], Record]] = field(
        default_factory=lambda: [
            ((0, 0), Created(1, "api", "{}")),
            ((1, 1), Running(2)),
            ((1, 2), AttemptStarted(3, ONE, 1, CONFIG)),
            ((1, 3), StepSucceeded(4, ONE, 1, '"v1"')),
            ((1, 4), WaitStarted(4, GO, "go", 9_999, 9_995)),
            ((1, 5), Waiting(5)),
            ((0, 0), EventReceived(6, "go", '{"for":"a","n":7}')),
            ((2, 1), Running(7)),
            ((2, 2), WaitEnded(7, GO, 7)),
            ((2, 3), AttemptStarted(8, TWO, 1, CONFIG)),
            ((2, 4), StepSucceeded(9, TWO, 1, '"v2"')),
            ((2, 5), Completed(9, json.dumps(["v1", "v2" + PADDING, PAYLOAD]))),
        ]
    )
    began: list[tuple[int, Began]] = field(
        default_factory=lambda: [_began(1, "one", "v1", 101), _began(2, "two", "v2", 102)]
    )
    calls: list[Call] = field(default_factory=lambda: [_call("create", told={}), _call("event", told=PAYLOAD)])
    late: set[int] = field(default_factory=set)
    status: str | None = None

    def facts(self) -> Facts:
        """Return what the checker is given."""
        state = fold(record for _, record in self.records)
        rows = [replace_row(codec.to_row(record), seq=n) for n, (_, record) in enumerate(self.records, 1)]
        row = InstanceRow(
            1, "local", "waiting", "w", "a", "v", self.status or str(state.status), "api", state.step_count, len(rows),
            2, None, state.created_at, 9, state.started_at, state.ended_at,
        )  # fmt: skip
        end = self.records[-1][1]
        output = json.loads(str(end.value)) if isinstance(end, Completed) else None
        places = [place for place, _ in self.records]
        return Facts(InstanceHistory(row, rows), places, self.began, self.calls, output, self.late)


def _put(*records: tuple[tuple[int, int], Record], at: int) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        scene.records[at:at] = records

    return change


def _ask(*calls: Call) -> Callable[[Scene], None]:
    return lambda scene: scene.calls.extend(calls)


def _set(at: int, place: tuple[int, int], record: Record) -> Callable[[Scene], None]:
    return lambda scene: scene.records.__setitem__(at, (place, record))


def _begin(*began: tuple[int, Began]) -> Callable[[Scene], None]:
    return lambda scene: scene.began.extend(began)


def test_healthy_instance_breaks_nothing() -> None:
    """What has ended as it should is not complained about."""
    assert list(check_instance(Scene().facts())) == []


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        pytest.param(lambda scene: setattr(scene, "status", "waiting"), "the row is the fold", id="row"),
        pytest.param(lambda scene: scene.records.pop(), "every instance ends as it should", id="unfinished"),
        pytest.param(_ask(_call("event", told={"n": 8})), "event", id="event lost"),
        pytest.param(
            _put(((0, 0), EventReceived(6, "go", '{"n":7}')), ((0, 0), EventReceived(6, "go", '{"n":7}')), at=7),
            "an event is received once",
            id="event three times",
        ),
        pytest.param(_put(((1, 4), StepSucceeded(4, ONE, 1, '"v1"')), at=4), "a step succeeds once", id="twice"),
        pytest.param(lambda scene: scene.records.pop(3), "a step succeeds once", id="success lost"),
        pytest.param(
            _put(((2, 5), AttemptStarted(9, ONE, 2)), at=11), "no step runs again", id="attempt behind its success"
        ),
        pytest.param(_begin(_began(3, "one", "v3", 103)), "no step runs again", id="body behind its success"),
        pytest.param(
            _begin((3, Began("a", "two", "another key", 1, "v3", 102, 3.0))), "a step has one key", id="another key"
        ),
        pytest.param(lambda scene: scene.began.pop(), "a body runs at least once", id="nobody's value"),
        pytest.param(_set(10, (1, 6), StepSucceeded(9, TWO, 1, '"v2"')), "a lost turn records nothing", id="lost turn"),
        pytest.param(
            _set(3, (2, 3), StepSucceeded(4, ONE, 1, '"v1"')), "one worker in a turn", id="two workers in a turn"
        ),
        pytest.param(
            _set(11, (2, 5), Completed(9, '["v1","v1",{"n":7}]')), "the output is what was recorded", id="output"
        ),
        pytest.param(_ask(_call("terminate")), "terminate", id="terminate lost"),
        pytest.param(_ask(_call("delete")), "delete", id="delete lost"),
        pytest.param(_ask(_call("restart")), "restart", id="restart lost"),
        pytest.param(_ask(_call("pause", told="waitingForPause")), "pause", id="pause lost"),
    ],
)
def test_broken_promise_is_found(change: Callable[[Scene], None], promise: str) -> None:
    """Each loss is told by the name of the promise that it breaks."""
    scene = Scene()
    change(scene)

    assert promise in {broken.promise for broken in check_instance(scene.facts())}


def test_paused_process_may_begin_a_body_late() -> None:
    """Nobody can keep a process from what it had decided on before it was paused; it records nothing."""
    scene = Scene(late={3})
    _begin(_began(3, "one", "v3", 103))(scene)

    assert list(check_instance(scene.facts())) == []


@pytest.mark.parametrize(
    ("calls", "lost"),
    [
        pytest.param([_call("create")], ["create"], id="created"),
        pytest.param([_call("create", UNKNOWN)], [], id="nobody has said so"),
        pytest.param([_call("create"), _call("delete")], [], id="deleted"),
        pytest.param([_call("create"), _call("delete", UNKNOWN)], [], id="perhaps deleted"),
    ],
)
def test_instance_that_is_not_there_is_missed_if_it_was_acknowledged(calls: Sequence[Call], lost: list[str]) -> None:
    """A creation that was answered is a promise; one that was not, or that was undone, is none."""
    assert [broken.promise for broken in check_absent("a", calls)] == lost


def test_read_in_vain_of_what_was_acknowledged_is_found() -> None:
    """A later answer that there is no such instance breaks the promise, even if it is there at the end."""
    assert [broken.promise for broken in check_reads([_call("create"), _call("get", REFUSED, "not found")])] == [
        "create"
    ]
