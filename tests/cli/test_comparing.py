"""`stepwell instances compare`: what ran in one of two instances and not in the other, and what ran otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli.pairs import paired
from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted

PAIRS = Path(__file__).parents[1] / "dashboard" / "node" / "pairs.json"
START = "2026-11-27T10:00:00.000Z"


def _step(name: str, *, ms: int = 100, output: Any = 1, tries: int = 1, error: Any = None) -> dict[str, Any]:
    end = f"2026-11-27T10:00:{ms // 1000:02}.{ms % 1000:03}Z"
    return {
        "name": name,
        "type": "step",
        "start": START,
        "end": end,
        "success": error is None,
        "output": output,
        "attempts": [{"error": error}] * tries,
        "config": {},
    }


def _instance(*steps: Any, status: str = "complete", **more: Any) -> Answer:
    facts = {"status": status, "versionId": "v1", "queued": START, "start": START, "end": START, "params": {}}
    return Answer.result({**facts, "output": None, "error": None, "trigger": {"source": "api"}, "steps": steps, **more})


A = _instance(_step("begin-1"), _step("pay-1"), _step("tax-1"), _step("pack-1", ms=100))
B = _instance(
    *(_step("begin-1"), _step("check-1"), _step("pay-1", output=None, tries=3, error={"name": "E", "message": "no"})),
    _step("pack-1", ms=9_000),
    status="errored",
    versionId="v2",
)


def test_steps_of_one_alone_and_what_ran_otherwise_are_shown() -> None:
    """In the order of A, what is B's where it came; what is the same with --all."""
    with scripted([A, B, A, B]) as server:
        told = run("instances", "compare", "order", "a", "b", "--url", server.url)
        whole = run("instances", "compare", "order", "a", "b", "--all", "--url", server.url)

    assert told.exit_code == 0
    assert [line.split("\t") for line in told.stdout.splitlines()] == [
        ["(instance)", "instance", "status, version", "complete, 0 ms", "errored, 0 ms"],
        ["check-1", "step", "only in B", "-", "complete, 1 attempt, 100 ms"],
        [
            "pay-1",
            "step",
            "status, attempts, error",
            "complete, 1 attempt, 100 ms",
            "errored, 3 attempts, 100 ms",
        ],
        ["tax-1", "step", "only in A", "complete, 1 attempt, 100 ms", "-"],
        ["pack-1", "step", "slower in B", "complete, 1 attempt, 100 ms", "complete, 1 attempt, 9.0 s"],
    ]
    assert told.stderr == "a and b: 6 rows, 5 of 6 differ\n"
    assert whole.stdout.splitlines()[1].split("\t")[:3] == ["begin-1", "step", "="]
    assert [path for _, path, _ in server.asked] == ["a", "b", "a", "b"]


def test_outputs_and_config_of_what_is_complete_in_both_are_compared() -> None:
    """By what the log has of them."""
    other = _instance({**_step("begin-1", output=2), "config": {"timeout": 1}})
    with scripted([_instance(_step("begin-1")), other]) as server:
        told = run("instances", "compare", "order", "a", "b", "--url", server.url)

    assert [line.split("\t")[2] for line in told.stdout.splitlines()] == ["output, config"]


@pytest.mark.parametrize(
    "case", json.loads(PAIRS.read_text(encoding="utf-8")), ids=lambda case: ",".join(case["pairs"])
)
def test_steps_go_together_by_the_rule_of_the_dashboard(case: Any) -> None:
    """Which is held against the same pairs."""
    ours, theirs = (dict.fromkeys(case[side], True) for side in ("a", "b"))

    found = [f"{key}{'A' if a else ''}{'B' if b else ''}" for key, a, b in paired(ours, theirs)]

    assert found == case["pairs"]


def test_instances_that_are_the_same_have_nothing_to_show() -> None:
    """Which is said; programs get an empty list."""
    with scripted([A, A, A, A]) as server:
        told = run("instances", "compare", "order", "a", "c", "--url", server.url)
        shown = run("instances", "compare", "order", "a", "c", "-o", "json", "--url", server.url)

    assert (told.exit_code, told.stdout, told.stderr) == (0, "", "a and c: 5 rows, the same\n")
    assert json.loads(shown.stdout) == []


def test_what_still_waits_has_taken_no_time_yet() -> None:
    """Its end is the one that it has at the latest."""
    waiting = {"name": "go-1", "type": "waitForEvent", "start": START, "end": "2026-12-04T10:00:00.000Z", "error": None}
    answers = [_instance({**waiting, "finished": finished, "output": None}) for finished in (False, True)]
    with scripted(answers) as server:
        told = run("instances", "compare", "order", "a", "b", "--url", server.url)

    assert told.stdout == "go-1\twaitForEvent\tstatus\twaiting\tdone, 7 d\n"


def test_columns_are_called_after_the_instances() -> None:
    """So that one knows which is which."""
    with scripted([A, B]) as server:
        _, screen = run_on_terminal(
            "instances", "compare", "order", "old", "new", "--url", server.url, columns=120, env={"NO_COLOR": "1"}
        )

    assert screen.splitlines()[0].split()[-2:] == ["OLD", "NEW"]
