"""Write docs/reference/limits.md from `stepwell.limits`, and the settings that change them: `make reference`."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepwell import durations, limits, server_settings, sizes
from stepwell.server_settings import SETTINGS

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "limits.md"

_HEAD = """\
# Limits

Made by `make reference` from the limits themselves. Those that have a setting can be changed by it, within its bounds:
[settings.md](../settings.md). All others are the same everywhere. How many instances may run at a time is
[flow control](../flow.md), and no limit unless you set one.

| limit | value | of what | source |
|---|---|---|---|
"""
_NAMES = """
## What names may have

| name | rule |
|---|---|
"""
_LIMITS = "developers.cloudflare.com/workflows/reference/limits/"
_OURS = None
# Of limits without a setting: what they are of, and where they are from.
_FIXED: Mapping[str, tuple[str, str | None]] = {
    "WORKFLOW_NAME_LENGTH": ("the name of a workflow", _LIMITS),
    "INSTANCE_ID_LENGTH": ("the id of an instance that you name", _LIMITS),
    "ADDRESSED_INSTANCE_ID_LENGTH": ("the id of an instance that a schedule has made: its cron, and a moment", _OURS),
    "EVENT_TYPE_LENGTH": ("the type of an event", _LIMITS),
    "STEP_NAME_LENGTH": ("the name of a step", _LIMITS),
    "LOGGED_NAME_LENGTH": ("the same with its count, as logs show it", _OURS),
    "ATTRIBUTES": ("attributes of an attempt, by `ctx.set_attributes`", _OURS),
    "SESSIONS_PER_TOKEN": ("sessions of the dashboard that a token has; one more ends the one used longest ago", _OURS),
    "CRON_LENGTH": ("a cron expression", _LIMITS),
    "MOST_CONCURRENCY": (
        "instances, or steps, that a limit of yours may let run at a time, or start in a period",
        _OURS,
    ),
    "STREAM_CHUNK_BYTES": (
        "what the code of a step that returns a stream may give at a time",
        "developers.cloudflare.com/workflows/build/workers-api/#readablestream-return-values",
    ),
    "STREAM_PIECE_BYTES": ("a piece of a stream, as it is stored and read", _OURS),
    "SCRIPT_NAME_LENGTH": ("the name of a script", "developers.cloudflare.com/api/resources/workflows/methods/update/"),
    "CLASS_NAME_LENGTH": ("the name of a class", "developers.cloudflare.com/api/resources/workflows/methods/update/"),
    "MOST_RETENTION_MS": ("how long a retention may be that keeps instances", _OURS),
    "TRIGGERS_PER_SCRIPT": ("event triggers of a script, and targets of a trigger", _OURS),
    "VALUE_DEPTH": ("levels of lists and objects in one another in a value", _OURS),
    "INLINE_VALUE_BYTES": (
        "a value that lies in its record; a larger one lies apart, and is read when it is delivered",
        _OURS,
    ),
    "LOG_OUTPUT_CHARACTERS": (
        "what the log of an instance shows of the output of a step; `GET .../step` has the whole",
        _OURS,
    ),
    "CHILD_MS": ("how long the end of a child is awaited", _OURS),
    "METRICS_STEPS_OF_WORKFLOW": ("steps of one workflow that have series of their own in `/metrics`", _OURS),
    "LABELS": ("labels of an instance, and names of labels that its code sets", _OURS),
    "LABEL_NAME_LENGTH": ("the name of a label", _OURS),
    "LABEL_VALUE_LENGTH": ("the value of a label", _OURS),
    "LIMIT_NAME_LENGTH": ("the name of a limit that steps share", _OURS),
    "SEARCH_MS": ("how long a search looks before it answers with what it has, and where it goes on", _OURS),
    "SEARCHED_TEXT_LENGTH": ("a part of an error's message that is searched for", _OURS),
    "IDEMPOTENCY_KEY_LENGTH": ("an `Idempotency-Key`", _OURS),
    "FACTS": ("facts of the servers' logs that a store keeps", _OURS),
    "WEBHOOKS_PER_ACCOUNT": ("webhooks of an account", _OURS),
    "KEPT_ANSWERS_BYTES": ("memory of a server for answers that it gives again while nothing changes", _OURS),
}


def reference() -> str:
    """Return the page. Raises KeyError for a limit of which nothing is said."""
    settings = _settings()
    rows = [_row(name, value, setting) for name, value in _constants(int) for setting in settings.get(name, [None])]
    rules = [f"| {name.removesuffix('_RULE').replace('_', ' ').lower()} | {rule} |\n" for name, rule in _constants(str)]
    return "".join([_HEAD, *rows, _NAMES, *rules])


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def _constants(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the limits, in the order of the source: what is not made elsewhere."""
    for line in ast.parse(inspect.getsource(limits)).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id.isupper():
            name = line.targets[0].id
            value = getattr(limits, name)
            if isinstance(value, kind) and not name.startswith("_"):
                yield name, value


def _settings() -> Mapping[str, list[str | None]]:
    """Return the settings whose default is a limit, by its name."""
    found: dict[str, list[str | None]] = {}
    (kind,) = ast.parse(inspect.getsource(server_settings.Settings)).body
    assert isinstance(kind, ast.ClassDef)
    for line in kind.body:
        if isinstance(line, ast.AnnAssign) and line.value is not None:
            for limit in re.findall(r"\blimits\.(\w+)", ast.unparse(line.value)):
                found.setdefault(limit, []).append(ast.unparse(line.target))
    return found


def _row(name: str, value: int, setting: str | None) -> str:
    told, source = (SETTINGS[setting].meaning, SETTINGS[setting].source) if setting else _FIXED[name]
    shown = f"`{setting}`" if setting else name.lower().replace("_", " ").removesuffix(" ms").removesuffix(" bytes")
    link = "Stepwell's own" if source is None else f"[Cloudflare](https://{source})"
    return f"| {shown} | {_in_words(name, value)} | {told} | {link} |\n"


def _in_words(name: str, value: int) -> str:
    if name.endswith("_BYTES"):
        return sizes.in_words(value)
    if name.endswith("_MS"):
        return durations.in_words(value)
    return f"{value:,} characters" if name.endswith(("_LENGTH", "_CHARACTERS")) else f"{value:,}"


if __name__ == "__main__":
    write()
