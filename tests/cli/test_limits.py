"""`stepwell limits`, against a real server."""

import json

import pytest

from tests.cli.commands import ask
from tests.crash.server import DevServer


def test_account_is_limited(server: DevServer) -> None:
    """What the command prints are all limits of the account, as they are then."""
    set_ = ask(server, "limits", "set", "--concurrency", "7", "-o", "json")
    listed = ask(server, "limits", "list", "-o", "json")
    free = ask(server, "limits", "set", "--concurrency", "0", "-o", "json")

    assert [json.loads(told.stdout)["concurrency"] for told in (set_, listed, free)] == [7, 7, None]


def test_limit_that_steps_share_is_set_and_taken_back(server: DevServer) -> None:
    """It is printed with how it stands, listed behind those of workflows, and gone again."""
    made = ask(server, "limits", "share", "desk", "--concurrency", "3", "--rate", "500 in 1 minute")
    listed = ask(server, "limits", "list")
    left = ask(server, "limits", "unshare", "desk", "-o", "json")

    assert made.stdout.split("\t")[:6] == ["desk", "0", "3", "0", "500 in 60 s", "api"]
    assert made.stdout.rstrip("\n") in listed.stdout
    assert json.loads(left.stdout)["shared"] == []


def test_limit_that_is_not_there_is_told(server: DevServer) -> None:
    """Exit code 4, and what shows those there are."""
    refused = ask(server, "limits", "unshare", "desk")

    assert (refused.exit_code, refused.stdout) == (4, "")
    assert 'steps of the account share no limit "desk"' in refused.stderr
    assert "`stepwell limits list` shows those there are" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what the limit allows: --concurrency N, or --rate, or both"),
        (["--rate", "often"], "must be a number and a duration, as \"500 in 1 minute\", got 'often'"),
        (["--rate", "0 in 1 minute"], "must be a number and a duration"),
        (["--rate", "5 in 0 seconds"], "must be a number and a duration"),
        (["--concurrency", "0"], "--concurrency"),
    ],
)
def test_what_limits_nothing_is_refused_before_a_server_is_asked(
    server: DevServer, arguments: list[str], message: str
) -> None:
    """Exit code 2, and what can be said."""
    refused = ask(server, "limits", "share", "desk", *arguments)

    assert (refused.exit_code, message in refused.stderr) == (2, True), refused.stderr
