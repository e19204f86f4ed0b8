"""`stepwell instances why`, against a real server and a scripted one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

ERROR = {"name": "CardDeclined", "message": "no \x1b[31mfunds"}
SAID = "CardDeclined: no \N{REPLACEMENT CHARACTER}funds"


def moment(days: float) -> str:
    """Return a moment so many days from now, as the API writes it."""
    at = datetime.now(UTC) + timedelta(days=days)
    return f"{at:%Y-%m-%dT%H:%M:%S}.500Z"


def short(moment: str) -> str:
    """Return a moment as the command writes it."""
    return moment.removesuffix(".500Z").removesuffix(":00") + "Z"


# So far that no time which the tests take matters.
AGO, AHEAD = moment(-3.1), moment(5.1)
SINCE = f"since {short(AGO)}, for 3 d"
DESK = {"type": "sharedSlot", "step": "ask-1", "limit": "desk", "since": AGO}
UNTIL = f"until {short(AHEAD)}, in 5 d"


def test_reasons_are_told_in_plain_words(server: DevServer) -> None:
    """A line for each; JSON is what the API answers."""
    server.create("order", "asked", {"waits": True})
    server.wait_for_status("order", "asked", "waiting")

    told = ask(server, "instances", "why", "order", "latest")
    as_json = ask(server, "instances", "why", "order", "asked", "-o", "json")

    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith('waiting for event "approved" (approval-1) until 20')
    assert told.stdout.endswith("Z, in 24 h\n")
    (reason,) = json.loads(as_json.stdout)["reasons"]
    assert (reason["type"], reason["step"]) == ("waitForEvent", "approval-1")


def test_end_is_told(server: DevServer) -> None:
    """With the error, if there is one; the latest is meant where no id is given."""
    server.create("order", "bad", {"fails": True})
    server.wait_for_status("order", "bad", "errored")

    told = ask(server, "instances", "why", "order")

    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith("errored at 20")
    assert told.stdout.endswith(" ago: ValueError: no \N{REPLACEMENT CHARACTER}red\n")


def test_instance_that_is_not_there_is_told(server: DevServer) -> None:
    """Exit code 4."""
    refused = ask(server, "instances", "why", "order", "nothing")

    assert (refused.exit_code, refused.stdout) == (4, "")
    assert 'no instance "nothing" in workflow "order"' in refused.stderr


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        pytest.param(
            {"type": "waitForEvent", "step": "approval-1", "event_type": "approved", "until": AHEAD},
            f'waiting for event "approved" (approval-1) {UNTIL}',
            id="event",
        ),
        pytest.param(
            {
                "type": "waitForEvent",
                "step": "approval-1",
                "event_type": "approved",
                "until": AHEAD,
                "unmet": ["aproved", "Approved"],
            },
            f'waiting for event "approved" (approval-1) {UNTIL}; '
            'what has come, and nothing waits for: "aproved", "Approved"',
            id="event, and others have come",
        ),
        pytest.param({"type": "sleep", "step": "nap-1", "until": AHEAD}, f"sleeping (nap-1) {UNTIL}", id="sleep"),
        pytest.param(
            {"type": "retry", "step": "charge-1", "failed_attempts": 2, "error": ERROR, "until": AHEAD},
            f"waiting for the next attempt of charge-1 {UNTIL}; 2 attempts have failed, the last with {SAID}",
            id="retry",
        ),
        pytest.param(
            {"type": "retry", "step": "charge-1", "failed_attempts": 1, "error": ERROR, "until": AGO},
            f"waiting for the next attempt of charge-1 until {short(AGO)}, now; 1 attempt has failed, "
            f"the last with {SAID}",
            id="retry that is due",
        ),
        pytest.param(
            {"type": "attempt", "step": "charge-1", "attempt": 2, "since": AGO, "until": AHEAD, "worker": "worker 1"},
            f"attempt 2 of charge-1 is running on worker 1 {SINCE}; it times out at {short(AHEAD)}, in 5 d",
            id="attempt",
        ),
        pytest.param(
            {
                "type": "workerBlocked",
                "worker": "worker 1",
                "since": AGO,
                "stack": ['File "a\x1b[2J.py", line 3', "  g()"],
            },
            f"worker 1 has been blocked {SINCE}; it hangs here:\n"
            '  File "a\N{REPLACEMENT CHARACTER}.py", line 3\n    g()',
            id="worker blocked",
        ),
        pytest.param(
            {"type": "workerBlocked", "worker": "worker 1", "since": AGO, "stack": []},
            f"worker 1 has been blocked {SINCE}; where it hangs is not known",
            id="worker blocked somewhere",
        ),
        pytest.param(
            {"type": "code", "since": AGO},
            f"the code of run runs, or waits for something outside of steps, {SINCE}",
            id="code",
        ),
        pytest.param({"type": "queued", "since": AGO, "before": 0}, f"queued {SINCE}", id="queued"),
        pytest.param({"type": "queued", "since": AGO, "before": 1}, f"queued {SINCE}; 1 is before it", id="behind one"),
        pytest.param({"type": "queued", "since": AGO, "before": 3}, f"queued {SINCE}; 3 are before it", id="behind"),
        pytest.param(
            {**DESK, "until": None, "before": 1, "held": 2, "concurrency": 2, "is_set": True},
            f"ask-1 waits for a slot of the limit desk {SINCE}; 2 of 2 run; 1 is before it",
            id="shared slot",
        ),
        pytest.param(
            {**DESK, "until": AHEAD, "before": 0, "held": 2, "concurrency": None, "is_set": True},
            f"ask-1 waits for a slot of the limit desk {SINCE}; its rate allows the next start in 5 d",
            id="shared slot to come",
        ),
        pytest.param(
            {**DESK, "until": None, "before": 0, "held": 0, "concurrency": None, "is_set": False},
            f"ask-1 waits for a slot of the limit desk {SINCE}; nobody has set it: "
            "stepwell limits share desk --concurrency N",
            id="shared limit that nobody has set",
        ),
        pytest.param(
            {"type": "noWorker", "version": "v1"},
            "no worker for version v1: none is alive that has its code",
            id="no worker",
        ),
        pytest.param(
            {"type": "notLoaded", "script_name": "shop", "class_name": "Order", "workers": ["worker 1", "worker 2"]},
            'no worker has the class "Order" of script "shop"; workers: worker 1, worker 2',
            id="not loaded",
        ),
        pytest.param({"type": "turnsLost", "count": 1}, "its worker died once", id="turn lost"),
        pytest.param({"type": "turnsLost", "count": 3}, "its worker died 3 times in a row", id="turns lost"),
        pytest.param(
            {"type": "resting", "until": AHEAD},
            f"its last turn could not go on (the log of the server says why); it rests {UNTIL}",
            id="resting",
        ),
        pytest.param({"type": "paused", "since": AGO}, f"paused {SINCE}", id="paused"),
        pytest.param(
            {"type": "waitingForPause", "since": AGO, "in_flight": ["charge-1", "ship-1"]},
            f"to be paused {SINCE}; in flight: charge-1, ship-1",
            id="pausing",
        ),
        pytest.param(
            {"type": "waitingForPause", "since": AGO, "in_flight": []},
            f"to be paused {SINCE}; in flight: the code of run",
            id="pausing code",
        ),
        pytest.param(
            {"type": "rollingBack", "since": AGO, "error": ERROR, "step": "charge-1"},
            f"rolling back (now charge-1) {SINCE}, for {SAID}",
            id="rolling back",
        ),
        pytest.param(
            {"type": "rollingBack", "since": AGO, "error": ERROR, "step": None},
            f"rolling back {SINCE}, for {SAID}",
            id="rolling back at its beginning",
        ),
        pytest.param({"type": "moonlight"}, "moonlight", id="of a newer server"),
    ],
)
def test_each_reason_has_its_words(reason: dict[str, Any], words: str) -> None:
    """With nothing that a terminal would obey."""
    with scripted([Answer.result({"status": "running", "reasons": [reason], "end": None})]) as server:
        told = run("instances", "why", "order", "a", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, f"{words}\n")


def test_instance_without_a_known_reason_is_told() -> None:
    """Its status stands for it."""
    with scripted([Answer.result({"status": "running", "reasons": [], "end": None})]) as server:
        told = run("instances", "why", "order", "a", "--url", server.url)

    assert told.stdout == "running; no reason is known\n"
