"""`stepwell check --store` and `--to`, and `deploy --check`: what is printed of instances that would break."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwell.engine import Engine, NewInstance
from stepwell.store.opening import open_store
from stepwell.store.operations import RegisterWorkflow
from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted

FLOW = """from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("charge", print)
"""
VERDICTS = {"goes on": 0, "diverges": 0, "unreadable": 0, "fails": 0, "missing": 0, "unknown": 0}


def _one(
    id: str, verdict: str = "diverges", problem: str = "b-1 would be run anew", where: str | None = "f.py:7"
) -> Any:
    return {
        "workflow": "order",
        "id": id,
        "version": "v",
        "status": "waiting",
        "verdict": verdict,
        "problem": problem,
        "where": where,
        "anew": [],
        "unused": [],
        "skipped": [],
    }


def _stand(*, is_done: bool = True, **verdicts: int) -> Any:
    counts = {**VERDICTS, **{name.replace("_", " "): count for name, count in verdicts.items()}}
    return {"looked_at": sum(counts.values()), "verdicts": counts, "is_done": is_done}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A file with a workflow."""
    path = tmp_path / "shop.py"
    path.write_text(FLOW)
    return path


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store in which two workflows have an instance each."""
    url = f"sqlite:///{tmp_path}/kept.db"

    async def fill() -> None:
        opened = await asyncio.to_thread(open_store, url)
        for name in ("order", "parcel"):
            await opened.run(
                RegisterWorkflow("local", name, "shop", name.title(), "0" * 64, f"w-{name}", f"v-{name}", 1)
            )
            await Engine(opened).create("local", name, NewInstance(f"{name}-1"))
        await opened.close()

    asyncio.run(fill())
    return url


def test_instances_of_a_store_are_held_against_code(code: Path, store: str) -> None:
    """In a process of its own; those of one workflow, if one is named; a store that is not there is not made."""
    both = run("check", str(code), "--store", store)
    one = run("check", str(code), "--store", store, "--workflow", "order")
    other = run("check", str(code), "--store", store, "--workflow", "letter")
    nowhere = run("check", str(code), "--store", store.replace("kept", "lost"))

    assert (both.exit_code, both.stdout) == (
        1,
        '1 instance of parcel would have no workflow\n  the code has no workflow "parcel"\n  parcel-1\n',
    )
    assert both.stderr == "2 instances looked at: 1 go on, 1 break\n"
    assert (one.exit_code, one.stdout, one.stderr) == (0, "", "1 instance looked at: 1 go on, 0 break\n")
    assert (other.exit_code, other.stderr.splitlines()[0]) == (
        4,
        'error: workflow.not_found: no workflow "letter" in this account',
    )
    assert (nowhere.exit_code, "there is no store at" in nowhere.stderr) == (4, True)
    assert not Path(code.parent, "lost.db").exists()


def test_code_that_cannot_be_loaded_is_reported_to_its_author(code: Path, store: str) -> None:
    """File and line, and that nothing was looked at."""
    code.write_text(FLOW + "\n    def other(\n")

    refused = run("check", str(code), "--store", store)

    assert refused.exit_code == 1
    assert "shop.py" in refused.stderr
    assert "SyntaxError" in refused.stderr
    assert "error: the code cannot be loaded, so nothing was looked at\n" in refused.stderr


def test_instances_of_a_server_are_shown_by_their_fate(code: Path) -> None:
    """Those of the same together, the worst first, five by name; the last line counts."""
    alike = [_one(f"o-{number}") for number in range(7)]
    failing = _one("f", "fails", "KeyError: 'who'", "f.py:3")
    unknown = _one("u", "unknown", "it waits for x\x1b[2J", None)
    end = _stand(goes_on=12, diverges=7, fails=1, unknown=1)

    with scripted([Answer.stream(_stand(is_done=False), *alike, failing, unknown, end)] * 3) as server:
        told = run("check", str(code), "--to", server.url)
        whole = run("check", str(code), "--to", server.url, "-o", "json", "--workflow", "order")
        same = run("check", str(code), "--to", server.url, "-o", "yaml")

    assert told.exit_code == 1
    assert told.stdout.splitlines() == [
        "1 instance of order would fail",
        "  f.py:3: KeyError: 'who'",
        "  f",
        "7 instances of order would not do what they have begun to do",
        "  f.py:7: b-1 would be run anew",
        "  o-0, o-1, o-2, o-3, o-4 and 2 more",
        "1 instance of order cannot be foretold",
        "  it waits for x\N{REPLACEMENT CHARACTER}",
        "  u",
    ]
    assert told.stderr == "21 instances looked at: 12 go on, 8 break, 1 cannot be foretold\n"
    assert json.loads(whole.stdout) == {
        "looked_at": 21,
        "verdicts": end["verdicts"],
        "instances": [*alike, failing, unknown],
    }
    assert yaml.safe_load(same.stdout) == json.loads(whole.stdout)
    (_, path, _), (_, narrowed, _), _ = server.asked
    assert (path, narrowed) == ("shop", "shop?workflow=order")


@pytest.mark.parametrize(("options", "exit_code"), [((), 0), (("--strict",), 1)])
def test_what_cannot_be_foretold_is_no_break_unless_it_is_asked_for(
    code: Path, options: tuple[str, ...], exit_code: int
) -> None:
    """Neither is what goes on."""
    with scripted([Answer.stream(_one("u", "unknown", "it waits"), _stand(goes_on=1, unknown=1))]) as server:
        assert run("check", str(code), "--to", server.url, *options).exit_code == exit_code


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([_stand(is_done=False)], "the server stops, or its answer was cut off"),
        (
            [_stand(is_done=False), {"error": "the store is full"}],
            "the check has ended before its end: the store is full",
        ),
    ],
)
def test_check_that_is_cut_off_is_no_check(code: Path, lines: list[Any], error: str) -> None:
    """What was found by then is not taken for all."""
    with scripted([Answer.stream(*lines)]) as server:
        refused = run("check", str(code), "--to", server.url)

    assert (refused.exit_code, refused.stdout) == (6, "")
    assert error in refused.stderr


def test_nothing_is_deployed_on_which_an_instance_would_break(code: Path) -> None:
    """It is said which, and why; where none would, it is deployed."""
    served = {
        "snapshot": 1,
        "sha256": "0" * 64,
        "source": "shop.py",
        "python": "3.13.1",
        "created_on": "2026-01-01T00:00:00Z",
        "served_on": "2026-01-01T00:00:00Z",
        "is_served": True,
    }
    with scripted([Answer.stream(_one("a"), _stand(diverges=1))]) as server:
        refused = run("deploy", str(code), "--to", server.url, "--check")
        assert len(server.asked) == 1
    answers = [
        Answer.stream(_stand(goes_on=1)),
        Answer.result([served]),
        Answer.result({"id": "shop", "etag": "0"}),
        Answer.result([served]),
    ]
    with scripted(answers) as server:
        done = run("deploy", str(code), "--to", server.url, "--check")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "f.py:7: b-1 would be run anew" in refused.stderr
    assert "instances would break on this code" in refused.stderr
    assert done.exit_code == 0
    assert [method for method, _, _ in server.asked] == ["POST", "GET", "PUT", "GET"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--store", "sqlite:///a.db", "--to", "http://x"), "--store and --to are two places; give one of them"),
        (("--strict",), "--workflow, --env and --strict go with --store or --to"),
        (("--store", "sqlite:///a.db", "--env", "SURELY_NOT_SET"), "there is no store at"),
    ],
)
def test_options_that_do_not_go_together_are_refused(code: Path, arguments: tuple[str, ...], error: str) -> None:
    """Each with what is wrong."""
    refused = run("check", str(code), *arguments)

    assert refused.exit_code in {2, 4}
    assert error in refused.stderr
