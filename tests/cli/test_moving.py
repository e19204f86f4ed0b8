"""`stepwell instances move`: what is asked, and what is printed of those that were moved and of those that were not."""

from typing import Any

from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted


def _one(id: str, **what: Any) -> dict[str, Any]:
    return {
        "id": id,
        "is_moved": True,
        "version_id": "v2",
        "verdict": "goes on",
        "problem": None,
        "where": None,
        **what,
    }


STAYS = {"is_moved": False, "version_id": "v1", "verdict": "diverges", "problem": "b-1 would be run anew"}


def test_instances_are_moved_and_it_is_said_which_are_not() -> None:
    """Each with the reason and the place; the exit code is 1 then."""
    with scripted([Answer.result([_one("a"), _one("b", **STAYS, where="f.py:7")])]) as server:
        done = run("instances", "move", "order", "a", "b", "--to-version", "v2", "--yes", "--url", server.url)

    assert (done.exit_code, done.stdout) == (1, "a\tv2\n")
    assert done.stderr.splitlines() == [
        "error: b is not moved: diverges: b-1 would be run anew (f.py:7)",
        "done: 1 of 2; --force moves those that would break on it, or of which that cannot be foretold, too",
    ]
    assert server.asked == [("POST", "move", {"instances": ["a", "b"], "version_id": "v2", "force": False})]


def test_those_that_match_are_moved_a_hundred_at_a_time() -> None:
    """To the newest version; with --force whatever becomes of them."""
    ids = [f"i{number}" for number in range(130)]
    page = {"success": True, "errors": [], "messages": [], "result": [{"id": id} for id in ids], "result_info": {}}
    answers = [
        Answer(page),
        Answer.result([_one(id) for id in ids[:100]]),
        Answer.result([_one(id) for id in ids[100:]]),
    ]
    with scripted(answers) as server:
        done = run(
            *("instances", "move", "order", "--status", "waiting", "--force", "-y", "-o", "ids", "--url", server.url)
        )

    assert (done.exit_code, done.stdout.split()) == (0, ids)
    assert [said["instances"] for _, _, said in server.asked[1:]] == [ids[:100], ids[100:]]
    assert all(said["force"] and said["version_id"] is None for _, _, said in server.asked[1:])


def test_it_is_asked_before_and_dry_runs_show_the_ids() -> None:
    """Nothing is sent then; ids and what they have to match are not given together."""
    with scripted([]) as server:
        status, screen = run_on_terminal("instances", "move", "order", "a", "--url", server.url, typed="no\n")
        shown = run("instances", "move", "order", "a", "--dry-run", "--url", server.url)
        both = run("instances", "move", "order", "a", "--status", "waiting", "-y", "--url", server.url)
        unasked = run("instances", "move", "order", "a", "--url", server.url)

        assert server.asked == []
    assert status != 0
    assert "move order/a" in screen or "move" in screen
    assert (shown.exit_code, shown.stdout) == (0, "a\n")
    assert (both.exit_code, unasked.exit_code) == (2, 2)
    assert "give the ones or the others" in both.stderr
