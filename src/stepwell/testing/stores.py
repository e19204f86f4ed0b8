"""Stores in memory that count what workers write, and whose workers die after a write."""

import asyncio
import sys
from typing import Any, TypeVar

from stepwell.core.records import Key, Record
from stepwell.store import codec
from stepwell.store.label_operations import SetLabels
from stepwell.store.note_operations import WriteNotes
from stepwell.store.operations import ClaimDue, Claims, Commit, Operation, Release
from stepwell.store.sqlite import SqliteStore
from stepwell.store.stream_operations import BeginStream, WritePiece
from stepwell.store.wrapped import WrappedStore

A = TypeVar("A")


def is_turn_write(operation: object) -> bool:
    """Tell whether an operation is what a worker writes in its turns."""
    return isinstance(operation, ClaimDue | Commit | Release | WriteNotes | SetLabels | BeginStream | WritePiece)


def in_words(operation: Operation[Any]) -> str:
    """Say what a worker has written."""
    match operation:
        case ClaimDue():
            return "an instance claimed"
        case Commit() | Release():
            return ", ".join(_record_in_words(recorded.record) for recorded in codec.from_rows(operation.records))
        case SetLabels():
            return "labels set"
        case _:
            return "a piece of a stream"


def _record_in_words(record: Record) -> str:
    key: Key | None = getattr(record, "key", None)
    kind = codec.name_of(type(record)).replace("_", " ")
    return kind if key is None else f"{kind}: {key.label}"


class CountingStore(WrappedStore[SqliteStore]):
    """A store in memory that keeps what workers have written. Notes, which decide nothing, do not count."""

    def __init__(self) -> None:
        super().__init__(SqliteStore.in_memory())
        self.written: list[Operation[Any]] = []

    @property
    def writes(self) -> int:
        """How many writes there have been."""
        return len(self.written)

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation."""
        answer = self.inner.run(operation)
        if isinstance(operation, SetLabels | BeginStream | WritePiece):
            self.written.append(operation)
        elif isinstance(operation, ClaimDue | Commit | Release) and answer.exception() is None:
            self.wrote(operation, answer.result())
        return answer

    def wrote(self, operation: "ClaimDue | Commit | Release", answer: object) -> None:
        """Count what was done, if it has changed an instance."""
        if answer.turns if isinstance(answer, Claims) else getattr(operation, "records", None):
            self.written.append(operation)


class DyingStore(CountingStore):
    """A store whose workers all die after its n-th write: that one is done, and nothing after it.

    With `answers_last` its answer still arrives.
    """

    def __init__(self, dies_after: int, *, answers_last: bool = False) -> None:
        super().__init__()
        self._dies_after = dies_after
        self._answers_last = answers_last
        # How many writes the workers that come after have; None: as many as they like.
        self.lifetime: int | None = None
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_dead(self) -> bool:
        """Tell whether the workers have died."""
        return self.death.done()

    def revive(self) -> None:
        """Let new workers live."""
        self._dies_after = self.writes + (sys.maxsize if self.lifetime is None else self.lifetime)
        self.death = asyncio.get_running_loop().create_future()

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation, or never answer."""
        if not is_turn_write(operation):
            return super().run(operation)
        if self.is_dead:
            return never()
        answer: asyncio.Future[A] = super().run(operation)
        if self.writes < self._dies_after:
            return answer
        self.death.set_result(None)
        return answer if self._answers_last else never()


def never() -> "asyncio.Future[Any]":
    """Return an answer that never comes."""
    return asyncio.get_running_loop().create_future()
