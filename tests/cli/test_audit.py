"""`stepwell audit`, against a real server and on its store: who has done what, also by commands."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell.audit_log import FIELDS
from tests.cli.commands import SOURCE, run
from tests.cli.scripted import Answer, scripted
from tests.cli.test_signing_in import TokenServer

HOSTILE = '=1\x1b[31m\u202ed,"\ne'
ENTRY: dict[str, Any] = {
    "id": "7",
    "at": "2026-11-27T10:00:00.000Z",
    "action": "instance.terminate",
    "who": HOSTILE,
    "way": "token",
    "token_id": "aa",
    "address": "192.0.2.7",
    "agent": HOSTILE,
    "workflow_name": "order",
    "instance_id": "o-1",
    "thing": None,
    "detail": {"rollback": True},
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """A server that asks for tokens and takes code."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "flows.py").write_text(SOURCE)
    with TokenServer(folder, "--account", "acme", "--allow-deploy") as started:
        yield started


def _of(server: TokenServer, *options: str) -> list[dict[str, Any]]:
    told = run("audit", "list", "--store", server.store, "--account", "acme", "-o", "json", *options)
    assert told.exit_code == 0, told.stderr
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def test_tokens_and_deployments_are_told(audited: TokenServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token by the user who has made it; a deployment by the token, though it is a worker that serves the code."""
    secret = audited.token("--name", "ci", "--scope", "deploy", "--scope", "write", "--scope", "audit")
    code = tmp_path / "code"
    code.mkdir()
    (code / "more.py").write_text(SOURCE.replace("Order", "More").replace("Idle", "Lazy"))
    monkeypatch.setenv("STEPWELL_TOKEN", secret)
    where = ("--url", audited.url, "--account", "acme")
    deployed = run("deploy", str(code), "--name", "more", *where)
    assert deployed.exit_code == 0, deployed.stderr
    revoked = run("token", "revoke", secret.split("_")[1], "--store", audited.store)

    revoke, deploy, create = _of(audited)[:3]

    assert revoked.exit_code == 0
    assert [entry["action"] for entry in (revoke, deploy, create)] == ["token.revoke", "script.deploy", "token.create"]
    assert (create["way"], create["thing"]) == ("command", secret.split("_")[1])
    assert create["detail"] == {"name": "ci", "permissions": ["deploy", "Workers Scripts Write", "audit"]}
    assert (deploy["way"], deploy["who"], deploy["thing"]) == ("token", "ci", "more")
    assert (deploy["address"], deploy["agent"]) == ("127.0.0.1", "stepwell")
    assert sorted(deploy["detail"]["workflows"]) == ["lazy", "more"]
    assert secret not in json.dumps([revoke, deploy, create])


def test_server_and_store_tell_the_same(audited: TokenServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Over the API, for a token that may, and on the store itself; and what is exported is all of it."""
    secret = audited.token("--name", "auditor", "--scope", "audit")
    monkeypatch.setenv("STEPWELL_TOKEN", secret)
    where = ("--url", audited.url, "--account", "acme")

    asked = run("audit", "list", *where, "-o", "json", "--action", "token.create", "--since", "1h")
    lines, rows = tmp_path / "audit.ndjson", tmp_path / "audit.csv"
    written = [run("audit", "export", str(file), *where) for file in (lines, rows)]
    again = run("audit", "export", str(rows), *where)

    assert json.loads(asked.stdout) == _of(audited, "--action", "token.create")
    assert [told.exit_code for told in written] == [0, 0]
    assert [json.loads(line) for line in lines.read_text().splitlines()] == _of(audited)
    assert [row["id"] for row in csv.DictReader(io.StringIO(rows.read_text()))] == [e["id"] for e in _of(audited)]
    assert rows.stat().st_mode & 0o077 == 0
    assert (again.exit_code, "name a file that is not there" in again.stderr) == (1, True)
    assert len(_of(audited, "--limit", "1")) == 1
    assert _of(audited, "--by-token", "none", "--workflow", "order", "--instance", "o-1", "--until", "1h") == []


def test_token_that_may_not_is_refused(audited: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write may not read who else has written."""
    monkeypatch.setenv("STEPWELL_TOKEN", audited.token("--scope", "write"))

    told = run("audit", "list", "--url", audited.url, "--account", "acme")

    assert (told.exit_code, told.stdout) == (3, "")
    assert "needs audit" in told.stderr


@pytest.mark.parametrize("form", ["table", "wide", "json", "ndjson", "yaml"])
def test_what_others_say_is_harmless_on_a_terminal(form: str) -> None:
    """No form has what a terminal would obey."""
    with scripted([Answer.result([ENTRY])]) as server:
        told = run("audit", "list", "--url", server.url, "-o", form)

    assert told.exit_code == 0
    assert not {"\x1b", "\u202e"} & set(told.stdout)


def test_export_has_no_formula_and_one_line_for_each(tmp_path: Path) -> None:
    """Whatever an entry says, a spreadsheet gets text."""
    file = tmp_path / "out.csv"
    with scripted([Answer.result([ENTRY])]) as server:
        assert run("audit", "export", str(file), "--url", server.url).exit_code == 0

    (row,) = csv.DictReader(io.StringIO(file.read_text()))
    assert tuple(row) == FIELDS
    assert not [value for value in row.values() if value.startswith(("=", "+", "-", "@"))]


def test_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Whoever mistypes its place is told so, and nothing lies there afterwards."""
    told = run("audit", "list", "--store", f"sqlite:///{tmp_path}/none.db")

    assert (told.exit_code, "there is no store" in told.stderr) == (4, True)
    assert [*tmp_path.iterdir()] == []


def test_export_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    """Half of a log would be taken for all of it."""
    file = tmp_path / "out.csv"
    with scripted([Answer.refusal(503, 10001, "workflows.api.error.internal_server: away")]) as server:
        told = run("audit", "export", str(file), "--url", server.url)

    assert told.exit_code != 0
    assert not file.exists()
