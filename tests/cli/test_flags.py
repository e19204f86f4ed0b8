"""Each option of a command is used by some test of this folder; those that no other test uses are used here."""

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest

from stepwell.cli import main
from tests.cli.commands import run
from tests.cli.scripted import Answer, scripted

_FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
# Without their hyphens, else they would be found here. They need real servers, which tests/crash has.
ELSEWHERE = {"no-watch", "stored", "log-format", "metrics-port", "metrics-host"}


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
    answers = [Answer.result(instance), Answer.result({}), Answer.result({})]
    with scripted(answers * 2) as server:
        without, with_them = (
            run("instances", "describe", "order", "i1", flag, "--url", server.url).stdout
            for flag in ("--no-step-output", "--step-output")
        )

    assert ("returned" in without, "returned\tcharge-1\tstep\t42" in with_them) == (False, True)


def test_instance_is_shown_without_its_steps() -> None:
    """People are told where it failed all the same; programs get the shorter answer of the API."""
    moment = "2026-11-27T10:00:00.000Z"
    error = {"name": "CardDeclined", "message": "no funds"}
    step = {
        "type": "step", "name": "charge-1", "start": moment, "end": moment, "success": False, "output": None,
        "attempts": [{"success": False, "error": error}],
    }  # fmt: skip
    instance = {
        "status": "errored", "queued": moment, "start": moment, "end": moment, "versionId": "v1",
        "trigger": {"source": "api"}, "steps": [step], "error": error, "output": None,
    }  # fmt: skip
    whole, kept = Answer.result(instance), Answer.result({"kept_until": moment})
    with scripted(
        [whole, Answer.result({}), Answer.result({}), kept] * 2 + [Answer.result({**instance, "steps": []})]
    ) as server:
        command = ("instances", "describe", "order", "i1", "--url", server.url)
        without, with_them, short = (
            run(*command, *more).stdout.splitlines() for more in (["--no-steps"], ["--steps"], ["--no-steps", "--json"])
        )

    assert [line.split("\t")[0] for line in without] == ["instance", "error"]
    assert without[1] == "error\tCardDeclined\tno funds\tcharge-1\t1"
    assert [line.split("\t")[0] for line in with_them] == ["instance", "step", "error"]
    assert json.loads(short[0])["steps"] == []
    assert [path for _, path, _ in server.asked] == [
        *("i1", "i1", "attributes", "retention") * 2,
        "i1?simple=true",
    ]


def test_outputs_of_steps_that_are_not_shown_are_a_wrong_call() -> None:
    """Nothing is asked of a server."""
    refused = run("instances", "describe", "order", "--no-steps", "--step-output", "--url", "http://127.0.0.1:1")

    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: --step-output is of the steps, which --no-steps leaves out")


def test_token_has_permissions_and_an_address(tmp_path: Path) -> None:
    """By Cloudflare's names, and for X-Auth-Email."""
    store = ("--store", f"sqlite:///{tmp_path / 'store.db'}")

    made = run("token", "create", *store, "--permission", "deploy", "--email", "ann@example.com")

    assert made.exit_code == 0
    assert "\tgood\tdeploy\tann@example.com\t" in run("token", "list", *store).stdout


def test_token_has_a_name_and_an_end(tmp_path: Path) -> None:
    """As long as it was said from its making on; the secret alone is printed."""
    store = ("--store", f"sqlite:///{tmp_path / 'store.db'}")

    made = run("token", "create", *store, "--name", "of ci", "--expires", "90 days")
    (listed,) = json.loads(run("token", "list", *store, "--json").stdout)

    assert re.fullmatch(r"\S+\n", made.stdout)
    assert (listed["name"], listed["state"]) == ("of ci", "good")
    created, end = (datetime.fromisoformat(listed[name]) for name in ("created_on", "expires_on"))
    assert end - created == timedelta(days=90)


@pytest.mark.parametrize("given", ["soon", "0", ""])
def test_token_that_would_never_be_good_is_not_made(tmp_path: Path, given: str) -> None:
    """The remedy is told."""
    refused = run("token", "create", "--store", f"sqlite:///{tmp_path / 'store.db'}", "--expires", given)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[0] == (
        f'error: Invalid value for --expires: {given!r} is no duration; give one such as "90 days"'
    )


@pytest.mark.parametrize(
    ("limit", "shown"),
    [("0", "..."), ("4", '"abc...'), ("11", '"abcdefghij...'), ("12", '"abcdefghij"'), ("13", '"abcdefghij"')],
)
def test_output_of_a_step_is_cut_at_its_limit(limit: str, shown: str) -> None:
    """Three dots stand where it was; the instance's own output is whole in a pipe, and it is JSON."""
    moment = "2026-11-27T10:00:00.000Z"
    step = {"type": "step", "name": "charge-1", "start": moment, "end": moment, "success": True}
    instance = {
        "status": "complete", "queued": moment, "start": moment, "end": moment, "versionId": "v1",
        "trigger": {"source": "api"}, "steps": [{**step, "output": '"abcdefghij"'}], "error": None, "output": True,
    }  # fmt: skip
    answers = [instance, {}, {"totals": {"tokens": 7, "cost_usd": 0.000065}}, {"kept_until": moment}]
    with scripted([Answer.result(answer) for answer in answers]) as server:
        told = run(
            "instances", "describe", "order", "i1", "--step-output", "--output-limit", limit, "--url", server.url
        )

    assert told.stdout.splitlines()[2:] == [
        f"returned\tcharge-1\tstep\t{shown}",
        "output\ttrue",
        "totals\ttokens=7\tcost_usd=0.000065",
    ]


# Each with what the API is told of it.
SEARCHED: dict[str, tuple[str, Any]] = {
    "--status=errored": ("status", ["errored"]),
    "--label=by=ann": ("label", ["by=ann"]),
    "--prefix=a-": ("prefix", "a-"),
    "--version=v1": ("version", "v1"),
    "--trigger=cron": ("trigger", "cron"),
    "--error=CardDeclined": ("error", "CardDeclined"),
    "--error-text=no funds": ("error_text", "no funds"),
    "--longer-than=1 minute": ("duration_min", "60000"),
    "--shorter-than=2 minutes": ("duration_max", "120000"),
    "--since=2026-11-23": ("date_start", "2026-11-23T00:00:00.000Z"),
    "--until=2026-11-24": ("date_end", "2026-11-24T00:00:00.000Z"),
    "--ended-since=2026-11-23T01:00Z": ("ended_start", "2026-11-23T01:00:00.000Z"),
    "--ended-until=2026-11-24T01:00Z": ("ended_end", "2026-11-24T01:00:00.000Z"),
}


@pytest.mark.parametrize("action", ["pause", "resume", "terminate", "restart", "delete"])
def test_every_search_reaches_the_job(action: str) -> None:
    """Of each command that changes all that match, and of `jobs start`, which is told the same."""
    begun = {
        "id": "j", "action": action, "workflow_name": "order", "filter": {}, "status": "running", "left": 1,
        "created_on": "2026-11-23T10:00:00.000Z", "created_by": "ann", "looked_to": None, "done": 0,
        "passed_over": 0, "failed": 0, "failures": [],
    }  # fmt: skip
    asks = () if action in {"pause", "resume"} else ("-y",)
    with scripted([Answer.result(begun)] * 2) as server:
        where = (*SEARCHED, "--url", server.url)
        changed = run("instances", action, "order", *where, "--no-wait", *asks)
        started = run("jobs", "start", action, "order", *where, "-y")

    asked = {"action": action, "workflow_name": "order", "filter": dict(SEARCHED.values())}
    assert (changed.exit_code, started.exit_code) == (0, 0)
    assert changed.stdout == started.stdout
    assert server.asked == [("POST", "jobs", asked)] * 2


def test_every_search_reaches_the_list() -> None:
    """Under the names of the API's parameters."""
    with scripted([Answer.result([])]) as server:
        told = run("instances", "list", "order", *SEARCHED, "--url", server.url)

    asked = parse_qs(urlsplit(server.asked[0][1]).query)
    assert told.exit_code == 0
    assert asked == {"per_page": ["100"]} | {
        name: value if isinstance(value, list) else [value] for name, value in SEARCHED.values()
    }


def test_serve_takes_what_dev_does() -> None:
    """Where it listens, how it is called, and what its workflows get: a real server is told so as `dev` is."""
    dev, serve = ({tuple(one.opts): one for one in main.commands[name].params} for name in ("dev", "serve"))

    shared = {*dev} - {("path",), ("--data",), ("--open",), ("--watch",)}

    assert shared <= {*serve}
    assert all((dev[one].name, dev[one].default) == (serve[one].name, serve[one].default) for one in shared)
