"""The command line: what it says, and its exit codes."""

import re
from importlib.metadata import version

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
    assert re.findall(r"^  (\w+) +\S", result.output.partition("Commands:")[2], re.MULTILINE) == ["dev"]


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
    """A call that cannot be understood ends with exit code 2 and one line that names what is wrong."""
    result = _run(*arguments)

    assert result.exit_code == 2
    assert re.search(rf"^Error: .*{re.escape(message)}", result.output, re.MULTILINE)


def test_call_without_a_command_shows_the_help() -> None:
    """`stepwell` alone tells what there is."""
    result = _run()

    assert "Usage: stepwell [OPTIONS] COMMAND [ARGS]..." in result.output
    assert "dev " in result.output
