"""Step logs as text: compared with a test's own, and with a file beside it."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwell.errors import SnapshotMissing, StepsDiffer
from stepwell.testing import TestEngine, TestInstance, assert_snapshot, assert_steps, step_log
from tests.testing.flows import Order

LOG = """\
order: complete

step   charge-1  42
         attempt 1: ConnectionError: refused
         attempt 2: succeeded
sleep  cool off-1
event  approval-1  {"by": "ann"}
step   pack 0-1  {"part": 0}
step   pack 1-1  {"part": 1}
step   pack 2-1  {"part": 2}
step   send-1  "sss"

output  {"receipt": 42, "by": "ann", "parts": 3}
"""


@pytest.fixture
async def ordered() -> AsyncIterator[TestInstance]:
    """An order that has come to its end."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, params={})
        await engine.advance("2 hours")
        await instance.send_event("approved", {"by": "ann"})
        await engine.run_until_idle()
        yield instance


async def test_log_is_text_without_times_and_ids(ordered: TestInstance) -> None:
    """What each step came to is a line, and attempts that have failed are told."""
    assert await step_log(ordered) == LOG
    await assert_steps(ordered, LOG)


async def test_log_of_what_has_not_ended_says_what_it_waits_for() -> None:
    """A sleep and a wait for an event that are not over are marked."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, params={})
        await engine.advance("1 minute")
        sleeping = await step_log(instance)
        await engine.advance("1 hour")

        assert sleeping.splitlines()[-1] == "sleep  cool off-1  (sleeps)"
        assert (await step_log(instance)).splitlines()[-1] == 'event  approval-1  (waits for "approved")'


async def test_long_values_lie_below_their_step_and_what_changes_is_masked() -> None:
    """A value that is too long for a line is indented JSON; UUIDs and moments are words."""
    async with TestEngine.open([Order]) as engine:
        instance = await engine.create(Order, params={"long": 100})
        await engine.advance("2 hours")
        await instance.send_event("approved", {"by": f"{uuid.uuid4()} at 2026-11-27T10:00:00.123+00:00"})
        await engine.run_until_idle()

        log = await step_log(instance)

    assert '"by": "<uuid> at <moment>"' in log
    assert f'step   send-1\n       "{"s" * 100}"\n' in log


async def test_difference_is_shown_line_by_line(ordered: TestInstance) -> None:
    """What is not as the test says is shown with the lines around it."""
    with pytest.raises(StepsDiffer) as found:
        await assert_steps(ordered, LOG.replace('{"part": 1}', '{"part": 7}'))

    assert str(found.value) == (
        'The step log of "order" is not what the test says:\n'
        "\n"
        "  ...\n"
        "   sleep  cool off-1\n"
        '   event  approval-1  {"by": "ann"}\n'
        '   step   pack 0-1  {"part": 0}\n'
        '  -step   pack 1-1  {"part": 7}\n'
        '  +step   pack 1-1  {"part": 1}\n'
        '   step   pack 2-1  {"part": 2}\n'
        '   step   send-1  "sss"\n'
        "   "
    )


async def test_snapshot_is_written_when_asked_and_compared_otherwise(
    ordered: TestInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that is not there fails the test; once written, it holds; a change is shown, with how to accept it."""
    path = tmp_path / "snapshots" / "order.txt"
    monkeypatch.delenv("STEPWELL_SNAPSHOTS", raising=False)
    with pytest.raises(SnapshotMissing) as missing:
        await assert_snapshot(ordered, path)
    monkeypatch.setenv("STEPWELL_SNAPSHOTS", "write")
    await assert_snapshot(ordered, path)
    monkeypatch.delenv("STEPWELL_SNAPSHOTS")
    await assert_snapshot(ordered, path)
    path.write_text(LOG.replace('"sss"', '"ss"'))
    with pytest.raises(StepsDiffer) as changed:
        await assert_snapshot(ordered, path)

    assert str(missing.value) == (
        f"There is no snapshot {path} yet. Write it, read it, and commit it with the test:\n\n"
        f"    STEPWELL_SNAPSHOTS=write pytest\n\nThe step log now:\n\n{LOG}"
    )
    assert str(changed.value).startswith(f'The step log of "order" is not what {path} has:\n')
    assert str(changed.value).endswith(
        "\n\nIf that is meant, accept it, and review the change of the file:\n\n    STEPWELL_SNAPSHOTS=write pytest"
    )
