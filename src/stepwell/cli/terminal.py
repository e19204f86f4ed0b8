"""What a terminal is shown: nothing that it would obey, colours of its own theme, and no more than it has room for."""

import os
import re
import sys
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
}

DEFAULT_SIZE = (80, 24)


def clean(text: object) -> str:
    """Return a text without what a terminal would obey; a mark says where it was."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", str(text))


def clean_json(text: str) -> str:
    """Return JSON that means the same and has nothing that a terminal would obey."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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


def painted(text: str, *, is_colored: bool) -> str:
    """Return a status in its colour."""
    color = color_of(text) if is_colored else None
    return text if color is None else click.style(text, fg=color)


def can_go_back() -> bool:
    """Tell whether what was written can be written over."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def size() -> tuple[int, int]:
    """Return how many columns and lines the terminal has now."""
    try:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]


def height_of(line: str, columns: int) -> int:
    """Return how many lines of a terminal a line takes."""
    from rich.cells import cell_len

    return max(1, -(-cell_len(click.unstyle(line)) // columns))
