"""What the soak's clients write down: each call with what became of it, and how long each request took."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Line = TypeVar("Line")


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A call of a client; `outcome` is what became of it, `told` is what it said beside the instance.

    `began` and `ended` are seconds of the clock that no one sets.
    """

    act: str
    workflow: str
    id: str
    outcome: str
    began: float
    ended: float
    told: Any = None


# It was done, and the server has said so.
ACKNOWLEDGED = "acknowledged"
# It was not done: the server has said so, or has never got it.
REFUSED = "refused"
# Nobody has said what became of it.
UNKNOWN = "unknown"


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One request of a client: to which host, when, and with which status; 0: no answer came."""

    host: int
    began: float
    ended: float
    status: int


class Began(msgspec.Struct, frozen=True, array_like=True):
    """A line of the workflows' ledger: a body began, in this process, to give this value."""

    instance: str
    step: str
    key: str
    attempt: int
    value: str
    pid: int
    at: float


class Ledger:
    """A file to which lines are added, each of them out of this process before the next thing is done."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, line: msgspec.Struct) -> None:
        """Add a line."""
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def read(path: Path, kind: type[Line]) -> Iterator[Line]:
    """Yield the lines of a ledger. One that a process was killed in is cut off, and another may follow it."""
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as file:
        for line in file:
            with suppress(msgspec.DecodeError):
                yield decoder.decode(line)
