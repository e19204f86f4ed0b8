"""`stepwell init`: a small project that runs."""

import shlex
from importlib import resources
from pathlib import Path

import click

from stepwell.cli.failures import CONFLICT, FAILED, Failure
from stepwell.cli.terminal import clean, say

_SUFFIX = ".txt"
_RENAMED = {"gitignore": ".gitignore"}
# What people have made before, for the project itself.
_MAY_BE_THERE = {".git", ".venv"}


def make(path: str) -> int:
    """Make a project in a folder, and say what to do with it; return the exit code. Raises Failure."""
    folder = Path(path)
    try:
        _refuse_what_is_there(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in _files().items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            click.echo(clean(folder / name))
    except OSError as error:
        hint = "FOLDER is a new one, or an empty one that you may write to"
        raise Failure(f"{error.filename} cannot be made: {error.strerror}", FAILED, hint) from error
    there = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(path)} && "
    say(f"serve it:  {there}stepwell dev")
    say("""run it:    stepwell trigger greeting '{"name": "Ann"}' --wait""")
    say(f"test it:   {there}pytest")
    return 0


def _refuse_what_is_there(folder: Path) -> None:
    """Raise Failure if something is in a folder, or in its place."""
    if folder.exists() and not folder.is_dir():
        raise Failure(f"{folder} is no folder", CONFLICT, "give a FOLDER that is new, or empty")
    found = sorted(beneath.name for beneath in folder.iterdir()) if folder.exists() else []
    others = [name for name in found if name not in _MAY_BE_THERE]
    if others:
        shown = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")  # noqa: PLR2004 - as many as one reads
        raise Failure(f"{folder} has something in it already: {shown}", CONFLICT, "give a FOLDER that is new, or empty")


def _files() -> dict[str, str]:
    """Return the files of a project, by name."""
    folder = resources.files("stepwell.cli").joinpath("template")
    texts = {file.name.removesuffix(_SUFFIX): file.read_text("utf-8") for file in folder.iterdir()}
    return dict(sorted((_RENAMED.get(name, name), text) for name, text in texts.items()))
