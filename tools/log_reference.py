"""Write docs/reference/log.md from the calls of loggers themselves: `make reference`."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "docs" / "reference" / "log.md"
SOURCES = ROOT / "src" / "stepwell"
# An operator sees these; DEBUG is for whoever works on Stepwell.
LEVELS = ("info", "warning", "error", "exception")
_LOGGERS = ("logger", "_log", "log")
# What `fact_of` says of an instance, and a sink of the code that speaks.
_INSTANCE = ["account", "workflow", "instance"]
_SPEAKER = [*_INSTANCE, "step", "attempt"]

_HEAD = """\
# Events of the log

Made by `make reference` from the calls of the loggers themselves. `%s` and `%d` stand for what differs. In JSON
(`--log-format json`) each line has `time`, `level`, `event`, `message`, `logger` and `process`, where there is one
`traceback`, and the fields of its event: [operating.md](../operating.md#the-log). Fields that are not known are left
out. The event `log` is a line of a library.

| event | level | message | fields |
|---|---|---|---|
"""


class Line(NamedTuple):
    """A call that writes a line, and where it is."""

    event: str
    level: str
    message: str
    fields: tuple[str, ...]


def reference() -> str:
    """Return the page. Raises ValueError for a line that names no event."""
    return _HEAD + "".join(map(_row, sorted(set(lines()))))


def lines() -> Iterator[Line]:
    """Yield all lines that the log may have. Raises ValueError."""
    # What authors' code logs gets its name and fields on the way.
    yield Line("author.log", "any", "what the code of a workflow logs", tuple(_SPEAKER))
    for file in sorted(SOURCES.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        for call in ast.walk(ast.parse(source)) if "logging" in source else ():
            if isinstance(call, ast.Call) and (level := _level(call)) is not None:
                yield _line(call, level, f"{file.relative_to(ROOT)}:{call.lineno}")


def _row(line: Line) -> str:
    fields = ", ".join(f"`{name}`" for name in line.fields)
    return f"| `{line.event}` | {line.level} | {line.message} | {fields or '-'} |\n"


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def _level(call: ast.Call) -> str | None:
    match call.func:
        case ast.Attribute(value=ast.Name(id=logger), attr=level) if logger in _LOGGERS and level in LEVELS:
            return "error" if level == "exception" else level
        case ast.Name(id="log"):
            return "warning"
    return None


def _line(call: ast.Call, level: str, place: str) -> Line:
    told = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    match told, call.args[0]:
        case ast.Call(func=ast.Name(id="fact"), args=[ast.Constant(value=event)], keywords=given), message:
            return Line(str(event), level, _text(message), _names(given))
        case ast.Call(func=ast.Name(id="fact_of"), args=[_, ast.Constant(value=event)], keywords=given), message:
            return Line(str(event), level, _text(message), (*_INSTANCE, *_names(given)))
    raise ValueError(f"{place}: this line of the log names no event; give it `extra=fact(...)`")


def _text(message: ast.expr) -> str:
    text = str(message.value) if isinstance(message, ast.Constant) else ast.unparse(message)
    return text.replace("\n", " ").replace("|", "\\|")


def _names(given: list[ast.keyword]) -> tuple[str, ...]:
    return tuple(name for keyword in given for name in ([keyword.arg] if keyword.arg is not None else _SPEAKER))


if __name__ == "__main__":
    write()
