"""Which unfinished instances are stalled, and which have a good reason not to go on."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from stepwell.core.open_calls import fold_calls
from stepwell.core.records import Completed, PauseAsked, Paused, Record, Terminated
from stepwell.core.stalled import Stall, stall_of
from stepwell.core.steplog import iso
from stepwell.core.why import Situation, SlotWait, explain_calls
from tests.core.histories import NOW, history
from tests.core.test_why import (
    APPROVAL,
    AT_DESK,
    BLOCKED,
    DEAD,
    DUE,
    FAILED,
    HELD,
    LATER,
    NAP,
    RESTING,
    STARTED,
    parked,
)

MINUTE = 60_000
PATIENCE = 5 * MINUTE
LONG = NOW + 30 * MINUTE
FREE = SlotWait(0, 1, 2, None, "")


def stall(records: Sequence[Record], situation: Situation, now: int = LONG) -> Stall | None:
    """Return why an instance is stalled that has begun and then met these."""
    fold = fold_calls(history(*records))
    reasons = explain_calls(fold, situation, now, 1_000).reasons
    return stall_of(fold, reasons, situation, now, PATIENCE)


@pytest.mark.parametrize(
    ("records", "situation", "now"),
    [
        pytest.param([APPROVAL, RESTING], parked(LATER), LONG, id="event"),
        pytest.param([NAP, RESTING], parked(LATER), LONG, id="sleep"),
        pytest.param([STARTED, FAILED, RESTING], parked(LATER), LONG, id="retry"),
        pytest.param([STARTED], HELD, NOW + 9 * MINUTE, id="attempt"),
        pytest.param([STARTED], HELD, NOW + 12 * MINUTE, id="attempt that is about to time out"),
        pytest.param([], HELD, NOW + MINUTE, id="code"),
        pytest.param([NAP], HELD, LONG, id="a wait in a turn that stays open"),
        pytest.param([STARTED], BLOCKED, NOW + MINUTE, id="blocked for a moment"),
        pytest.param([NAP, PauseAsked(NOW + 2), Paused(NOW + 3)], parked(None), LONG, id="paused"),
        pytest.param([], replace(DUE, before=3), LONG, id="others before it"),
        pytest.param([], replace(DUE, due_at=LONG - MINUTE), LONG, id="due for a moment"),
        pytest.param([], replace(DUE, due_at=LONG - MINUTE, workers=[]), LONG, id="without a worker for a moment"),
        pytest.param([], parked(LONG + MINUTE), LONG, id="to be tried again"),
        pytest.param([], replace(parked(None), slot=replace(FREE, held=2)), LONG, id="no slot is free"),
        pytest.param([], replace(parked(None), slot=replace(FREE, before=1)), LONG, id="others wait before it"),
        pytest.param([], replace(parked(None), slot=replace(FREE, key="ann")), LONG, id="its key may have a limit"),
        pytest.param([], replace(parked(None), slot=replace(FREE, most_in_account=9)), LONG, id="its account has one"),
        pytest.param([], replace(parked(LONG + 1), slot=FREE), LONG, id="a rate holds it back"),
        pytest.param([NAP], replace(parked(None), shared=(AT_DESK,)), LONG, id="no shared slot is free"),
        pytest.param([RESTING], parked(None), NOW + MINUTE, id="put back a moment ago"),
        pytest.param([Completed(NOW + 2, "1")], parked(None), LONG, id="complete"),
        pytest.param([Terminated(NOW + 2, "api")], parked(None), LONG, id="terminated"),
    ],
)
def test_good_reason_is_none_to_worry(records: Sequence[Record], situation: Situation, now: int) -> None:
    """It waits for what will come, or can be sent, or it has been so for a moment only."""
    assert stall(records, situation, now) is None


@pytest.mark.parametrize(
    ("records", "situation", "said"),
    [
        pytest.param(
            [STARTED], BLOCKED, f"worker 1, which has it, has not answered since {iso(NOW + 4)}", id="blocked"
        ),
        pytest.param(
            [STARTED],
            HELD,
            f"attempt 1 of charge-1 should have timed out at {iso(NOW + 1 + 10 * MINUTE)}",
            id="attempt",
        ),
        pytest.param([], HELD, f"its turn has led to nothing since {iso(NOW)}", id="code"),
        pytest.param(
            [],
            replace(HELD, shared=(replace(AT_DESK, before=0, held=0),)),
            "charge-1 waits for a slot of the limit desk, and one is free",
            id="shared slot in a turn",
        ),
        pytest.param([], DUE, f"it is due since {iso(NOW + 5)}, and no worker takes it", id="due"),
        pytest.param(
            [STARTED], replace(DEAD, workers=["worker 2"]), "it is due, and no worker takes it", id="dead owner"
        ),
        pytest.param([], replace(DUE, workers=[]), "no worker that is alive has its version, v1", id="no worker"),
        pytest.param([STARTED], DEAD, "no worker that is alive has its version, v1", id="dead owner, no worker"),
        pytest.param(
            [], replace(DUE, is_loaded=False), "no worker that is alive has the class Order of shop", id="no class"
        ),
        pytest.param(
            [],
            replace(parked(None), slot=FREE),
            "it waits for a slot of its workflow, and one is free",
            id="slot",
        ),
        pytest.param(
            [NAP],
            replace(parked(None), shared=(replace(AT_DESK, before=0, held=0),)),
            "charge-1 waits for a slot of the limit desk, and one is free",
            id="shared slot",
        ),
        pytest.param([NAP, RESTING], parked(None), "nobody has it, and nothing will make it due", id="never woken"),
        pytest.param(
            [PauseAsked(NOW + 2)], parked(None), "nobody has it, and nothing will make it due", id="never paused"
        ),
    ],
)
def test_what_has_no_good_reason_is_stalled(records: Sequence[Record], situation: Situation, said: str) -> None:
    """In words, with what helps."""
    found = stall(records, situation)

    assert found is not None
    assert found.said == said
    assert found.remedy
    assert found.is_unclaimed == ("no worker" in said)
    assert found.is_unwoken == ("nothing" in said and "turn" not in said)


def test_what_is_woken_long_after_its_wait_is_stalled() -> None:
    """It is late, as far as it waits for nothing else."""
    late = LATER + 60 * MINUTE

    found = stall([NAP, RESTING], parked(late), LATER + 10 * MINUTE)

    assert found is not None
    assert found.said == f"what it waits for is over since {iso(LATER)}, and it is due at {iso(late)}"
    assert found.is_unwoken
