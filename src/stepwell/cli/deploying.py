"""`stepwell deploy` and what goes with it: code goes to a server that runs, and back to what was served before."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell import snapshots, wrangler
from stepwell.cli import times
from stepwell.cli.failures import FAILED, USAGE, Failure, message_of
from stepwell.cli.output import Column, Output, counted
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.errors import CodeRefused, InvalidSetting, RequestRefused, ScriptError
from stepwell.project import Project
from stepwell.server_settings import tell

Item = Mapping[str, Any]

_NAME_LENGTH = 60
_SHA_SHOWN = 12
_STAYS = "instances that are running stay on their code"
_HINT = "`stepwell check PATH` looks at code without running it; --dry-run lists what would be uploaded"
_SERVED = (
    Column("snapshot", lambda one: str(one["snapshot"])),
    Column("state", lambda one: "served" if one["is_served"] else "-"),
    Column("served", lambda one: times.ago(one["served_on"])),
    Column("script", lambda one: str(one.get("script") or "-")),
    Column("source", lambda one: str(one["source"]), rank=1),
    Column("sha256", lambda one: str(one["sha256"])[:_SHA_SHOWN], rank=2),
    Column("python", lambda one: str(one["python"]), rank=3),
)
_FILES = (
    Column("file", lambda file: str(file["path"])),
    counted("bytes", lambda file: file["size"]),
)


@dataclass(frozen=True, slots=True)
class Uploading:
    """Code as it is uploaded: the script's name, what is said of the files, and those by their paths."""

    script: str
    metadata: Item
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, path: str, name: str | None) -> "Uploading":
        """Gather the code at a path; `name` is that of its script, where no wrangler file names it. Raises Failure."""
        try:
            project = Project.at(Path(path))
            told = tell((), os.environ, project.root).settings
            taken = snapshots.take(project, told.snapshot_size)
        except (ScriptError, InvalidSetting) as error:
            raise Failure(str(error), USAGE, _HINT) from error
        if not project.files:
            raise Failure(f"there is no Python file at {path}; give a file, or a folder that has some", USAGE, _HINT)
        files = {file.path: file.body for file in taken.files}
        if name is not None and name != project.config.get("name"):
            files[wrangler.WRITTEN_FILE] = _naming(name, files)
        main = project.files[0].relative_to(project.root).as_posix()
        metadata = {"main_module": main, "stepwell_source": taken.source}
        return cls(name or _script_of(project), metadata, files)


def deploy(client: Client, code: Uploading, out: Output, *, is_for_show: bool) -> int:
    """Upload code, and let the server serve it; return the exit code. Raises Failure."""
    if is_for_show:
        out.show_all([{"path": file, "size": len(body)} for file, body in code.files.items()], _FILES, "path")
        say(f"nothing is done; without --dry-run these files would go to {client.url}")
        return 0
    # Asked first: what is no Stepwell gets no code.
    list(client.served())
    with reporting(client):
        done = client.upload(code.script, code.metadata, code.files)
    if out.is_whole:
        out.show_one(done, (), "script")
        return 0
    served = next(iter(client.served()))
    _tell(served, out, f"{client.url} serves it; {_STAYS}. Back: stepwell rollback")
    return 0


@contextmanager
def reporting(client: Client) -> Iterator[None]:
    """Raise Failure, behind a report for the author, where code cannot be run."""
    try:
        yield
    except RequestRefused as error:
        if error.error_code != CodeRefused.code:
            raise
        for line in message_of(error).splitlines():
            say(line)
        problem = f"the code cannot be served; nothing has changed at {client.url} ({error.error_code})"
        raise Failure(problem, FAILED, _HINT) from error


def _naming(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return the wrangler file that names a script. Raises Failure where there is one, which would have to."""
    if has := [file for file in wrangler.FILES if file in files]:
        problem = f'--name is for code without a wrangler file; {has[0]} does not name the script "{name}"'
        raise Failure(problem, USAGE, f"write that name into {has[0]}, or leave out --name")
    return json.dumps({"name": name}).encode()


def _script_of(project: Project) -> str:
    """Return under which name code is uploaded. Where a folder has none, that is only what its upload is called."""
    if project.source.is_file() or "name" in project.config:
        return wrangler.script_name(project.config, project.source)
    return re.sub(r"[^A-Za-z0-9_]+", "-", project.root.name).strip("-")[:_NAME_LENGTH] or "code"


def show(client: Client, script: str | None, out: Output) -> int:
    """Print what was served, of all scripts or of one; return the exit code."""
    out.show_all(client.served(script), _SERVED, "snapshot")
    return 0


def roll_back(client: Client, snapshot: int | None, script: str | None, out: Output) -> int:
    """Let the server serve what was served before; return the exit code."""
    served = client.serve_earlier(snapshot, script)
    if out.is_whole:
        out.show_one(served, (), "snapshot")
        return 0
    _tell(served, out, f"{client.url} serves it again; {_STAYS}")
    return 0


def _tell(served: Item, out: Output, words: str) -> None:
    """Print what is served now, and to people what that means."""
    out.show_all([served], _SERVED, "snapshot")
    if out.is_text:
        say(words)
