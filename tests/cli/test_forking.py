"""`stepwell instances fork`: what is asked, and what is printed."""

from typing import Any

import pytest

from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted


def _made(id: str, source: str) -> dict[str, Any]:
    return {"id": id, "workflow_name": "order", "version_id": "v1", "status": "queued", "forked_from": source}


def test_everything_that_a_fork_may_differ_in_is_asked_for() -> None:
    """The step, the id, params, outputs and the version."""
    with scripted([Answer.result(_made("b", "a"))]) as server:
        done = run(
            *("instances", "fork", "order", "a", "--from", "ship", "--count", "2", "--type", "do", "--id", "b"),
            *("--params", '{"n":1}', "--output", "charge-1=[1]", "--to-version", "newest", "--url", server.url),
        )

    assert (done.exit_code, done.stdout) == (0, "b\tqueued\ta\tv1\n")
    assert server.asked == [
        (
            "POST",
            "fork",
            {
                "from": {"name": "ship", "count": 2, "type": "do"},
                "instance_id": "b",
                "params": {"n": 1},
                "outputs": {"charge-1": [1]},
                "version_id": "newest",
            },
        )
    ]


def test_each_instance_that_matches_has_a_fork() -> None:
    """Those that cannot have one are named, and the exit code is 1."""
    page = {"success": True, "errors": [], "messages": [], "result": [{"id": "a"}, {"id": "b"}], "result_info": {}}
    refusal = Answer.refusal(400, 10402, "workflows.api.error.instance.cannot_restart: it has no step fly-1")
    with scripted([Answer(page), Answer.result(_made("c", "a")), refusal]) as server:
        done = run("instances", "fork", "order", "--status", "errored", "--from", "fly", "--url", server.url)

    assert (done.exit_code, done.stdout) == (1, "c\tqueued\ta\tv1\n")
    assert done.stderr.splitlines() == ["error: b: it has no step fly-1 (10402)", "done: 1 of 2"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a", "b", "--id", "c"), "--id is for one fork, and 2 instances are to have one; leave it out"),
        (("a", "--status", "errored"), "give the ones or the others"),
        (("a", "--output", "charge-1"), "--output charge-1: write STEP=JSON"),
        (("a", "--params", "{"), "JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], told: str) -> None:
    """Nothing is sent."""
    with scripted([]) as server:
        refused = run("instances", "fork", "order", *arguments, "--url", server.url)

        assert server.asked == []
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert told in refused.stderr
