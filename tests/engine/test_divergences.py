"""Outside of tests, code that goes another way than its history is told of, and goes on."""

import logging
from pathlib import Path
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.checks.source import Line
from stepwell.core.records import Key, StepKind
from stepwell.divergences import Divergence, Divergences
from stepwell.errors import Diverged
from stepwell.settings import TurnSettings
from stepwell.testing import TestEngine
from tests.engine.test_notes import said

WARNED = "stepwell.divergences"


class Version:
    """What the code is; tests change it."""

    names: tuple[str, ...] = ()


class Changing(WorkflowEntrypoint[Any]):
    """Runs steps of some names, then waits."""

    async def run(self, event: Any, step: Any) -> list[str]:
        """Do what the version has."""
        done = [await step.do(name, lambda name=name: name) for name in Version.names]
        await step.wait_for_event("go", "go")
        return done


# Where it does.
LINE = Changing.run.__code__.co_firstlineno + 2


async def _changed(
    before: str, after: str, caplog: pytest.LogCaptureFixture
) -> tuple[str, list[str], list[tuple[str | None, int | None, str, str]]]:
    """Run an instance on code with these steps, and go on with others; return its status, and what was said of it."""
    caplog.set_level(logging.WARNING, WARNED)
    async with TestEngine.open([Changing], settings=TurnSettings(parks_always=True)) as engine:
        Version.names = tuple(before)
        instance = await engine.create(Changing, id="a")
        await engine.run_until_idle()
        Version.names = tuple(after)
        await instance.send_event("other", None)
        try:
            await engine.run_until_idle()
        except Diverged:
            # Replayed a few times more.
            await engine.crash()
            await engine.start_worker()
        await instance.send_event("go", None)
        await engine.run_until_idle()
        lines = [record.getMessage() for record in caplog.records if record.name == WARNED]
        return await instance.status(), lines, await said(engine, instance)


async def test_divergence_is_one_line_in_both_logs(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, however often the instance is replayed, and the instance completes."""
    status, lines, noted = await _changed("ab", "ac", caplog)

    text = (
        f"replayed, it goes another way than before: at {Path(__file__)}:{LINE} the code asks for "
        'step.do("c"), where the history has step.do("b"), step.wait_for_event("go"). '
        "Likely because of state that the process keeps from one turn to the next: `Version.names` at "
        f"{Path(__file__)}:{LINE}. Keep it in variables of `run`, or in the result of a step."
    )
    assert status == "complete"
    assert lines == [f"changing/a: {text}"]
    assert noted == [(None, None, "WARNING", text)]


def test_each_place_of_an_instance_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A turn that is lost, or waits for a slot, before its step is on record diverges again, and says nothing more."""
    caplog.set_level(logging.WARNING, WARNED)
    told = Divergences()

    def at(line: int) -> Divergence:
        key = Key(StepKind.DO, "pay", 2)
        return Divergence("order", "a", key, (Key(StepKind.SLEEP, "rest", 1),), False, (Line("flows.py", line),), None)

    assert [told.tell(1, at(3)), told.tell(1, at(3)), told.tell(1, at(4)), told.tell(2, at(3))] == [
        True,
        False,
        True,
        True,
    ]
    assert caplog.messages[0].startswith(
        'order/a: replayed, it goes another way than before: at flows.py:3 the code asks for step.do("pay"), '
        'call 2 of that name, where the history has step.sleep("rest"). '
    )
    assert len(caplog.messages) == 3


async def test_source_that_cannot_be_looked_into_ends_no_turn(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong while the cause is looked for, the divergence is told without, and the instance goes on."""

    def fails(_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("stepwell.checks.causes.likely_cause", fails)
    status, lines, noted = await _changed("ab", "ac", caplog)

    assert (status, len(noted)) == ("complete", 1)
    assert lines[0].startswith("the cause of a divergence at ")
    assert lines[1].endswith(
        'where the history has step.do("b"), step.wait_for_event("go"). Nothing in its source tells why. '
        "Is it other code than before? Let what has begun go the old way: `if step.patched(name)`."
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("abc", "ac", id="no longer called"),
        pytest.param("abc", "cba", id="in another order"),
        pytest.param("ab", "ab", id="the same"),
        pytest.param("", "a", id="a new one in front of what it waits for"),
    ],
)
async def test_change_that_is_allowed_is_no_divergence(
    before: str, after: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no longer called, or in another place, changes nothing for what is on record."""
    status, lines, noted = await _changed(before, after, caplog)

    # Of a step in front of the wait nobody can tell whether it takes the wait's place.
    told = 1 if (before, after) == ("", "a") else 0
    assert (status, len(lines), len(noted)) == ("complete", told, told)
