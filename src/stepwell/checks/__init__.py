"""Newcomers' mistakes, found in an author's source without running it.

A line can say that it is meant: `# stepwell: ignore[rule]`, or `# stepwell: ignore` for all rules.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from stepwell.checks import mistakes, replays
from stepwell.checks.findings import RULES, Finding
from stepwell.checks.source import Source
from stepwell.limits import RETRIES_PER_STEP

__all__ = ["RULES", "Finding", "check"]

_IGNORE = re.compile(r"#\s*stepwell:\s*ignore\b(?!\s*\[)|#\s*stepwell:\s*ignore\[([\w, -]+)\]")

_FLOW_RULES = (
    mistakes.not_awaited,
    mistakes.never_called,
    mistakes.unknown_parameters,
    mistakes.blocking_outside,
    mistakes.arguments,
    mistakes.sent_events,
    replays.effects,
    replays.unrecorded_timeouts,
    replays.unstable,
    replays.forgotten_f,
    replays.changed_event,
    replays.busy_finally,
)


def check(path: Path, content: bytes | None = None, *, retries_per_step: int = RETRIES_PER_STEP) -> list[Finding]:
    """Return what is found in a file, in the order of its lines. Raises OSError if it cannot be read.

    `retries_per_step` is how many a step's config may ask for.
    """
    content = path.read_bytes() if content is None else content
    lines = content.splitlines()
    try:
        found = set(_findings(path, Source(ast.parse(content), retries_per_step), lines))
    except (SyntaxError, ValueError) as error:
        return [_unreadable(path, error)]
    except (RecursionError, MemoryError):
        # Python's parser says the one or the other, by its version.
        return [Finding(path, 1, 1, "syntax", "the code is nested too deeply to be looked at")]
    return sorted(finding for finding in found if not _is_meant(finding, lines))


def _findings(path: Path, source: Source, lines: list[bytes]) -> Iterator[Finding]:
    for flow in source.flows:
        for rule in _FLOW_RULES:
            for node, name, message in rule(source, flow):
                yield Finding(path, *_place(node, lines), name, message)
    for body in source.bodies:
        for node, name, message in mistakes.blocking_in_body(source, body):
            yield Finding(path, *_place(node, lines), name, message)


def _place(node: ast.AST, lines: list[bytes]) -> tuple[int, int]:
    """Return line and column, from 1; the parser counts bytes, people count characters."""
    line: int = getattr(node, "lineno", 1)
    before = lines[line - 1][: getattr(node, "col_offset", 0)] if line <= len(lines) else b""
    return line, len(before.decode(errors="replace")) + 1


def _unreadable(path: Path, error: SyntaxError | ValueError) -> Finding:
    if isinstance(error, SyntaxError):
        return Finding(path, error.lineno or 1, error.offset or 1, "syntax", error.msg)
    return Finding(path, 1, 1, "syntax", str(error))


def _is_meant(finding: Finding, lines: list[bytes]) -> bool:
    found = _IGNORE.search(lines[finding.line - 1].decode(errors="replace")) if finding.line <= len(lines) else None
    return found is not None and (found[1] is None or finding.rule in re.split(r"[ ,]+", found[1]))
