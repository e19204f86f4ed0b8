"""`stepwell workflows compare`: what one of two versions has and the other has not, by graphs and source."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.commands import run
from tests.cli.screen import run_on_terminal
from tests.cli.scripted import Answer, scripted

MOMENT = "2026-11-27T10:00:00.000Z"
CONFIG = {"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": "10 minutes"}
TWICE = {"retries": {"limit": 2, "delay": "1 second", "backoff": "constant"}, "timeout": "10 minutes"}


def _do(name: str, line: int, config: Mapping[str, Any] = CONFIG, **more: Any) -> dict[str, Any]:
    place = {"file": "flow.py", "line": line, "last_line": line}
    return {"type": "step_do", "key": f"{name}{line}", "place": place, "name": name, "config": config, **more}


def _wait(name: str, line: int, event: str) -> dict[str, Any]:
    return {**_do(name, line), "type": "step_wait_for_event", "options": {"event_type": event, "timeout": "1 day"}}


def _version(id: str, *nodes: Any, note: str = "", **more: Any) -> list[Answer]:
    """Return what is answered of a version: what is declared, what it is made of, and its graph."""
    said = {"version_id": id, "class_name": "Order", "created_on": MOMENT}
    graph: dict[str, Any] = {**said, "nodes": nodes, "functions": {}, "payload": None, "remarks": [], "note": note}
    declared = {"id": id, "class_name": "Order", "created_on": MOMENT, "limits": {"steps": 10_000}, **more}
    code = {**said, "sha256": id * 32, "snapshot": 3, "params_schema": None}
    return [*map(Answer.result, (declared, code, {**graph, "nodes": None} if note else graph))]


def _source(left_out: tuple[str, ...] = (), note: str = "", **files: str) -> Answer:
    shown = [{"path": path.replace("_", "."), "text": text} for path, text in files.items()]
    return Answer.result({"files": shown, "left_out": left_out, "note": note})


A = _version("v1", _do("begin", 3), _do("pay", 4), _wait("ok", 5, "approved"), _do("tax", 6), _do("pack", 7))
B = _version(
    *("v2", _do("begin", 3), _do("pay", 4, TWICE), _do("check", 5), _wait("ok", 6, "agreed"), _do("pack", 7)),
    limits={"steps": 25_000},
)
SOURCES = [_source(flow_py="a\nb\nc\n", gone_py="x"), _source(flow_py="a\nB\nc", new_py="1\n2\n")]
DIFF = [
    *(
        "--- a/flow.py",
        "+++ b/flow.py",
        "@@ -1,3 +1,3 @@",
        " a",
        "-b",
        "-c",
        "+B",
        "+c",
        "\\ No newline at end of file",
    ),
    *("--- a/gone.py", "+++ /dev/null", "@@ -1 +0,0 @@", "-x", "\\ No newline at end of file"),
    *("--- /dev/null", "+++ b/new.py", "@@ -0,0 +1,2 @@", "+1", "+2"),
]
COMMAND = ("workflows", "compare", "order", "v1", "v2", "--url")


def test_steps_and_source_that_differ_are_shown() -> None:
    """Steps in the order of A, with what differs of them; files as a patch."""
    with scripted([*A, *B, *SOURCES]) as server:
        told = run(*COMMAND, server.url)

    lines = told.stdout.splitlines()
    assert told.exit_code == 0
    assert [line.split("\t") for line in lines[:5]] == [
        ["(version)", "version", "code, limits", 'v1, {"steps": 10000}', 'v2, {"steps": 25000}'],
        ["pay", "step", "config", "flow.py:4", "flow.py:4, 2 retries, each after 1 second"],
        ["check", "step", "only in B", "-", "flow.py:5"],
        [
            *("ok", "waitForEvent", "event", "flow.py:5, waits for event approved, at most 1 day"),
            "flow.py:6, waits for event agreed, at most 1 day",
        ],
        ["tax", "step", "only in A", "flow.py:6", "-"],
    ]
    assert lines[5:] == DIFF
    assert told.stderr == "A v1 and B v2: 7 rows, 5 of which differ; 3 files, 3 of which differ\n"
    assert [path for _, path, _ in server.asked[-2:]] == ["source?whole=true"] * 2


def test_patch_leads_from_the_one_to_the_other(tmp_path: Path) -> None:
    """Whatever ends a line to others than files, and where the last line has no end."""
    old, new = "a\r\n\x0cb\u2028c\nd", "a\n\x0cb\u2028C\nd\n"
    (tmp_path / "flow.py").write_bytes(old.encode())
    with scripted([*A, *B, _source(flow_py=old), _source(flow_py=new)]) as server:
        (file,) = json.loads(run(*COMMAND, server.url, "--json").stdout)["files"]

    subprocess.run(["git", "apply", "-"], input=file["diff"].encode(), cwd=tmp_path, check=True)

    assert (tmp_path / "flow.py").read_bytes() == new.encode()


def test_programs_get_all_of_it() -> None:
    """As JSON and YAML, steps and files line by line, and the names of steps; with --all what is the same, too."""
    answers = [*A, *B, *SOURCES]
    with scripted(answers * 5) as server:
        whole, same, lines, names, everything = (
            run(*COMMAND, server.url, *more).stdout
            for more in (["--json"], ["-o", "yaml"], ["-o", "ndjson"], ["-o", "ids"], ["--all", "--json"])
        )

    found = json.loads(whole)
    assert found["a"] == {
        "version_id": "v1", "created_on": MOMENT, "class_name": "Order", "sha256": "v1" * 32, "snapshot": 3,
    }  # fmt: skip
    assert found["steps"][1] == {
        "step": "pay", "type": "step", "count": 1, "differs": ["config"], "a": {"at": "flow.py:4"},
        "b": {"at": "flow.py:4", "config": "2 retries, each after 1 second"},
    }  # fmt: skip
    assert [(file["path"], file["differs"]) for file in found["files"]] == [
        *(("flow.py", ["text"]), ("gone.py", ["only in A"]), ("new.py", ["only in B"])),
    ]
    assert yaml.safe_load(same) == found
    assert [json.loads(line) for line in lines.splitlines()] == [*found["steps"], *found["files"]]
    assert names.splitlines() == ["pay", "check", "ok", "tax"]
    assert [row["step"] for row in json.loads(everything)["steps"] if not row["differs"]] == ["begin", "pack"]


def test_versions_that_are_the_same_have_nothing_to_show() -> None:
    """Which is said."""
    with scripted([*A, *A, *[_source(flow_py="a")] * 2]) as server:
        told = run("workflows", "compare", "order", "v1", "v1", "--url", server.url)

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "A v1 and B v1: 6 rows, the same in both; 1 file, the same in both\n"


def test_step_in_another_order_or_place_differs() -> None:
    """Also where its name, its config and all else are the same."""
    loop = {"type": "loop", "key": "l", "label": "for x in y", "nodes": [_do("pack", 5)]}
    one, other = (
        _version("v1", _do("a", 3), _do("b", 4), _do("pack", 5)),
        _version("v2", _do("b", 3), _do("a", 4), loop),
    )
    with scripted([*one, *other, *[_source(flow_py="a")] * 2]) as server:
        told = run(*COMMAND, server.url)

    assert [line.split("\t")[:3] for line in told.stdout.splitlines()[1:]] == [
        *(["b", "step", "order"], ["pack", "step", "place"]),
    ]
    assert told.stdout.splitlines()[2].endswith("\tflow.py:5\tflow.py:5, in for x in y")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        pytest.param((), ("v1", "v2"), id="none"),
        pytest.param(("v1",), ("v1", "v2"), id="one"),
        pytest.param(("newest", "v1"), ("v2", "v1"), id="newest"),
    ],
)
def test_newest_version_is_meant_where_none_is_named(given: tuple[str, ...], meant: tuple[str, str]) -> None:
    """And where A is not named either, the one before it."""
    listed = Answer.result([{"id": "v2"}, {"id": "v1"}])
    with scripted([listed, *A, *B, *SOURCES]) as server:
        told = run("workflows", "compare", "order", *given, "--url", server.url)

    assert told.stderr.startswith("A {} and B {}: ".format(*meant))
    assert [path for _, path, _ in server.asked if path.startswith("v")] == [
        "versions?page=1&per_page=100",
        *(id for id in meant for _ in range(2)),
    ]


def test_one_version_is_held_against_none() -> None:
    """There is nothing to be found."""
    with scripted([Answer.result([{"id": "v1"}])]) as server:
        refused = run("workflows", "compare", "order", "--url", server.url)

    assert (refused.exit_code, refused.stdout) == (4, "")
    assert refused.stderr == (
        "error: order has one version, and it takes two to be compared\n"
        "hint: each code that is served and is another one makes a version\n"
    )


@pytest.mark.parametrize("id", ["..", "", "v1/graph", "v1?x"])
def test_what_is_no_id_is_not_asked_for(id: str) -> None:
    """Paths are made of ids."""
    refused = run("workflows", "compare", "order", id, "v2", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert "is no id of a version" in refused.stderr


def test_source_of_graphs_is_compared_where_a_version_has_no_snapshot() -> None:
    """Both from there: else each file that lies in no graph would be in one alone."""
    whole = [_source(flow_py="a\n", bank_py="b"), _source(note="the store has no snapshot of it")]
    with scripted([*A, *B, *whole, _source(flow_py="a\n"), _source(flow_py="b\n")]) as server:
        told = run(*COMMAND, server.url)

    assert told.stdout.splitlines()[5:7] == ["--- a/flow.py", "+++ b/flow.py"]
    assert told.stderr.endswith("; 1 file, 1 of which differs\n")
    assert [path for _, path, _ in server.asked[-2:]] == ["source"] * 2


def test_what_is_not_known_is_said() -> None:
    """A version without a graph, one without a source, and a file that is too large: nothing is made up of it."""
    unread = _version("v2", note="its code is too deep")
    nothing = _source(note="its source was not kept")
    with scripted([*A, *unread, *[nothing] * 4]) as server:
        told = run(*COMMAND, server.url)
    with scripted([*A, *B, _source(("big.py",), flow_py="a"), _source(flow_py="a", big_py="x")]) as server:
        large = run(*COMMAND, server.url)

    assert told.stdout == "(version)\tversion\tcode\tv1\tv2\n"
    assert told.stderr.splitlines()[:3] == [
        "B: there is no graph of order: its code is too deep",
        "A: its source was not kept",
        "B: its source was not kept",
    ]
    assert large.stderr.splitlines()[0] == "big.py is too large to be compared"
    assert large.stderr.endswith("; 1 file, the same in both\n")


def test_token_that_may_not_read_code_compares_steps() -> None:
    """And is told why the source is not there; another refusal is one."""
    with scripted([*A, *B, Answer.refusal(403, 10000, "no")]) as server:
        told = run(*COMMAND, server.url)
    with scripted([*A, *B, Answer.refusal(500, 10001, "broken")]) as server:
        broken = run(*COMMAND, server.url)

    assert (told.exit_code, len(told.stdout.splitlines())) == (0, 5)
    assert told.stderr.splitlines()[0] == "the source is not for this token: it may not read code"
    assert (broken.exit_code, broken.stdout) == (1, "")


def test_source_moves_no_terminal() -> None:
    """Whatever is in it; lines that go and come are in the terminal's own colours."""
    hostile = "a\x1b[2J\tb\u202e\n"
    with scripted([*A, *B, _source(flow_py=hostile), _source(flow_py="a\n")] * 2) as server:
        piped = run(*COMMAND, server.url)
        _, screen = run_on_terminal(*COMMAND, server.url, "--color", "always", columns=100)

    assert piped.stdout.splitlines()[-2:] == ["-a\ufffd\tb\ufffd", "+a"]
    assert "\x1b[31m-a\ufffd\tb\ufffd\x1b[0m" in screen
    assert "\x1b[2J" not in screen
