"""What the files of a deployment, and its guide, name is there: commands, options, variables, settings, files."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from stepwell.cli import main
from stepwell.sealing import KEYS, KEYS_FILE
from stepwell.server_settings import PREFIX, SETTINGS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "deployment.md"
FILES = [
    GUIDE,
    ROOT / "Dockerfile",
    ROOT / "compose.yaml",
    *(file for folder in ("systemd", "nginx") for file in sorted((ROOT / "deploy" / folder).iterdir())),
]
VARIABLES = {
    *(f"{PREFIX}{name}".upper() for name in SETTINGS),
    KEYS,
    KEYS_FILE,
    "STEPWELL_STORE",
    "STEPWELL_TOKEN",
}
# `stepwell` at the end of a path or of nothing, and what follows it in the line.
_COMMAND = re.compile(r"(?<![\w:.@-])(?:[\w./-]*/)?stepwell (?=[a-z-])(.*)")
# Of a page: what is typed, and what is named.
_CODE = re.compile(r"```sh\n(.*?)```|`(stepwell [^`]*)`", re.DOTALL)


def commands_of(file: Path) -> list[list[str]]:
    """Return the arguments of each command of Stepwell's that a file has."""
    text = file.read_text()
    if file.name == "Dockerfile":
        return [json.loads(arguments) for arguments in re.findall(r'CMD (\["serve".*?\])', text)]
    if file.name == "compose.yaml":
        services = yaml.safe_load(text)["services"].values()
        return [*_shown(text), *(service["command"] for service in services if "command" in service)]
    if file.suffix == ".md":
        text = "\n".join(block or span for block, span in _CODE.findall(text))
    return _shown(text)


def _shown(text: str) -> list[list[str]]:
    found = [_COMMAND.search(line) for line in text.replace("\\\n", " ").splitlines()]
    shown = [shlex.split(match[1].partition("`")[0], comments=True) for match in found if match]
    return [words for words in shown if _is_command(words)]


def _is_command(words: list[str]) -> bool:
    # "stepwell below" in a sentence is none, and neither is a path that ends with the name.
    return bool(words) and words[0] in main.commands


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_have_the_options_that_are_named(file: Path) -> None:
    """Each command is one, and has each option."""
    for words in commands_of(file):
        command, rest = _found(words)
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}

        assert [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options] == [], words


def test_files_have_commands() -> None:
    """The test above looks at something."""
    counts = {file.name: len(commands_of(file)) for file in FILES}

    assert counts["stepwell.service"] == 2
    assert counts["stepwell-worker.service"] == 2
    assert counts["Dockerfile"] == 2
    assert counts["compose.yaml"] >= 3
    assert counts["stepwell.conf"] == 1
    assert counts["deployment.md"] >= 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_variables_and_settings_are_read_by_something(file: Path) -> None:
    """What begins like one of ours is one, and a setting that is named exists."""
    text = file.read_text()

    assert [name for name in re.findall(r"STEPWELL_[A-Z_]+", text) if name not in VARIABLES] == []
    assert [name for name in re.findall(r"--set ([a-z_]+)=", text) if name not in SETTINGS] == []


def test_files_that_the_guide_names_are_there() -> None:
    """Each link leads to a file, and each file of a deployment is named."""
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", GUIDE.read_text()) if "://" not in link}
    reached = {(GUIDE.parent / link).resolve() for link in links if link}

    assert [link for link in reached if not link.exists()] == []
    assert [file.name for file in FILES if file != GUIDE and file not in reached] == []


def _found(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        assert rest[0] in command.commands, words
        command = command.commands[rest.pop(0)]
    return command, rest
