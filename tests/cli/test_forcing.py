"""`stepwell instances step-retry`, `step-skip`, `step-complete` and `step-fail`."""

from typing import Any

import pytest

from tests.cli.commands import ask, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer

RECEIPT = {"step": "charge-1", "action": "retry", "by": "ann", "timestamp": "2026-11-23T10:00:00.000Z"}


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        pytest.param(
            ["step-retry", "order", "a", "charge-1"],
            {"action": "retry", "step": "charge-1", "type": "step"},
            id="retry",
        ),
        pytest.param(
            ["step-retry", "order", "a", "charge-1", "--type", "rollback"],
            {"action": "retry", "step": "charge-1", "type": "rollback"},
            id="retry a rollback",
        ),
        pytest.param(["step-skip", "order", "a", "nap-1"], {"action": "skip", "step": "nap-1"}, id="skip"),
        pytest.param(
            ["step-complete", "order", "a", "charge-1", '{"paid": true}'],
            {"action": "complete", "step": "charge-1", "type": "step", "value": {"paid": True}},
            id="complete",
        ),
        pytest.param(
            ["step-complete", "order", "a", "approval-1", "null", "--type", "waitForEvent"],
            {"action": "complete", "step": "approval-1", "type": "waitForEvent", "value": None},
            id="complete a wait",
        ),
        pytest.param(
            ["step-fail", "order", "a", "charge-1"],
            {"action": "fail", "step": "charge-1", "type": "step", "error": {"name": "Error", "message": ""}},
            id="fail",
        ),
        pytest.param(
            ["step-fail", "order", "a", "charge-1", "no funds", "--error", "CardDeclined"],
            {
                "action": "fail",
                "step": "charge-1",
                "type": "step",
                "error": {"name": "CardDeclined", "message": "no funds"},
            },
            id="fail with an error",
        ),
        pytest.param(
            ["step-fail", "order", "a", "approval-1", "no", "--type", "waitForEvent"],
            {
                "action": "fail",
                "step": "approval-1",
                "type": "waitForEvent",
                "error": {"name": "Error", "message": "no"},
            },
            id="fail a wait",
        ),
        pytest.param(
            ["step-fail", "order", "a", "charge-1", "no", "--type", "rollback"],
            {
                "action": "fail",
                "step": "charge-1",
                "type": "rollback",
                "error": {"name": "Error", "message": "no"},
            },
            id="fail a rollback",
        ),
    ],
)
def test_command_asks_for_what_it_says(arguments: list[str], body: dict[str, Any]) -> None:
    """And prints what was decided, and who is taken to have decided it."""
    with scripted([Answer.result(RECEIPT)]) as server:
        done = run("instances", *arguments, "--url", server.url)

    assert (done.exit_code, done.stdout) == (0, "charge-1\tretry\tann\n")
    assert server.asked == [("POST", "step", body)]


def test_value_that_is_not_json_is_refused() -> None:
    """Exit code 2, before anything is asked."""
    refused = run("instances", "step-complete", "order", "a", "charge-1", "paid", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert "this is not JSON" in refused.stderr


def test_wait_is_completed(server: DevServer) -> None:
    """The instance goes on with the value; a second time there is nothing to decide, which is told."""
    server.create("order", "forced", {"waits": True})
    server.wait_for_status("order", "forced", "waiting")
    command = ("instances", "step-complete", "order", "latest", "approval-1", '{"by": "ann"}', "--type", "waitForEvent")

    done = ask(server, *command)
    server.wait_for_status("order", "forced", "complete")
    refused = ask(server, *command)

    assert (done.exit_code, done.stdout) == (0, "approval-1\tcomplete\tlocal\n")
    assert (refused.exit_code, refused.stdout) == (5, "")
    assert "cannot complete a step" in refused.stderr
