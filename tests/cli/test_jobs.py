"""`stepwell jobs`, against a real server."""

import json
from typing import Any

import pytest

from tests.cli.commands import ask, begin, run
from tests.cli.scripted import Answer, scripted
from tests.crash.server import DevServer


def test_job_is_begun_waited_for_and_listed(server: DevServer) -> None:
    """It is printed with what it has done, and the instances that match are changed."""
    begin(server, "j-1", "j-2")
    begin(server, "other")

    told = ask(
        server, "jobs", "start", "terminate", "order", "--prefix", "j-", "--status", "waiting", "--wait", "--yes"
    )
    listed = ask(server, "jobs", "list", "--limit", "1")

    assert (told.exit_code, told.stderr) == (0, "")
    id, *cells = told.stdout.rstrip("\n").split("\t")
    assert cells[:8] == ["terminate", "order", "complete", "2", "0", "0", "0", "status=waiting prefix=j-"]
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == [id]
    assert [server.get("order", name)["status"] for name in ("j-1", "j-2", "other")] == [
        "terminated",
        "terminated",
        "waiting",
    ]


def test_job_is_described_and_cancelled(server: DevServer) -> None:
    """One that has ended stays as it is."""
    begun = json.loads(ask(server, "jobs", "start", "pause", "--label", "a=b", "-y", "-o", "json").stdout)
    ask(server, "jobs", "start", "pause", "--label", "a=b", "--wait", "-y")

    described = json.loads(ask(server, "jobs", "describe", begun["id"], "-o", "json").stdout)
    cancelled = json.loads(ask(server, "jobs", "cancel", begun["id"], "-o", "json").stdout)

    assert (begun["workflow_name"], begun["filter"]) == (None, {"label": ["a=b"]})
    assert (described["id"], described["status"]) == (begun["id"], "complete")
    assert cancelled == described


def test_job_that_is_not_there_is_told(server: DevServer) -> None:
    """Exit code 4, and what shows those there are."""
    refused = ask(server, "jobs", "describe", "00000000-0000-4000-8000-000000000000")

    assert (refused.exit_code, refused.stdout) == (4, "")
    assert "`stepwell jobs list` shows those there are" in refused.stderr


def test_job_is_confirmed_first() -> None:
    """Without a terminal to ask on, and without --yes, nothing is asked of a server."""
    refused = run("jobs", "start", "delete", "order", "--status", "errored", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert "delete all instances of order with status=errored" in refused.stderr


@pytest.mark.parametrize(
    ("status", "failed", "code"),
    [
        pytest.param("complete", 0, 0, id="well"),
        pytest.param("complete", 1, 1, id="failed"),
        pytest.param("cancelled", 0, 1, id="cancelled"),
    ],
)
def test_exit_code_tells_whether_all_were_changed(status: str, failed: int, code: int) -> None:
    """What failed is printed behind the job, with its reason."""
    failure = {"workflow_name": "order", "instance_id": "a", "message": "torn"}
    job: dict[str, Any] = {
        "id": "j",
        "action": "pause",
        "workflow_name": None,
        "filter": {},
        "status": status,
        "created_on": "2026-11-23T10:00:00.000Z",
        "created_by": "ann",
        "looked_to": None,
        "done": 3,
        "passed_over": 0,
        "failed": failed,
        "left": 0,
        "failures": [failure] * failed,
    }
    with scripted([Answer.result(job)]) as server:
        told = run("jobs", "start", "pause", "--wait", "--yes", "--url", server.url)

    assert told.exit_code == code
    assert ("order\ta\ttorn" in told.stdout) is bool(failed)
