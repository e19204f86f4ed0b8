"""`stepwell workflows compare`: the steps that one of two versions has alone, and how their source differs."""

import difflib
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from io import StringIO
from typing import Any

import click

from stepwell.cli import graph_sources
from stepwell.cli.failures import NOT_FOUND, Failure
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.pairs import only_in, paired
from stepwell.cli.terminal import clean, say
from stepwell.cli.workflows import check
from stepwell.client import Client, Result
from stepwell.errors import NotOfThisServer, RequestRefused
from stepwell.graph.steps import CodeStep, steps_of

NEWEST = "newest"
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NO_NEWLINE = "\\ No newline at end of file"
_VERSION = "version"
# What is said of a version and of a step that says where it is, and need not be the same; and what is long.
_PLACES = frozenset(("version", "at"))
_LONG = frozenset(("code", "params"))
_COLORS = {"+": "green", "-": "red", "@": "cyan"}

# What a step is among those of its code: its type, its name, and which of that name it is.
_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """How version B differs from A: what is said of both, their steps and files, and what is not known."""

    a: Item
    b: Item
    rows: Sequence[Item]
    files: Sequence[Item]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Version:
    """A version: what is said of it, what is declared of it, its steps, and why these are not known."""

    said: Item
    facts: Mapping[str, str]
    steps: Mapping[_Key, Mapping[str, str]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Sources:
    """How the files of two versions differ, and what is to be said of that."""

    files: Sequence[Item]
    notes: Sequence[str]


def compare(
    client: Client, workflow: str, given: tuple[str | None, str | None], out: Output, *, shows_all: bool
) -> int:
    """Print how two versions of a workflow differ; return the exit code. Raises Failure where there are not two."""
    found = difference(client, check(workflow), given)
    shown = {
        "workflow": workflow,
        "a": found.a,
        "b": found.b,
        "steps": [row for row in found.rows if shows_all or row["differs"]],
        "files": [file for file in found.files if shows_all or file["differs"]],
        "notes": found.notes,
    }
    _show(shown, out)
    if out.is_text:
        for note in found.notes:
            say(note)
        ids = f"A {found.a['version_id']} and B {found.b['version_id']}"
        say(f"{ids}: {_count(found.rows, 'row')}; {_count(found.files, 'file')}")
    return 0


def difference(client: Client, workflow: str, given: tuple[str | None, str | None]) -> Difference:
    """Return how two versions of a workflow differ. Raises Failure where there are not two."""
    ids = _chosen(client, workflow, given)
    a, b = (_read(client, workflow, id) for id in ids)
    sources = _compared(*_sources(client, workflow, ids))
    rows = [_row((_VERSION, "(version)", 1), a.facts, b.facts, _other(a.facts, b.facts)), *_steps(a, b)]
    notes = [f"{side}: {one.note}" for side, one in (("A", a), ("B", b)) if one.note]
    return Difference(a.said, b.said, rows, sources.files, [*notes, *sources.notes])


def _chosen(client: Client, workflow: str, given: tuple[str | None, str | None]) -> tuple[str, str]:
    """Return the ids of the versions that are meant: B is the newest if it is not given, A the one before that."""
    for id in given:
        if id is not None and not _ID.fullmatch(id):
            raise click.BadParameter(f'"{id:.100}" is no id of a version; `stepwell workflows versions` lists them')
    a, b = given
    if a is not None and b is not None and NEWEST not in given:
        return a, b
    newest = [str(one["id"]) for one in itertools.islice(client.versions(workflow), 2)]
    if a is None and len(newest) < len(given):
        hint = "each code that is served and is another one makes a version"
        count = "one version" if newest else "no version"
        raise Failure(f"{workflow} has {count}, and it takes two to be compared", NOT_FOUND, hint)
    first, second = (newest[0] if id in {None, NEWEST} else str(id) for id in given)
    return (newest[1] if a is None else first), second


def _read(client: Client, workflow: str, id: str) -> _Version:
    version = client.version(workflow, id)
    code: Mapping[str, Any] = {}
    with suppress(NotOfThisServer):
        code = client.version_code(workflow, id)
    said = {
        "version_id": id,
        "created_on": version["created_on"],
        "class_name": version["class_name"],
        "sha256": code.get("sha256"),
        "snapshot": code.get("snapshot"),
    }
    declared = {
        "class": version["class_name"],
        "code": code.get("sha256"),
        "params": code.get("params_schema"),
        **{name: version.get(name) for name in ("limits", "concurrency", "default_retention")},
    }
    facts = {"version": id} | {about: _text(value) for about, value in declared.items() if value}
    try:
        graph = graph_sources.of_server(client, graph_sources.Asked(workflow, version=id)).graph
    except Failure as error:
        return _Version(said, facts, {}, error.format_message())
    return _Version(said, facts, {_key(one): _facts(one) for one in steps_of(graph)})


def _key(step: CodeStep) -> _Key:
    return step.type, step.name, step.count


def _facts(step: CodeStep) -> Mapping[str, str]:
    return {"at": step.place, **step.facts} if step.place else step.facts


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _steps(a: _Version, b: _Version) -> Iterator[Item]:
    """Yield the steps of either. Where the graph of one is not known, none can be said to be in one alone."""
    if a.note or b.note:
        return
    others = [key for key in b.steps if key in a.steps]
    ours = [key for key in a.steps if key in b.steps]
    blocks = difflib.SequenceMatcher(None, ours, others, autojunk=False).get_matching_blocks()
    in_order = {key for block in blocks for key in ours[block.a : block.a + block.size]}
    for key, one, other in paired(a.steps, b.steps):
        differs = only_in(one, other) or _other(one or {}, other or {})
        moved = ["order"] if one is not None and other is not None and key not in in_order else []
        yield _row(key, one, other, [*differs, *moved])


def _other(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Return what is not the same in both."""
    return [about for about in {**a, **b} if about not in _PLACES and a.get(about) != b.get(about)]


def _row(key: _Key, a: Item | None, b: Item | None, differs: Sequence[str]) -> Item:
    type, step, count = key
    return {"step": step, "type": type, "count": count, "differs": differs, "a": a, "b": b}


def _sources(client: Client, workflow: str, ids: tuple[str, str]) -> tuple[Result, Result, str]:
    """Return the source of both, and why it is not known: that of snapshots if both have one, else that of graphs."""
    try:
        whole = [client.version_source(workflow, id, is_whole=True) for id in ids]
        if all(one["files"] for one in whole):
            return whole[0], whole[1], ""
        a, b = (client.version_source(workflow, id, is_whole=False) for id in ids)
    except NotOfThisServer:
        return Result(None, "null"), Result(None, "null"), "the source is not told by this server"
    except RequestRefused as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return Result(None, "null"), Result(None, "null"), "the source is not for this token: it may not read code"
    return a, b, ""


def _compared(a: Result, b: Result, why: str) -> _Sources:
    notes = [why] if why else [f"{side}: {one['note']}" for side, one in (("A", a), ("B", b)) if one["note"]]
    if notes:
        return _Sources([], notes)
    left_out = {*a["left_out"], *b["left_out"]}
    ours, theirs = ({file["path"]: file["text"] for file in one["files"]} for one in (a, b))
    files = [_file(path, one, other) for path, one, other in paired(ours, theirs) if path not in left_out]
    return _Sources(files, [f"{path} is too large to be compared" for path in sorted(left_out)])


def _file(path: str, a: str | None, b: str | None) -> Item:
    differs = only_in(a, b) or (["text"] if a != b else [])
    return {"path": path, "differs": differs, "diff": _diff(path, a, b) if differs else ""}


def _diff(path: str, a: str | None, b: str | None) -> str:
    """Return how a text differs, as `patch` and `git apply` take it."""
    names = ("/dev/null" if a is None else f"a/{path}", "/dev/null" if b is None else f"b/{path}")
    # Lines end where those of a file do: a form feed, or a separator of Unicode's, ends none.
    old, new = (StringIO(text or "", newline="\n").readlines() for text in (a, b))
    return "".join(
        line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n" for line in difflib.unified_diff(old, new, *names)
    )


def _show(found: Mapping[str, Any], out: Output) -> None:
    if out.is_whole:
        out.show_one(found, (), "steps")
        return
    if not out.is_text:
        steps = [row for row in found["steps"] if row["type"] != _VERSION]
        out.show_all([*found["steps"], *found["files"]] if out.form == "ndjson" else steps, (), "step")
        return
    out.show_all(found["steps"], _COLUMNS)
    lines = [line for file in found["files"] for line in file["diff"].removesuffix("\n").split("\n") if file["diff"]]
    if found["steps"] and lines and sys.stdout.isatty():
        click.echo()
    for line in lines:
        click.echo(_painted(line, is_colored=out.is_colored), color=True)


def _painted(line: str, *, is_colored: bool) -> str:
    text = "\t".join(map(clean, line.split("\t")))
    color = _COLORS.get(line[:1]) if is_colored else None
    return text if color is None else click.style(text, fg=color)


def _name(row: Item) -> str:
    return str(row["step"]) if row["count"] == 1 else f"{row['step']} ({row['count']})"


def _side(row: Item, side: str) -> str:
    """Return what is said of a step in one version: what differs, or all where the other has none."""
    facts = row[side]
    if facts is None:
        return "-"
    is_whole = row["a"] is None or row["b"] is None or (not row["differs"] and row["type"] != _VERSION)
    wanted = {*(facts if is_whole else row["differs"]), *_PLACES} - _LONG
    return ", ".join(text for about, text in facts.items() if about in wanted) or "-"


_COLUMNS = (
    Column("step", _name),
    Column("type", lambda row: str(row["type"]), rank=3),
    Column("differs", lambda row: ", ".join(row["differs"]) or "="),
    Column("a", lambda row: _side(row, "a"), rank=1, is_prose=True),
    Column("b", lambda row: _side(row, "b"), rank=1, is_prose=True),
)


def _count(rows: Sequence[Item], what: str) -> str:
    count = sum(bool(row["differs"]) for row in rows)
    number = f"{len(rows):,} {what}{'' if len(rows) == 1 else 's'}"
    differ = f"{count:,} of which {'differs' if count == 1 else 'differ'}" if count else "the same in both"
    return f"{number}, {differ}" if rows else number
