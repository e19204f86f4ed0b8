"""Where the graph of `stepwell graph` comes from: the files of a project, none of which is run, or a server."""

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stepwell import wrangler
from stepwell.cli import profiles
from stepwell.cli.failures import FAILED, USAGE, Failure
from stepwell.cli.targets import named
from stepwell.cli.terminal import say
from stepwell.client import Client, Result
from stepwell.errors import NotOfThisServer, ScriptError
from stepwell.graph.folder import Folder
from stepwell.graph.marks import Mark
from stepwell.graph.nodes import Graph
from stepwell.graph.source import classes_of, read_graph
from stepwell.project import Project

_READS_ITSELF = "`stepwell graph PATH` reads the source itself"
# Members that are there though they say nothing; and types of what is no node.
_MAY_BE_NULL = frozenset(("condition", "options", "try_block", "catch_block", "finally_block"))
_SHAPES = frozenset(("object", "unknown"))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A graph, as JSON too, and how its nodes stand if it is that of an instance."""

    graph: Graph
    json: str
    marks: Mapping[str, Mark] | None = None


class _Class(NamedTuple):
    """A workflow of a file: its name, and that of its class."""

    file: str
    workflow: str
    name: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command is given: a path or the name of a workflow, and of which of them the graph is to be."""

    source: str
    name: str | None = None
    version: str | None = None
    instance: str | None = None


def find(asked: Asked, where: Mapping[str, Any]) -> Drawn:
    """Return the graph that is asked for. Raises Failure, ScriptError, and as a client does."""
    if _is_path(asked.source) and not any((asked.version, asked.instance, *where.values())):
        return _of_path(asked.source, asked.name)
    if asked.name is not None:
        raise Failure(
            "--workflow chooses one of PATH, and a server is asked", USAGE, "name the workflow instead of PATH"
        )
    return of_server(profiles.connect(**where), asked)


def of_server(client: Client, asked: Asked) -> Drawn:
    """Return the graph of a workflow that a server has. Raises Failure, and as a client does."""
    if asked.instance is None:
        return _of_version(client, asked.source, asked.version)
    if asked.version is not None:
        raise Failure("an instance has a version of its own", USAGE, "leave out --version or --instance")
    return _of_instance(client, asked.source, asked.instance)


def _is_path(source: str) -> bool:
    return "/" in source or source.endswith(".py") or Path(source).exists()


def _of_path(path: str, wanted: str | None) -> Drawn:
    """Return the graph of a workflow in a file or folder: the only one, or the one of a name or a class.

    Raises ScriptError if the source cannot be read or has no workflow, Failure if it has not the one that is wanted.
    """
    project = Project.at(Path(path))
    if project.source.is_file() and project.source.suffix != ".py":
        raise ScriptError(f"{path} is not a Python file; give one, or a folder that has some")
    sources = Folder(project.folder)
    files = [file.relative_to(project.folder).as_posix() for file in project.files]
    found = list(_classes(project, sources, files))
    unread = [why for file in project.files if (why := _why_unreadable(file)) is not None]
    if not found:
        raise ScriptError(
            "\n".join(unread)
            or f"no workflow in {path}: give a file or folder with a class that inherits from "
            "stepwell.WorkflowEntrypoint"
        )
    for why in unread:
        say(why)
    chosen = _chosen(path, found, wanted)
    read = read_graph(sources, chosen.file, chosen.name)
    if read.graph is None:
        raise ScriptError(f"there is no graph of {chosen.name} in {path}: {read.note}")
    return Drawn(read.graph, msgspec.json.encode(read.graph).decode())


def _of_version(client: Client, workflow: str, version: str | None) -> Drawn:
    """Return the graph of a version of a workflow that a server has; of the newest one if none is named."""
    version = version or client.newest_version(workflow)
    try:
        result = client.graph(workflow, version)
    except NotOfThisServer:
        return _of_cloudflare(client.plain_graph(workflow, version), workflow)
    return Drawn(_graph_in(result, workflow), result.text)


def _of_cloudflare(result: Result, workflow: str) -> Drawn:
    """Return the graph in an answer of Cloudflare's form, where nodes have no keys. Raises Failure if there is none."""
    graph = result.get("graph")
    if not isinstance(graph, dict):
        raise Failure(f"there is no graph of {workflow}: the server could not read its code", FAILED, _READS_ITSELF)
    try:
        found = msgspec.convert(_with_keys(graph.get("workflow"), itertools.count(1)), Graph)
    except msgspec.ValidationError as error:
        raise Failure(f"the server's graph of {workflow} is of another form: {error}", FAILED, _READS_ITSELF) from error
    return Drawn(found, result.text)


def _with_keys(part: Any, numbers: Iterator[int]) -> Any:
    """Return a part of a graph in which each node has a key of its own, as ours have it."""
    if isinstance(part, list):
        return [_with_keys(one, numbers) for one in part]
    if not isinstance(part, dict):
        return part
    key = f"{part.get('name')}()" if part.get("type") == "function_def" else f"n{next(numbers)}"
    made = {name: _with_keys(value, numbers) for name, value in part.items()}
    # What may be left out is null in other answers of theirs.
    return {name: value for name, value in made.items() if value is not None or name in _MAY_BE_NULL} | (
        {"key": key} if "type" in part and part["type"] not in _SHAPES else {}
    )


def _of_instance(client: Client, workflow: str, id: str) -> Drawn:
    """Return the graph of an instance's version, and how its nodes stand in the instance."""
    result = client.instance_graph(workflow, named(client, workflow, id))
    marks = {
        key: Mark(state["status"], state["runs"], state["failed"], state.get("rollback"))
        for key, state in result["states"].items()
    }
    return Drawn(_graph_in(result, workflow), result.text, marks)


def _graph_in(result: Result, workflow: str) -> Graph:
    """Return the graph in a server's answer. Raises Failure if there is none in it."""
    if result.get("nodes") is None:
        note = result.get("note") or "the server gives no reason"
        raise Failure(f"there is no graph of {workflow}: {note}", FAILED, _READS_ITSELF)
    try:
        return msgspec.json.decode(result.text, type=Graph)
    except msgspec.MsgspecError as error:
        raise Failure(f"the server's graph of {workflow} is of another form: {error}", FAILED, _READS_ITSELF) from error


def _classes(project: Project, sources: Folder, files: Sequence[str]) -> Iterator[_Class]:
    """Yield the workflows of files: their own, and those that they import for the wrangler file to name."""
    names = wrangler.names(project.config)
    for file in files:
        for name in classes_of(sources, file):
            if name in names or re.search(rf"^\s*class {re.escape(name)}\b", sources[file], re.MULTILINE):
                yield _Class(file, names.get(name, wrangler.default_name(name)), name)


def _chosen(path: str, found: Sequence[_Class], wanted: str | None) -> _Class:
    fitting = [one for one in found if wanted is None or wanted in (one.workflow, one.name)]
    if len({(one.workflow, one.name) for one in fitting}) == 1:
        return fitting[0]
    known = ", ".join(sorted({one.workflow for one in found}))
    hint = "--workflow NAME chooses one, by its name or its class"
    if wanted is None:
        raise Failure(f"{path} has several workflows: {known}", USAGE, hint)
    raise Failure(f"{path} has no workflow {wanted}; it has: {known}", USAGE, hint)


def _why_unreadable(file: Path) -> str | None:
    """Say why a file is no Python; nothing if it is."""
    try:
        ast.parse(file.read_bytes())
    except SyntaxError as error:
        return f"{file}:{error.lineno or 1}: this is not Python: {error.msg}"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    except ValueError as error:
        return f"{file} cannot be read: {error}"
    except (RecursionError, MemoryError):
        return f"{file} is nested too deeply to be read"
    return None
