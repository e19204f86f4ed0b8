"""Write docs/reference/errors.md from the classes themselves, and from `remedies.py`: `make reference`."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stepwell import errors
from stepwell.api import refusals
from stepwell.errors import AuthorError, KitError, KitFinding, StepwellError, StoreError, TurnClosed, TurnLost
from stepwell.sdk import ApiError
from tools.remedies import REMEDIES

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"

_HEAD = """\
# Errors

Made by `make reference` from the errors themselves. Each message names the thing, the value and the remedy; here is
what all of a kind have in common. No program need compare messages: codes and classes say what is wrong.

## Answers of the API

`errors` of an answer has a number and a sentence, which begins with a key such as
`workflows.api.error.instance.not_found`. A status of 429, 500 or 503 may be gone when the same request is sent again;
all others stay. Which route answers with which: [http.md](http.md).
"""
_INSIDE = (TurnLost, errors.RestartedMeanwhile, errors.VersionChanged, errors.UnreadableValue, errors.UnfitValue)
_SECTIONS: Sequence[tuple[str, str, Callable[[type[BaseException]], bool]]] = (
    (
        "In your workflows",
        "What step calls raise into `run`, where it can be caught, but for `InstanceTooLarge` and `TurnClosed`; what "
        "is not caught ends the instance as errored. Exceptions that your steps raise come back as they are: "
        "[authoring.md](../authoring.md).",
        lambda kind: issubclass(kind, AuthorError | TurnClosed),
    ),
    (
        "Of the client",
        "What `stepwell.Client` and `AsyncClient` raise: [client.md](../client.md).",
        lambda kind: issubclass(kind, ApiError),
    ),
    ("Of stores", "Over HTTP they are code 10001.", lambda kind: issubclass(kind, StoreError)),
    (
        "Of the test kit",
        "Findings are `AssertionError`s too, and fail the test: [testing.md](../testing.md).",
        lambda kind: issubclass(kind, KitError | KitFinding),
    ),
    (
        "Inside the engine",
        "Nobody is to catch them; they are seen in logs, and in tests of the engine.",
        lambda kind: kind in _INSIDE,
    ),
    ("Of commands and servers", "A command that ends with one says its message, and no stack trace.", lambda _: True),
)


def kinds() -> list[type[BaseException]]:
    """Return all classes of errors that are told of, each behind the one that it derives from."""
    bases = (StepwellError, refusals.Refusal)
    return [kind for kind in (*_below(StepwellError), TurnClosed) if kind not in bases]


def reference() -> str:
    """Return the page. Raises KeyError for an error without a remedy."""
    left = kinds()
    answered = [kind for kind in left if issubclass(kind, StepwellError) and _answer(kind) != _answer(StepwellError)]
    parts = [_HEAD, _table(("code", "status"), ((*_answer(kind), kind) for kind in sorted(answered, key=_answer)))]
    left = [kind for kind in left if kind not in answered]
    for title, about, has in _SECTIONS:
        parts += [f"## {title}\n", f"{about}\n", _table((), ((kind,) for kind in left if has(kind)))]
        left = [kind for kind in left if not has(kind)]
    return "\n".join(parts)


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def _below(kind: type[StepwellError]) -> Iterator[type[StepwellError]]:
    """Yield a class and those of ours that derive from it, wherever they were made, once each."""
    ours = [inner for inner in kind.__subclasses__() if inner.__module__.partition(".")[0] == "stepwell"]
    yield from dict.fromkeys([kind, *(one for inner in ours for one in _below(inner))])


def _answer(kind: type[StepwellError]) -> tuple[int, int]:
    return kind.code, kind.http_status


def _table(heads: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> str:
    names = [*heads, "error", "meaning", "what to do"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for *given, kind in rows:
        cells = [*map(str, given), f"`{kind.__name__}`", _meaning(kind), REMEDIES[kind.__name__]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _meaning(kind: type[BaseException]) -> str:
    """Return what the class says of itself, without where a rule is from."""
    told, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("Source:")
    return " ".join(told.split()).replace("|", "\\|")


if __name__ == "__main__":
    write()
