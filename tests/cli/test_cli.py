"""The command line: what it says, and its exit codes."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli import main


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="stepwell")


def test_version_is_that_of_the_package() -> None:
    """`--version` prints name and version, and nothing else."""
    result = _run("--version")

    assert (result.exit_code, result.output) == (0, f"stepwell {version('stepwell')}\n")


@pytest.mark.parametrize("option", [pytest.param("--help", id="long"), pytest.param("-h", id="short")])
def test_help_lists_the_commands(option: str) -> None:
    """`--help` says what Stepwell is, and names each command with a line about it."""
    result = _run(option)

    assert result.exit_code == 0
    assert "Durable workflows in ordinary Python, with the Cloudflare Workflows API." in result.output
    assert re.findall(r"^  (\w+) +\S", result.output.partition("Commands:")[2], re.MULTILINE) == [
        "audit",
        "backup",
        "check",
        "completion",
        "copy",
        "deploy",
        "deployments",
        "dev",
        "doctor",
        "export",
        "facts",
        "graph",
        "hosts",
        "import",
        "init",
        "instances",
        "jobs",
        "limits",
        "login",
        "logout",
        "mcp",
        "migrate",
        "profile",
        "reencrypt",
        "restore",
        "rollback",
        "schedules",
        "serve",
        "settings",
        "token",
        "trigger",
        "version",
        "webhooks",
        "whoami",
        "worker",
        "workflows",
    ]


@pytest.mark.parametrize("path", ["stepwell", "/a b", "/../a", "//a", '/"', "/a/./b", "http://a/b"])
def test_path_of_a_proxy_is_one_for_links(path: str) -> None:
    """What could not stand in a link is refused before anything is opened, and what could is told."""
    told = _run("dev", "--base-path", path)

    assert told.exit_code == 2
    assert f'"{path}" is no path for links; give one such as /stepwell' in told.output


def test_help_of_dev_explains_every_option() -> None:
    """`dev --help` has each option with its default or its meaning."""
    result = _run("dev", "--help")

    text = " ".join(result.output.split())
    assert result.exit_code == 0
    assert "Usage: stepwell dev [OPTIONS] [PATH]" in text
    assert "--host TEXT Address to listen on. [default: 127.0.0.1]" in text
    assert "--port INTEGER RANGE 0: any free one. [default: 8787; 0<=x<=65535]" in text
    assert "--data TEXT Folder of the database. [default: .stepwell]" in text
    assert "--fetch-port PORT Where the `fetch` of a WorkerEntrypoint in PATH is served, if it has one." in text
    assert "[default: the port after --port]" in text
    assert "--no-output Do not keep what workflows print and log; it is shown all the same." in text
    assert "--allow-host NAME Also answer requests to this host name (a proxy's). Repeatable." in text
    assert "--base-path PATH What a proxy has the server below, such as /stepwell." in text
    assert "--config FILE Take settings from this TOML file, not from the project's stepwell.toml." in text
    assert "--open Show the dashboard in your browser, once the server is ready." in text
    assert "--set NAME=VALUE Change a setting; `stepwell settings` lists all. Repeatable." in text


def test_help_of_worker_explains_every_option() -> None:
    """`worker --help` has each option with its default or its meaning, and none of a server's."""
    result = _run("worker", "--help")

    text = " ".join(result.output.split())
    assert result.exit_code == 0
    assert "Usage: stepwell worker [OPTIONS] [PATH]" in text
    assert "Without PATH it runs what was served last, and goes over to what any host serves later." in text
    assert re.findall(r"^  (?:-h, )?(--[\w-]+)", result.output, re.MULTILINE) == [
        "--store",
        "--account",
        "--workers",
        "--no-output",
        "--env",
        "--log-format",
        "--config",
        "--set",
        "--metrics-port",
        "--metrics-host",
        "--help",
    ]


@pytest.mark.parametrize("path", [(), ("app",)], ids=["stored", "of files"])
def test_worker_on_a_file_is_refused(path: tuple[str, ...]) -> None:
    """It says who has the file, and what to do instead."""
    result = _run("worker", *path, "--store", "sqlite:///data/store.db")

    assert result.exit_code == 2
    assert result.stderr == (
        "error: one process at a time has the file data/store.db: the server that was started on it\n"
        "hint: `stepwell serve --workers N` runs more workers there; for several hosts give --store postgresql://...\n"
    )


MISTAKE = """
class Order:
    async def run(self, event, step):
        step.sleep("nap", "1 minute")
"""


def test_check_reports_what_it_finds(tmp_path: Path) -> None:
    """Each finding is a line; a summary goes to standard error; the exit code is 1."""
    (tmp_path / "flows.py").write_text(MISTAKE)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "good.py").write_text("x = 1\n")

    result = _run("check", str(tmp_path))

    assert result.exit_code == 1
    assert result.stdout.startswith(f"{tmp_path}/flows.py:4:9: not-awaited: step.sleep(...) is not awaited")
    assert result.stderr == "2 files: 1 finding\n"


def test_check_reports_in_json(tmp_path: Path) -> None:
    """`-o json` is a list of objects and nothing else on standard output."""
    (tmp_path / "flows.py").write_text(MISTAKE)

    (finding,) = json.loads(_run("check", str(tmp_path / "flows.py"), "-o", "json").stdout)

    assert sorted(finding) == ["column", "line", "message", "path", "rule"]
    assert (finding["path"], finding["line"], finding["rule"]) == (str(tmp_path / "flows.py"), 4, "not-awaited")


def test_check_passes_over_what_is_not_the_authors(tmp_path: Path) -> None:
    """Environments, packages and hidden folders are left out; nothing found is exit code 0."""
    for place in (".hidden", "node_modules", "site-packages", "env/lib"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "flows.py").write_text(MISTAKE)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "flows.py").write_text(MISTAKE.replace("step.sleep", "await step.sleep"))

    result = _run("check", str(tmp_path))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 file: nothing found\n")


def test_check_follows_no_links_to_folders(tmp_path: Path) -> None:
    """A link that leads back is no endless way."""
    (tmp_path / "flows.py").write_text(MISTAKE)
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)

    assert _run("check", str(tmp_path)).stderr == "1 file: 1 finding\n"


def test_check_of_nothing_is_refused(tmp_path: Path) -> None:
    """A path without a Python file is a mistake in the call, not a clean bill."""
    result = _run("check", str(tmp_path / "gone"))

    assert result.exit_code == 2
    assert result.stderr == f"error: no Python file at {tmp_path}/gone; give a file, or a folder that has some\n"


RETRIES = """
class Order:
    async def run(self, event, step):
        await step.do("a", print, config={"retries": {"limit": 20000, "delay": 0}})
"""


def test_check_goes_by_the_settings_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server of the path would allow is no mistake: by its file, and by the environment, which wins."""
    (tmp_path / "flows.py").write_text(RETRIES)
    plain = _run("check", str(tmp_path))

    (tmp_path / "stepwell.toml").write_text("[settings]\nretries_per_step = 20_000\n")
    raised = [_run("check", str(path)).exit_code for path in (tmp_path, tmp_path / "flows.py")]
    monkeypatch.setenv("STEPWELL_RETRIES_PER_STEP", "15000")
    lower = _run("check", str(tmp_path))

    assert (plain.exit_code, raised, lower.exit_code) == (1, [0, 0], 1)
    assert "must be a number from 0 to 10000, got 20000" in plain.stdout
    assert "must be a number from 0 to 15000, got 20000" in lower.stdout


def test_check_with_a_wrong_setting_is_refused(tmp_path: Path) -> None:
    """There is nothing to hold the files against; the error names place and remedy."""
    (tmp_path / "flows.py").write_text(RETRIES)
    (tmp_path / "stepwell.toml").write_text("[settings]\nretries_per_step = -1\n")

    result = _run("check", str(tmp_path))

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: retries_per_step ({tmp_path}/stepwell.toml) is -1; it must be a whole nu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["serv"], "No such command 'serv'", id="unknown-command"),
        pytest.param(["--verson"], "--verson", id="unknown-option"),
        pytest.param(["dev", "--prot", "1"], "--prot", id="unknown-option-of-dev"),
        pytest.param(["dev", "--port", "x"], "Invalid value for '--port': 'x'", id="port-is-no-number"),
        pytest.param(["dev", "--port", "65536"], "Invalid value for '--port': 65536", id="port-out-of-range"),
        pytest.param(["dev", "a", "b"], "unexpected extra argument (b)", id="two-paths"),
    ],
)
def test_wrong_call_is_refused(arguments: list[str], message: str) -> None:
    """A call that cannot be understood ends with exit code 2, a line that names what is wrong, and one that helps."""
    result = _run(*arguments)

    error, hint = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (2, "")
    assert error.startswith("error: ")
    assert message in error
    assert re.fullmatch(r"hint: `stepwell( dev)? --help` shows what can be given", hint)


def test_server_that_cannot_keep_its_data_says_why(tmp_path: Path) -> None:
    """Exit code 1, a line that names what is wrong, and one that helps."""
    (tmp_path / "taken").write_text("")

    refused = _run("dev", str(tmp_path), "--data", str(tmp_path / "taken"))

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        f"error: cannot write to the data folder {tmp_path}/taken: File exists",
        "hint: choose another with --data",
    ]


def test_call_without_a_command_shows_the_help() -> None:
    """`stepwell` alone tells what there is."""
    result = _run()

    assert "Usage: stepwell [OPTIONS] COMMAND [ARGS]..." in result.output
    assert "dev " in result.output


def test_proxy_that_is_trusted_has_an_address() -> None:
    """A name could lead anywhere, so it is a wrong call."""
    result = CliRunner().invoke(main, ["serve", "--trust-proxy", "10.0.0.0/8", "--trust-proxy", "proxy.example"])

    assert result.exit_code == 2
    assert '"proxy.example" is no address or network; give one such as 10.0.0.7 or 10.0.0.0/8' in result.output
