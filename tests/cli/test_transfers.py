"""`stepwell export` and `import`: from the store of a server that runs, and into one."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import SOURCE, begin, run
from tests.crash.server import DevServer, store_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with workflows."""
    (tmp_path / "flows.py").write_text(SOURCE)
    return tmp_path


def _store(folder: Path) -> str:
    return store_of(folder / "data" / "stepwell.db")


def test_instances_go_from_one_server_to_another(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both run all along; the instance goes on where it came in, and its lines have what it has said."""
    other = tmp_path_factory.mktemp("other")
    (other / "flows.py").write_text(SOURCE)
    with DevServer(folder) as server, DevServer(other) as second:
        begin(server, "a", "b", says=["hello"])

        out = run("export", "order", "a", "-", "--store", _store(folder), said="b\n")
        assert out.exit_code == 0, out.output
        kinds = [json.loads(line)["type"] for line in out.stdout.splitlines()]
        assert (kinds.count("instance"), kinds.count("end"), kinds.count("line")) == (2, 2, 4)
        into = run("import", "--store", _store(other), said=out.stdout_bytes)

        assert (into.exit_code, into.stdout) == (0, "a\nb\n"), into.output
        assert "order/a is here: waiting, " in into.stderr
        assert "its own version" in into.stderr
        second.call("/order/instances/a/events/approved", {})
        assert second.wait_for_status("order", "a", "complete")["output"] is not None
        assert second.get("order", "b")["status"] == "waiting"


def test_store_without_a_server_is_opened(folder: Path) -> None:
    """And a copy comes in under another id."""
    with DevServer(folder) as server:
        begin(server, "a")
    out = run("export", "order", "a", "--store", _store(folder))
    (folder / "a.jsonl").write_bytes(out.stdout_bytes)

    into = run("import", str(folder / "a.jsonl"), "--store", _store(folder), "--as", "c")

    assert (into.exit_code, into.stdout) == (0, "c\n"), into.output
    with DevServer(folder) as server:
        server.call("/order/instances/c/events/approved", {})
        server.wait_for_status("order", "c", "complete")
        assert server.get("order", "a")["status"] == "waiting"


SECRETIVE = """
from stepwell import WorkflowEntrypoint


class Vault(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do(config={"sensitive": "output"})
        async def draw():
            return "s3cret"

        @step.do(config={"sensitive": "output"})
        async def write():
            async def parts():
                yield b"s3cret"

            return parts()

        await draw()
        await write()
        await step.wait_for_event("approval", "approved")
"""


def test_what_is_sensitive_stays_unless_it_is_asked_for(folder: Path) -> None:
    """An export without it says so and is refused by `import`; one with it is told in the audit log, and goes on."""
    (folder / "flows.py").write_text(SECRETIVE)
    with DevServer(folder) as server:
        server.create("vault", "a", {})
        server.wait_for_status("vault", "a", "waiting")

    out = run("export", "vault", "a", "--store", _store(folder))
    refused = run("import", "--store", _store(folder), "--as", "b", said=out.stdout_bytes)
    whole = run("export", "vault", "a", "--store", _store(folder), "--with-sensitive")
    taken = run("import", "--store", _store(folder), "--as", "b", said=whole.stdout_bytes)
    audited = run("audit", "list", "--store", _store(folder), "-o", "json")

    assert (out.exit_code, "s3cret" in out.stdout, "czNjcmV0" in out.stdout) == (0, False, False)
    assert "vault/a: what sensitive steps returned (2) is left out; --with-sensitive has it" in out.stderr
    lines = [json.loads(line) for line in out.stdout.splitlines()]
    assert lines[0]["left_out"] == 2
    assert [line.get("kind", line["type"]) for line in lines if line.get("left_out") is True] == [
        "stream",
        "step_succeeded",
        "step_succeeded",
    ]
    assert refused.exit_code == 1
    assert 'sensitive steps of "a" were left out' in refused.stderr.replace("\n", " ")
    assert ("s3cret" in whole.stdout, "czNjcmV0" in whole.stdout, "left out" in whole.stderr) == (True, True, False)
    assert (taken.exit_code, taken.stdout) == (0, "b\n"), taken.output
    assert [(entry["action"], entry["instance_id"]) for entry in json.loads(audited.stdout)] == [
        ("instance.export", "a")
    ]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        pytest.param(
            ("export", "order", "z"), 4, ('no instance "z"', "--store and --account say where"), id="no instance"
        ),
        pytest.param(
            ("export", "none", "z"), 4, ('no workflow "none"', "--store and --account say where"), id="workflow"
        ),
        pytest.param(("export", "order"), 2, ("Missing argument 'ID...'", "stepwell export --help"), id="no id"),
        pytest.param(
            ("import", "a.jsonl"), 5, ('already has an instance "a"', "--as brings in a single one"), id="there"
        ),
        pytest.param(
            ("export", "order", "a", "--store", "sqlite:///none.db"),
            4,
            ("there is no store", "--store says"),
            id="store",
        ),
        pytest.param(
            ("import", "none.jsonl"), 2, ("none.jsonl cannot be read", "stepwell import --help"), id="no file"
        ),
        pytest.param(
            ("import", "a.jsonl", "--account", "other"), 4, ('no workflow "order"', "serve its code once"), id="account"
        ),
        pytest.param(("import", "half.jsonl", "--as", "h"), 1, ("the file was cut off", "import --help"), id="cut off"),
    ],
)
def test_what_cannot_be_done_is_said(
    filled: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    exit_code: int,
    said: tuple[str, str],
) -> None:
    """Thing, value and remedy, and an exit code that a script can go by."""
    monkeypatch.chdir(filled)
    monkeypatch.setenv("STEPWELL_STORE", _store(filled))

    refused = run(*arguments)

    assert refused.exit_code == exit_code, refused.output
    assert all(part in refused.stderr for part in said), refused.stderr


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has the instance `a`, and files with it and with half of it."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "flows.py").write_text(SOURCE)
    with DevServer(folder) as server:
        begin(server, "a")
    lines = run("export", "order", "a", "--store", _store(folder)).stdout_bytes.splitlines(keepends=True)
    (folder / "a.jsonl").write_bytes(b"".join(lines))
    (folder / "half.jsonl").write_bytes(b"".join(lines[:-2]))
    return folder
