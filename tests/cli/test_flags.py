"""Each option of a command is used by some test of this folder; those that no other test uses are used here."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from stepwell.cli import main
from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted

_FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
# Without its hyphens, else it would be found here. It needs a server that has served before: tests/crash has such ones.
ELSEWHERE = {"stored"}


def flags_of(command: click.Command) -> Iterator[str]:
    """Yield the options of a command and of those below it, by each of their names."""
    for one in getattr(command, "commands", {}).values():
        yield from flags_of(one)
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            yield from (*param.opts, *param.secondary_opts)


def flags_in(file: Path) -> Iterator[str]:
    """Yield what looks like an option in the texts of a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _FLAG.findall(node.value)


def test_every_flag_is_used_by_a_test() -> None:
    """By one that says it as a command line does."""
    files = Path(__file__).parent.rglob("*.py")

    used = {flag for file in files for flag in flags_in(file)}

    assert {*flags_of(main)} - {*used, *(f"--{name}" for name in ELSEWHERE)} == set()


def test_instances_are_listed_by_their_end() -> None:
    """Also by the names that the API has for it."""
    with scripted([Answer.result([])]) as server:
        told = run(
            "instances", "list", "order", "--ended-start", "2026-11-23", "--ended-end", "2026-11-24T10:00Z",
            "--url", server.url,
        )  # fmt: skip

    assert told.exit_code == 0
    assert "ended_start=2026-11-23T00%3A00%3A00.000Z&ended_end=2026-11-24T10%3A00%3A00.000Z" in server.asked[0][1]


def test_instance_is_created_with_how_long_it_is_kept() -> None:
    """By the kind of its end, as it was said."""
    with scripted([Answer.result({"id": "i1", "status": "queued", "version_id": "v1"})]) as server:
        told = run(
            "trigger", "order", "--success-retention", "7 days", "--error-retention", "1 hour", "--url", server.url
        )

    assert told.exit_code == 0
    assert server.asked[0][2]["instance_retention"] == {"success_retention": "7 days", "error_retention": "1 hour"}


def test_outputs_of_steps_are_left_out() -> None:
    """As they are where nothing is said."""
    moment = "2026-11-27T10:00:00.000Z"
    step = {"type": "step", "name": "charge-1", "start": moment, "end": moment, "success": True, "output": "42"}
    instance = {
        "status": "running", "queued": moment, "start": moment, "end": None, "versionId": "v1",
        "trigger": {"source": "api"}, "steps": [step], "error": None, "output": None,
    }  # fmt: skip
    answers = [Answer.result(instance), Answer.result({})]
    with scripted(answers * 2) as server:
        without, with_them = (
            run("instances", "describe", "order", "i1", flag, "--url", server.url).stdout
            for flag in ("--no-step-output", "--step-output")
        )

    assert ("returned" in without, "returned\tcharge-1\tstep\t42" in with_them) == (False, True)


def test_token_has_permissions_and_an_address(tmp_path: Path) -> None:
    """By Cloudflare's names, and for X-Auth-Email."""
    store = ("--store", f"sqlite:///{tmp_path / 'store.db'}")

    made = run("token", "create", *store, "--permission", "deploy", "--email", "ann@example.com")

    assert made.exit_code == 0
    assert "\tgood\tdeploy\tann@example.com\t" in run("token", "list", *store).stdout
