"""Where an instance came to its error, and the command that lets it go on."""

from typing import Any

import pytest

from stepwell.cli.remedies import failed_step, next_command

DECLINED: dict[str, Any] = {"name": "CardDeclined", "message": "insufficient funds"}
LATE = {"name": "WorkflowTimeoutError", "message": "Execution timed out after 1000ms"}
OTHER: dict[str, Any] = {**DECLINED, "message": "no limit"}


def attempts(*errors: Any) -> list[dict[str, Any]]:
    """Return attempts that ended so."""
    return [{"success": error is None, "error": error} for error in errors]


CHARGE: dict[str, Any] = {"type": "step", "name": "charge-1", "success": False, "attempts": attempts(LATE, DECLINED)}
AGAIN = {**CHARGE, "name": "charge-2"}
WAIT = {"type": "waitForEvent", "name": "approval-1", "finished": True, "error": LATE}
UNDO = {**CHARGE, "type": "rollback"}


@pytest.mark.parametrize(
    ("more", "step", "command"),
    [
        pytest.param({"steps": [CHARGE]}, "charge-1", "restart order i1 --from charge", id="step"),
        pytest.param({"steps": [CHARGE, AGAIN]}, "charge-2", "restart order i1 --from charge --count 2", id="second"),
        pytest.param(
            {"steps": [CHARGE, WAIT], "error": LATE},
            "approval-1",
            "restart order i1 --from approval --type waitForEvent",
            id="wait",
        ),
        pytest.param({"steps": [CHARGE, WAIT]}, "charge-1", "restart order i1 --from charge", id="not the last"),
        pytest.param({"steps": [UNDO]}, None, "restart order i1", id="only a rollback failed so"),
        pytest.param({"steps": [CHARGE], "error": OTHER}, None, "restart order i1", id="code"),
        pytest.param({}, None, "restart order i1", id="without its steps"),
        pytest.param(
            {"steps": [CHARGE], "rollback": {"outcome": "complete"}}, "charge-1", "restart order i1", id="undone"
        ),
        pytest.param(
            {"steps": [CHARGE], "rollback": {"outcome": "failed"}},
            "charge-1",
            "resume-rollback order i1",
            id="not undone",
        ),
        pytest.param(
            {"steps": [{**CHARGE, "name": "take it-1"}]}, "take it-1", "restart order i1 --from 'take it'", id="quoted"
        ),
    ],
)
def test_errored_instance_has_a_next_command(more: dict[str, Any], step: str | None, command: str) -> None:
    """It begins again at the step that ended it, but not where what was done before it is undone."""
    instance: dict[str, Any] = {"status": "errored", "error": DECLINED, **more}

    found = failed_step(instance)

    assert (found and found["name"]) == step
    assert next_command("order", "i1", instance) == f"stepwell instances {command}"


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param({"status": "complete", "error": None}, id="complete"),
        pytest.param({"status": "errored", "error": DECLINED, "steps": [{**CHARGE, "name": "a\x1b[2J-1"}]}, id="odd"),
    ],
)
def test_there_is_no_next_command(instance: dict[str, Any]) -> None:
    """Where nothing went wrong, and where what is shown would not be what has to be typed."""
    assert next_command("order", "i1", instance) is None
