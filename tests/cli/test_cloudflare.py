"""Each command against a server that has Cloudflare's routes alone: it works, or says what is not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from stepwell.cli import completing, main
from tests.cli.cloudflare import Cloudflare, cloudflare
from tests.cli.commands import begin, run
from tests.cli.screen import run_on_terminal
from tests.crash.server import DevServer


@pytest.fixture
def there(server: DevServer) -> Iterator[Cloudflare]:
    """A server of that kind, and a waiting instance `cf`."""
    server.call("/order/instances/batch/delete", {"instances": ["cf"]})
    begin(server, "cf")
    with cloudflare(server.url) as told:
        yield told


WORKS = {
    "trigger": ('trigger order {"naps":1} --wait', 0, "POST workflows/order/instances"),
    "instances list": (
        "instances list order --status waiting --since 2020-01-01 --limit 1",
        0,
        "GET workflows/order/instances",
    ),
    "instances describe": ("instances describe order cf", 0, "GET workflows/order/instances/cf"),
    "instances send-event": (
        "instances send-event order cf 1 --type x",
        0,
        "POST workflows/order/instances/cf/events/x",
    ),
    "instances step": ("instances step order cf charge-1", 0, "GET workflows/order/instances/cf/step"),
    "instances pause": ("instances pause order cf", 0, "PATCH workflows/order/instances/cf/status"),
    "instances resume": ("instances resume order cf", 0, "PATCH workflows/order/instances/cf/status"),
    "instances terminate": ("instances terminate order cf -y", 0, "PATCH workflows/order/instances/cf/status"),
    "instances restart": ("instances restart order latest -y", 0, "PATCH workflows/order/instances/cf/status"),
    "instances delete": ("instances delete order cf other -y", 1, "POST workflows/order/instances/batch/delete"),
    "instances terminate-all": ("instances terminate-all idle -y --wait", 0, "PUT workflows/idle/instances/terminate"),
    "workflows list": ("workflows list", 0, "GET workflows"),
    "workflows describe": ("workflows describe order", 0, "GET workflows/order"),
    "workflows versions": ("workflows versions order", 0, "GET workflows/order/versions"),
    "workflows graph": ("workflows graph order", 0, "GET workflows/order/versions"),
    "graph": ("graph order", 0, "GET workflows/order/versions"),
    "instances compare": ("instances compare order cf cf --all", 0, "GET workflows/order/instances/cf"),
    "workflows compare": ("workflows compare order newest newest --all", 0, "GET workflows/order/versions"),
    "workflows delete": ("workflows delete idle --dry-run", 0, "GET workflows/idle"),
}
# They tell what kind of server it is, or who asks; tests of their own ask Cloudflare.
TELL = {"check", "doctor", "login", "mcp", "profile show", "version", "whoami"}
LACKS = {
    "graph of an instance": "graph order --instance cf",
    "audit list": "audit list",
    "audit export": "audit export -",
    "facts list": "facts list",
    "hosts list": "hosts list",
    "deploy": f"deploy {Path(__file__).parent}",
    "rollback": "rollback",
    "deployments list": "deployments list",
    "instances fork": "instances fork order cf",
    "instances move": "instances move order cf --yes",
    "instances logs": "instances logs order cf",
    "instances why": "instances why order cf",
    "instances tree": "instances tree order cf",
    "instances step-retry": "instances step-retry order cf charge-1",
    "instances step-skip": "instances step-skip order cf nap-1",
    "instances step-complete": "instances step-complete order cf charge-1 1",
    "instances step-fail": "instances step-fail order cf charge-1",
    "instances resume-rollback": "instances resume-rollback order cf",
    "jobs start": "jobs start pause order -y",
    "jobs list": "jobs list",
    "jobs describe": "jobs describe j",
    "jobs cancel": "jobs cancel j",
    "limits list": "limits list",
    "limits set": "limits set --concurrency 5",
    "limits share": "limits share openai --concurrency 1",
    "limits unshare": "limits unshare openai",
    "schedules list": "schedules list",
    "schedules pause": "schedules pause order *",
    "schedules resume": "schedules resume order *",
    "schedules run": "schedules run order *",
    "schedules set": "schedules set order * --overlap skip",
    "webhooks list": "webhooks list",
    "webhooks create": "webhooks create https://example.com/",
    "webhooks describe": "webhooks describe w",
    "webhooks change": "webhooks change w --disable",
    "webhooks rotate": "webhooks rotate w",
    "webhooks delete": "webhooks delete w -y",
    "webhooks test": "webhooks test w",
    "webhooks deliveries": "webhooks deliveries w",
    "webhooks redeliver": "webhooks redeliver w d",
    "trigger with labels": "trigger order --label a=b",
    "list of all workflows": "instances list",
    "list by more than Cloudflare knows": "instances list order --prefix a",
    "list of two statuses": "instances list order --status waiting --status paused",
    "all that match": "instances pause order --status waiting",
    "follow": "instances logs order cf --follow",
}


@pytest.mark.parametrize("command", WORKS)
def test_command_works_with_cloudflares_routes(there: Cloudflare, command: str) -> None:
    """By routes and parameters that Cloudflare has; what else is asked is not missed."""
    line, code, asked = WORKS[command]

    told = run(*line.split(), "--url", there.url)

    assert (told.exit_code, "does not have this" in told.stderr) == (code, False)
    assert told.stdout
    assert asked in there.known
    assert there.odd == []


@pytest.mark.parametrize("command", LACKS)
def test_command_says_what_the_server_does_not_have(there: Cloudflare, command: str) -> None:
    """Exit code 1, whose it is, and nothing on standard output."""
    refused = run(*LACKS[command].split(" "), "--url", there.url)

    error, hint = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert error.startswith(
        f"error: {there.url} does not have this: Could not route to /client/v4/accounts/local/stepwell"
    )
    assert hint == "hint: it is Stepwell's own, and that server is Cloudflare's, or an older one; --url names another"
    assert len(there.unknown) == 1


def test_code_is_not_held_against_instances_of_cloudflare(there: Cloudflare) -> None:
    """Whose they are, and exit code 1."""
    refused = run("check", str(Path(__file__).parent), "--to", there.url)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0].startswith(
        f"error: {there.url} does not have this: Could not route to /client/v4/accounts/local/stepwell/checks/cli"
    )


@pytest.mark.parametrize("form", ["text", "svg", "mermaid", "dot"])
def test_graph_is_drawn_from_cloudflares_form(there: Cloudflare, server: DevServer, form: str) -> None:
    """Its nodes have no keys, places and heads of loops: no step is lost."""
    theirs, ours = (run("graph", "order", "--format", form, "--url", url) for url in (there.url, server.url))

    assert (theirs.exit_code, theirs.stderr) == (0, "")
    names = [name for name in ("charge", "nap", "approval") if name in ours.stdout]
    assert [name for name in names if name in theirs.stdout] == names
    assert len(names) > 1


def test_graph_in_cloudflares_form_is_printed_as_it_is(there: Cloudflare) -> None:
    """In full."""
    told = run("graph", "order", "--format", "json", "--url", there.url)

    assert json.loads(told.stdout)["graph"]["workflow"]["class_name"] == "Order"


def test_no_command_is_forgotten() -> None:
    """Each that asks a server is in one of the lists above."""

    def asking(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
        for name, one in getattr(command, "commands", {}).items():
            if not one.hidden:
                yield from asking(one, (*path, name))
        if any(
            param.name == "url" and "The server.  [default" in (getattr(param, "help", "") or "")
            for param in command.params
        ):
            yield " ".join(path)

    assert {*asking(main, ())} - {*WORKS, *LACKS} == TELL


def test_forms_of_a_list_are_the_same(there: Cloudflare) -> None:
    """A table on a terminal, with what Cloudflare tells of an instance; JSON as it answers."""
    _, written = run_on_terminal(
        "instances", "list", "order", "--limit", "1", "--url", there.url, columns=120, env={"NO_COLOR": "1"}
    )
    wide = run("instances", "list", "order", "-o", "wide", "--limit", "1", "--url", there.url)
    whole = run("instances", "list", "order", "--json", "--limit", "1", "--url", there.url)

    assert written.splitlines()[0].split() == ["INSTANCE", "STATUS", "CREATED", "DURATION", "NOW"]
    assert written.splitlines()[1].split()[:3] == ["cf", "\N{CIRCLE WITH UPPER RIGHT QUADRANT BLACK}", "waiting"]
    assert wide.stdout.split("\t")[6:] == ["-", "-\n"]
    assert json.loads(whole.stdout)[0]["id"] == "cf"


def test_watch_and_completion_work(there: Cloudflare, server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They ask for what both have."""
    monkeypatch.setattr(completing, "_LIMIT_S", 30)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    server.call("/order/instances/cf/events/approved", {})
    server.wait_for_status("order", "cf", "complete")

    watched = run("instances", "describe", "order", "cf", "--watch", "--url", there.url)
    monkeypatch.setenv("_STEPWELL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_LINE", f"stepwell instances describe --url {there.url} order c")
    offered = run()

    assert (watched.exit_code, watched.stderr) == (0, "")
    assert "plain,cf" in offered.stdout.splitlines()


def test_error_names_the_request(there: Cloudflare) -> None:
    """By the id that Cloudflare gives."""
    refused = run("instances", "describe", "order", "nobody", "--verbose", "--url", there.url)

    assert "(10400, request 8f2c1d-FRA)" in refused.stderr
