"""What an instance says beside its history: log lines and notes, as operations."""

import msgspec

from stepwell.limits import LOG_LINES
from stepwell.store.operations import Operation

# The note that says how far the instance is.
PROGRESS = "progress"


class LogLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of an instance's log. `step` is a name with its count, such as `charge-1`; None: said by `run` itself.

    `n` is given by the store.
    """

    at: int
    step: str | None
    attempt: int | None
    level: str
    text: str
    n: int = 0


class Note(msgspec.Struct, frozen=True, array_like=True):
    """The latest value under a name, as stored text."""

    name: str
    at: int
    value: str


class WriteNotes(Operation[int], frozen=True):
    """Add log lines and replace notes of a turn's instance; answer the number of the last line.

    `log_n` is the number of the last line that the turn knows of: sent twice it is done once. `logged` is how much of
    what `run` says is stored then. The oldest lines beyond `keeps` are dropped. May wait for company.
    Raises TurnLost.
    """

    row: int
    turn: int
    log_n: int
    lines: list[LogLine]
    notes: list[Note]
    logged: int
    keeps: int = LOG_LINES


class ReadNote(Operation[str | None], frozen=True):
    """Return the value of an instance's note, or None."""

    row: int
    name: str


class LogPage(msgspec.Struct, frozen=True, array_like=True):
    """Lines of an instance's log, its progress, and its status, all of the same moment."""

    lines: list[LogLine]
    progress: Note | None
    status: str
    ended_at: int | None


class ReadLog(Operation[LogPage], frozen=True):
    """Return up to `limit` lines of an instance's log after the line `after`, and its progress.

    `step`: only lines of the step of this name. Raises WorkflowNotFound or InstanceNotFound.
    """

    account: str
    workflow: str
    id: str
    after: int
    limit: int
    step: str | None = None
