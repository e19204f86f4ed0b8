"""Code that is uploaded to real servers, which are killed, and started again without any files."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli import main
from tests.crash.fleet import FleetServer
from tests.crash.server import ask_store, make_token
from tests.crash.test_pinned import Server, begin, of, write

NONE_YET = "Workflows: none yet; upload them: stepwell deploy PATH --to URL"
# What cannot be served, by the file that has it; and all that its author is told.
REFUSED: list[tuple[dict[str, str], list[str]]] = [
    (
        {"flows.py": "x = 1\ndef broken(:\n"},
        ['  File "flows.py", line 2', "    def broken(:", "               ^", "SyntaxError: invalid syntax"],
    ),
    (
        {"flows.py": "import lib.deep\n", "lib/deep.py": "\nimport gone_away\n"},
        [
            "flows.py cannot be loaded:",
            '  File "flows.py", line 1, in <module>',
            "    import lib.deep",
            '  File "lib/deep.py", line 2, in <module>',
            "    import gone_away",
            "ModuleNotFoundError: No module named 'gone_away'",
        ],
    ),
    (
        {"flows.py": "x = 1\n"},
        [
            "no workflow in what was uploaded: define a class that inherits from stepwell.WorkflowEntrypoint and has "
            "`async def run(self, event, step)`"
        ],
    ),
    (
        {"billing.py": "from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n    pass\n"},
        [
            'the workflow "order" belongs to the script "flows", and this is the script "billing"; rename one of the '
            "two workflows, or delete that one: stepwell workflows delete order"
        ],
    ),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code of version 1 in `app`, of a person without settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "app").mkdir()
    write(tmp_path, "v1")
    return tmp_path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a server, which has none of the files."""
    place = tmp_path / "s"
    place.mkdir()
    return place


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What ends whatever a test has started."""
    with ExitStack() as stack:
        yield stack


def let_in(place: Path, store: str) -> None:
    """Make a token that may do everything, where servers of a folder look for theirs."""
    (place / "token").write_text(make_token(place, store, "write", "deploy"))


def ask(server: Server, *arguments: str) -> Result:
    """Run a command that asks a server."""
    settings = {"STEPWELL_URL": server.url, "STEPWELL_TOKEN": (server.folder / "token").read_text()}
    return CliRunner().invoke(main, arguments, env=settings, prog_name="stepwell")


def deploy(server: Server, folder: Path, version: str) -> None:
    """Deploy code of a version."""
    write(folder, version)
    done = ask(server, "deploy", str(folder / "app"))
    assert done.exit_code == 0, f"{done.output}\n{server.log}"


def served(server: Server) -> list[tuple[str, str]]:
    """Return the numbers of the snapshots that were served, and which is."""
    lines = ask(server, "deployments", "list").stdout.splitlines()
    return [(number, state) for number, state, *_ in (line.split("\t") for line in lines)]


def check_refused(server: Server, code: Path, files: dict[str, str], report: list[str]) -> None:
    """Check that code is refused with a report for its author, which names no folder of the server."""
    for name, text in files.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(text)

    refused = ask(server, "deploy", str(code))

    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[:-2] == report
    assert refused.stderr.splitlines()[-2] == (
        f"error: the code cannot be served; nothing has changed at {server.url} (10021)"
    )


def test_code_is_uploaded_to_a_server_that_has_none(folder: Path, place: Path) -> None:
    """What sleeps stays on its code while other code is deployed, or earlier code again; what is bad changes nothing.

    A server that is killed serves what was deployed when it starts again, from the store alone, by the settings of the
    file that `--config` names then.
    """
    with Server(place, "", "--allow-deploy") as server:
        let_in(place, Server.place[1])
        assert NONE_YET in server.log
        deploy(server, folder, "v1")
        begin(server, "old")
        deploy(server, folder, "v2")
        begin(server, "new")
        server.wake("old", "new")
        assert [server.output(id) for id in ("old", "new")] == [of("v1"), of("v2")]

        begin(server, "kept")
        for number, (files, report) in enumerate(REFUSED):
            check_refused(server, folder / f"bad {number}", files, report)
        assert served(server) == [("2", "served"), ("1", "-")]
        # What was refused is nowhere any more.
        assert ask_store(place / "data" / "store.db", "select count(*) from snapshots") == [(2,)]

        back = ask(server, "rollback")
        assert back.stderr == f"{server.url} serves it again; instances that are running stay on their code\n"
        assert served(server) == [("1", "served"), ("2", "-")]
        begin(server, "back")
        server.kill()

    (folder / "server.toml").write_text('[settings]\npayload_size = "1 KiB"\nretry_limit = 3\n')
    with Server(place, "", "--config", "../server.toml") as server:
        assert "Code: snapshot 1; instances that are running stay on theirs" in server.log
        begin(server, "newest")
        assert server.get("order", "newest")["steps"][0]["config"]["retries"]["limit"] == 3
        assert server.get("order", "kept")["steps"][0]["config"]["retries"]["limit"] == 5
        assert "at most 1,024 are allowed" in ask(server, "trigger", "order", f'"{"x" * 1_024}"').stderr
        server.wake("kept", "back", "newest")
        refused = ask(server, "deploy", str(folder / "app"))

        assert [server.output(id) for id in ("kept", "back", "newest")] == [of("v2"), of("v1"), of("v1")]
        assert refused.exit_code == 3
        assert refused.stderr.splitlines() == [
            "error: this server takes no code; start it as `stepwell serve --allow-deploy` (10000)",
            "hint: `stepwell token create --scope deploy` makes a token that may; `stepwell serve --allow-deploy` "
            "takes code",
        ]


ONE = """
from stepwell import WorkflowEntrypoint


class {NAME}(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("say", lambda: "{SAYS}")
"""


def deploy_one(server: Server, code: Path, script: str, name: str, says: str) -> Result:
    """Deploy a script of one workflow, which says something."""
    code.mkdir(exist_ok=True)
    (code / "flows.py").write_text(ONE.replace("{NAME}", name).replace("{SAYS}", says))
    (code / "wrangler.toml").write_text(f'name = "{script}"\nmain = "flows.py"\n')
    return ask(server, "deploy", str(code))


def said(server: Server, id: str) -> list[object]:
    """Return what a new instance of each of the two workflows says."""
    for name in ("pay", "bill"):
        server.create(name, id)
    return [server.wait_for_status(name, id, "complete")["output"] for name in ("pay", "bill")]


def test_scripts_that_were_deployed_apart_are_served_together(folder: Path, place: Path) -> None:
    """Each goes on and back alone, none takes another's workflow, and a server that starts again has all of them."""
    with Server(place, "", "--allow-deploy", "--workers", "1") as server:
        let_in(place, Server.place[1])
        for script, name, says in (("payments", "Pay", "1"), ("bills", "Bill", "bill"), ("payments", "Pay", "2")):
            deploy_one(server, folder / script, script, name, says)
        both = said(server, "both")
        back = ask(server, "rollback", "--script", "payments")
        apart = said(server, "apart")
        foreign = deploy_one(server, folder / "other", "others", "Pay", "not this")
        server.kill()

    with Server(place, "", "--workers", "1") as server:
        assert "Beside them, on the code that had them last: bill" in server.lines
        again = said(server, "again")
        listed = ask(server, "deployments", "list", "-o", "json").stdout

    assert (both, apart, again) == (["2", "bill"], ["1", "bill"], ["1", "bill"])
    assert back.exit_code == 0
    assert 'the workflow "pay" belongs to the script "payments", and this is the script "others"' in foreign.stderr
    assert [(one["script"], one["snapshot"]) for one in json.loads(listed) if one["is_served"]] == [
        ("payments", 1),
        ("bills", 2),
    ]


ENV = """
from stepwell import WorkflowEntrypoint


class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.wait_for_event("wait", "go", timeout="300 days")
        return ["{VERSION}", self.env.KEY]
"""


@pytest.mark.long
def test_server_that_was_started_with_files_takes_others(folder: Path) -> None:
    """Its `.dev.vars`, which nobody uploads, is there for all code; the same files are the same snapshot."""
    flows = folder / "app" / "flows.py"
    flows.write_text(ENV.replace("{VERSION}", "v1"))
    (folder / "app" / ".dev.vars").write_text("KEY=of the server\n")
    with Server(folder, "app", "--allow-deploy") as server:
        let_in(folder, Server.place[1])
        begin(server, "old")
        same = ask(server, "deploy", str(folder / "app"))
        flows.write_text(ENV.replace("{VERSION}", "v2"))
        other = ask(server, "deploy", str(folder / "app"))
        begin(server, "new")
        server.wake("old", "new")

        assert [done.stdout.split("\t")[:2] for done in (same, other)] == [["1", "served"], ["2", "served"]]
        assert [server.output(id) for id in ("old", "new")] == [["v1", "of the server"], ["v2", "of the server"]]


def test_hosts_of_a_database_run_what_was_deployed_at_another(folder: Path, url: str, opened: ExitStack) -> None:
    """Both began with nothing; each takes code for both, and the one that is left ends what began at the other."""
    let_in(folder, url)
    options = ("--allow-deploy", "--set", "host_lease=1 second")
    one, other = (opened.enter_context(FleetServer(folder, url, "", *options)) for _ in range(2))
    deploy(one, folder, "v1")
    begin(one, "old")
    other.wait_for_line("snapshot 1 is served now, and run here")
    deploy(other, folder, "v2")
    one.wait_for_line("snapshot 2 is served now, and run here")
    begin(one, "new")

    one.kill()
    other.wake("old", "new")

    assert [other.output(id) for id in ("old", "new")] == [of("v1"), of("v2")]
