"""`stepwell instances tree`, against a scripted server."""

import json

from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted

FAMILY = [
    {"workflow": "order", "id": "order-1", "status": "waiting", "depth": 0},
    {"workflow": "shipping", "id": "a\x1b[31m", "status": "complete", "depth": 1},
    {"workflow": "label", "id": "b", "status": "running", "depth": 2},
    {"workflow": "shipping", "id": "c", "status": "queued", "depth": 1},
]


def test_each_instance_stands_below_the_one_that_awaits_it() -> None:
    """A line each, and nothing of it moves the terminal; what is left out is said on standard error."""
    with scripted([Answer.result({"instances": FAMILY, "is_whole": False})]) as server:
        told = run("instances", "tree", "order", "order-1", "--url", server.url)

    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "order order-1  waiting",
        "  shipping a\ufffd  complete",
        "    label b  running",
        "  shipping c  queued",
    ]
    assert told.stderr == "there are more, which are not shown\n"
    assert server.asked == [("GET", "tree", None)]


def test_tree_comes_as_json() -> None:
    """As the server says it."""
    result = {"instances": FAMILY[:1], "is_whole": True}
    with scripted([Answer.result(result)]) as server:
        told = run("instances", "tree", "order", "order-1", "-o", "json", "--url", server.url)

    assert json.loads(told.stdout) == result
