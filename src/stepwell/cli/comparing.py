"""`stepwell instances compare`: what ran in one of two instances and not in the other, and what ran otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepwell.cli import times
from stepwell.cli.description import Step, state_of, steps_of, tries_of
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.pairs import only_in, paired
from stepwell.cli.targets import named
from stepwell.cli.terminal import say
from stepwell.client import Client

# A duration differs when it is so many times the other, and so much longer.
_SLOWER, _SLOWER_S = 2, 1.0
_NONE = "-"
# What has come to an end that may have an output.
_RETURNED = frozenset(("complete", "done"))


def compare(client: Client, workflow: str, ids: tuple[str, str], out: Output, *, shows_all: bool) -> int:
    """Print how two instances differ; return the exit code."""
    a, b = (named(client, workflow, id) for id in ids)
    instances = client.instance(workflow, a), client.instance(workflow, b)
    rows = [*rows_of(*instances)]
    shown = [row for row in rows if shows_all or row["differs"]]
    out.show_all(shown, _columns(a, b), "step")
    if out.is_text:
        count = sum(bool(row["differs"]) for row in rows)
        same = "the same" if not count else f"{count:,} of {len(rows):,} differ"
        say(f"{a} and {b}: {len(rows):,} rows, {same}")
    return 0


def rows_of(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Item]:
    """Yield the instances themselves, and each step of either."""
    yield _row("instance", "(instance)", _whole(a), _whole(b))
    ours, theirs = ({(step["type"], step["name"]): _facts(step) for step in steps_of(one)} for one in (a, b))
    for key, facts, others in paired(ours, theirs):
        yield _row(*key, facts, others)


def _columns(a: str, b: str) -> Sequence[Column]:
    return (
        Column("step", lambda row: str(row["step"])),
        Column("type", lambda row: str(row["type"]), rank=3),
        Column("differs", lambda row: ", ".join(row["differs"]) or "="),
        Column(a, lambda row: _side(row["a"])),
        Column(b, lambda row: _side(row["b"])),
    )


def _side(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return _NONE
    tries = side["attempts"]
    attempts = "" if tries == _NONE else f"{tries} attempt{'' if tries == '1' else 's'}"
    return ", ".join(part for part in (side["status"], attempts, side["duration"]) if part and part != _NONE)


def _row(type: str, step: str, a: Item | None, b: Item | None) -> Item:
    return {"step": step, "type": type, "differs": _differing(a, b), "a": a, "b": b}


def _differing(a: Item | None, b: Item | None) -> list[str]:
    if a is None or b is None:
        return only_in(a, b)
    # What has failed has no output, and its error says so.
    have_outputs = {a["status"], b["status"]} <= _RETURNED
    compared = ("status", "attempts", "error", "params", *(["output"] if have_outputs else []), "config", "version")
    found = [name for name in compared if a.get(name) != b.get(name)]
    long, short = sorted((a["seconds"] or 0.0, b["seconds"] or 0.0), reverse=True)
    if a["seconds"] is not None and b["seconds"] is not None and long >= _SLOWER * short and long - short >= _SLOWER_S:
        found.append("slower in A" if a["seconds"] > b["seconds"] else "slower in B")
    return found


def _whole(instance: Mapping[str, Any]) -> Item:
    return {
        "status": instance["status"],
        "attempts": _NONE,
        **_times(instance),
        "error": _error(instance.get("error")),
        "params": instance.get("params"),
        "output": instance.get("output"),
        "version": instance["versionId"],
    }


def _facts(step: Step) -> Item:
    error = step.get("error") or next((one.get("error") for one in reversed(step.get("attempts") or [])), None)
    return {
        "status": state_of(step),
        "attempts": tries_of(step),
        **_times(step),
        "error": _error(error),
        "output": step.get("output"),
        "config": step.get("config"),
    }


def _times(of: Mapping[str, Any]) -> Item:
    # What waits has the moment at which it ends at the latest.
    has_both = of["start"] and of["end"] and of.get("finished", True)
    return {
        "duration": times.span(of["start"], of["end"]) if has_both else _NONE,
        "seconds": times.moment_of(of["end"]) - times.moment_of(of["start"]) if has_both else None,
    }


def _error(error: Mapping[str, Any] | None) -> str | None:
    return None if not error else f"{error['name']}: {error['message']}"
