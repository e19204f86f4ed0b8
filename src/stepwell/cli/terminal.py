"""What a terminal is shown: nothing that it would obey, colours of its own theme, and no more than it has room for."""

import json
import os
import re
import sys
from contextvars import ContextVar
from typing import TextIO

import click

# Sequences that a terminal obeys, whole: CSI; OSC, DCS, SOS, PM and APC with their texts; the others. Then C0 and C1
# controls, the marks that turn the direction of writing, the separators of lines, and halves of surrogate pairs.
_UNSAFE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"
)
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
# Marks of the order of bytes, and what is no character, may not stand in YAML either.
_UNSAFE_IN_YAML = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufffe\uffff]")
_HALF_OF_A_PAIR = re.compile(r"[\ud800-\udfff]")

# Of the 16 colours that every terminal's theme has.
_COLORS = {
    "queued": "cyan",
    "running": "blue",
    "rollingBack": "blue",
    "waiting": "yellow",
    "paused": "magenta",
    "waitingForPause": "magenta",
    "complete": "green",
    "done": "green",
    "errored": "red",
    "timed out": "red",
    "terminated": "bright_black",
    "cancelled": "bright_black",
    # What the doctor says.
    "ok": "green",
    "warning": "yellow",
    "fault": "red",
}

# What stands before a status, so that it is seen without colours: one cell wide, never drawn as an emoji; and in ASCII.
_GLYPHS = {
    "queued": ("\N{WHITE CIRCLE}", "o"),
    "running": ("\N{BLACK CIRCLE}", ">"),
    "rollingBack": ("\N{ANTICLOCKWISE OPEN CIRCLE ARROW}", "<"),
    "waiting": ("\N{CIRCLE WITH UPPER RIGHT QUADRANT BLACK}", "~"),
    "paused": ("\N{DOUBLE VERTICAL LINE}", "="),
    "waitingForPause": ("\N{DOUBLE VERTICAL LINE}", "="),
    "complete": ("\N{CHECK MARK}", "+"),
    "done": ("\N{CHECK MARK}", "+"),
    "errored": ("\N{BALLOT X}", "x"),
    "timed out": ("\N{BALLOT X}", "x"),
    "terminated": ("\N{BLACK SQUARE}", "#"),
    "cancelled": ("\N{BLACK SQUARE}", "#"),
    "ok": ("\N{CHECK MARK}", "+"),
    "warning": ("!", "!"),
    "fault": ("\N{BALLOT X}", "x"),
}

DEFAULT_SIZE = (80, 24)

# JSON writes this character, and those behind it, as a pair of surrogates; YAML by its number.
_FIRST_OF_PAIRS = 0x10000

_is_ascii = ContextVar("_is_ascii", default=False)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_BEYOND_ASCII_IN_JSON = re.compile(r"[^\x00-\x7e]")
# What is drawn, and what a mark is.
_DRAWN = "\N{BOX DRAWINGS LIGHT HORIZONTAL}\N{REPLACEMENT CHARACTER}"


def be_ascii(*, is_ascii: bool) -> None:
    """Let everything that is cleaned from now on be ASCII, or only where standard output takes nothing else."""
    _is_ascii.set(is_ascii or not _takes(sys.stdout, _DRAWN))


def clean(text: object) -> str:
    """Return a text without what a terminal would obey; a mark says where it was."""
    if not _is_ascii.get():
        return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(text))
    return _BEYOND_ASCII.sub(lambda found: ascii(found[0])[1:-1], _UNSAFE.sub("?", str(text)))


def clean_json(text: str) -> str:
    """Return JSON that means the same and has nothing that a terminal would obey."""
    unsafe = _BEYOND_ASCII_IN_JSON if _is_ascii.get() else _UNSAFE_IN_JSON
    return unsafe.sub(lambda found: json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f", text)


def clean_yaml(text: str) -> str:
    """Return a quoted text of YAML that means the same and has nothing that a terminal would obey.

    But for halves of surrogate pairs, which YAML has no escape for: a mark says where one was.
    """
    unsafe = _BEYOND_ASCII_IN_JSON if _is_ascii.get() else _UNSAFE_IN_YAML
    return unsafe.sub(_escape_of_yaml, _HALF_OF_A_PAIR.sub("\N{REPLACEMENT CHARACTER}", text))


def _escape_of_yaml(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < _FIRST_OF_PAIRS else f"\\U{code:08x}"


def say(text: str) -> None:
    """Tell people something beside what is printed: on standard error, without what a terminal would obey."""
    click.echo(clean(text), err=True)


def color_of(status: str) -> str | None:
    """Return the colour of a status; None: it has none."""
    return _COLORS.get(status)


def has_color(choice: str, stream: TextIO) -> bool:
    """Tell whether what is written to a stream has colours: as the choice says, then NO_COLOR, then FORCE_COLOR."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def marked(status: str) -> str:
    """Return a status as people see it on a terminal, behind its glyph; what is no status as it is."""
    glyphs = _GLYPHS.get(status)
    return status if glyphs is None else f"{glyphs[_is_ascii.get()]} {status}"


def painted(text: str, *, is_colored: bool) -> str:
    """Return a status in its colour."""
    return _in_color(text, text, is_colored=is_colored)


def painted_mark(text: str, *, is_colored: bool) -> str:
    """Return a status behind its glyph, in its colour."""
    return _in_color(text, marked(text), is_colored=is_colored)


def _in_color(status: str, text: str, *, is_colored: bool) -> str:
    color = color_of(status) if is_colored else None
    return text if color is None else click.style(text, fg=color)


def _takes(stream: TextIO, text: str) -> bool:
    """Tell whether a stream has room for a text's characters."""
    try:
        text.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def can_go_back(stream: TextIO | None = None) -> bool:
    """Tell whether what was written to a stream, standard output if none is named, can be written over."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def size(stream: TextIO | None = None) -> tuple[int, int]:
    """Return how many columns and lines the terminal has now that a stream, else standard output, leads to."""
    try:
        columns, lines = os.get_terminal_size((stream or sys.stdout).fileno())
    except (OSError, ValueError):
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]


def height_of(line: str, columns: int) -> int:
    """Return how many lines of a terminal a line takes."""
    from rich.cells import cell_len

    return max(1, -(-cell_len(click.unstyle(line)) // columns))
