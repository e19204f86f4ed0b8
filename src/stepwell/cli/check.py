"""`stepwell check`: what can be seen in an author's source without running it."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click

from stepwell import checks
from stepwell.cli.output import in_yaml
from stepwell.cli.terminal import be_ascii, say
from stepwell.errors import InvalidSetting, ScriptError
from stepwell.project import Project
from stepwell.server_settings import tell

Form = Literal["text", "json", "yaml"]

_LEFT_OUT = {"__pycache__", "node_modules", "site-packages"}


def report(path: str, config: str | None, form: Form) -> int:
    """Print what is found; return 1 if something is, 0 if not, 2 if there is nothing to look at or to go by.

    The files are held against the settings that a server of the path would have, started with this `config`.
    """
    try:
        files = sorted(files_of(Path(path)))
        if not files:
            say(f"error: no Python file at {path}; give a file, or a folder that has some")
            return 2
        most = tell((), os.environ, Project.at(Path(path)).root, config).settings.retries_per_step
        found = [finding for file in files for finding in checks.check(file, retries_per_step=most)]
    except (InvalidSetting, ScriptError) as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        say(f"error: {error.filename} cannot be read: {error.strerror}")
        return 2
    if form == "text":
        _print(found, len(files))
    else:
        print_in_form([dataclasses.asdict(finding) | {"path": str(finding.path)} for finding in found], form)
    return 1 if found else 0


def print_in_form(found: Any, form: Form) -> None:
    """Print what a check has found for programs, in ASCII."""
    be_ascii(is_ascii=True)
    click.echo(json.dumps(found) if form == "json" else in_yaml(found))


def _print(found: list[checks.Finding], files: int) -> None:
    for finding in found:
        click.echo(str(finding))
    looked_at = f"{files} file{'' if files == 1 else 's'}"
    findings = f"{len(found)} finding{'' if len(found) == 1 else 's'}"
    say(f"{looked_at}: {findings if found else 'nothing found'}")


def files_of(path: Path) -> Iterator[Path]:
    """Yield the Python files of a path; those of environments, packages and hidden folders are left out."""
    if path.is_file():
        yield path
    elif path.is_dir() and not (path / "pyvenv.cfg").exists():
        for beneath in path.iterdir():
            is_wanted = not beneath.name.startswith(".") and beneath.name not in _LEFT_OUT
            # A link to a folder may lead back here.
            is_folder = beneath.is_dir() and not beneath.is_symlink()
            if is_wanted and (is_folder or beneath.suffix == ".py"):
                yield from files_of(beneath)
