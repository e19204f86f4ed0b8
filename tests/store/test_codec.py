"""Records as rows: what is read is what was written, to the type."""

import pytest

from stepwell.core.failures import Failure
from stepwell.core.records import (
    Action,
    AttemptStarted,
    Created,
    Firing,
    Key,
    Record,
    SleepStarted,
    StepConfig,
    StepFailed,
    StepForced,
    StepKind,
    StepSucceeded,
    StreamRef,
)
from stepwell.store import codec
from stepwell.store.operations import RecordRow

CHARGE = Key(StepKind.DO, "charge", 2)
# Equal, and shown otherwise: as their authors wrote them.
WHOLE = StepConfig(5, 10_000, "exponential", "1 hour", None, 60_000)
BROKEN = StepConfig(5.0, 10_000.0, "exponential", "1 hour", None, 60_000.0)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(AttemptStarted(7, CHARGE, 1, WHOLE, Key(StepKind.ROLLBACK, "é\n", 1), 3), id="first attempt"),
        pytest.param(AttemptStarted(7, CHARGE, 1, BROKEN, rollback=True), id="config with fractions"),
        pytest.param(AttemptStarted(7, CHARGE, 1, StepConfig(1, 2, "linear", 3, "output")), id="sensitive"),
        pytest.param(StepSucceeded(7, CHARGE, 1, '{"a":1}', StreamRef(3, 9)), id="stream"),
        pytest.param(StepFailed(7, CHARGE, 1, Failure("E", "no", cause=Failure("F", "why"))), id="failure"),
        pytest.param(StepForced(7, CHARGE, Action.FAIL, "ann", 2, None, Failure("E", "no")), id="decision"),
        pytest.param(Created(7, "cron", "{}", Firing("* * * * *", 6)), id="firing"),
    ],
)
def test_record_is_read_as_it_was_written(record: Record) -> None:
    """Each member has its value and its type again, whatever was read before it."""
    codec.from_row(codec.to_row(AttemptStarted(1, CHARGE, 1, WHOLE)))

    read = codec.from_row(codec.to_row(record)).record

    assert (read, repr(read)) == (record, repr(record))


def test_step_is_read_as_it_was_written() -> None:
    """A key that is a text of its own is one again."""
    assert repr(codec.from_step(codec.to_step(CHARGE))) == repr(CHARGE)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(RecordRow("unheard_of", 7, "{}"), id="of no kind"),
        pytest.param(RecordRow("completed", 7, "{}"), id="without its value"),
        pytest.param(RecordRow("running", 7, "{}", "1"), id="with a value that it has no place for"),
        pytest.param(RecordRow("step_cancelled", 7, "{}"), id="without its key"),
        pytest.param(RecordRow("step_cancelled", 7, '{"key":["do","a"]}'), id="with half a key"),
        pytest.param(RecordRow("failed", 7, '{"error":{"name":"E"}}'), id="with half an error"),
        pytest.param(RecordRow("running", 7, "{"), id="of no JSON"),
    ],
)
def test_damaged_record_is_refused(row: RecordRow) -> None:
    """By an error of those that the turn, the checks and the doctor take for damage."""
    with pytest.raises((KeyError, ValueError)):
        codec.from_row(row)


def test_value_in_a_body_is_none() -> None:
    """It would be past all that is asked of values: how large one is, and whether it is sealed."""
    body = '{"key":["do","charge",2],"action":"retry","by":"ann","attempt":1,"value":"1"}'

    assert codec.from_row(RecordRow("step_forced", 7, body)).record == StepForced(7, CHARGE, Action.RETRY, "ann", 1)


def test_what_a_later_release_adds_is_passed_over() -> None:
    """And a number is what its JSON says, whatever it should be."""
    body = '{"key":["do","charge",2],"until":8.5,"unheard_of":[1]}'

    assert codec.from_row(RecordRow("sleep_started", 7, body)).record == SleepStarted(7, CHARGE, 8.5)  # type: ignore[arg-type]  # the point
