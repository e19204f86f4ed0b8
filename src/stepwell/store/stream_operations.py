"""What can be asked of a store about streams: bytes that a step returns piece by piece, too many to lie in memory."""

from stepwell.store.operations import Operation


class BeginStream(Operation[int], frozen=True):
    """Begin the stream of an attempt, and answer its number. One of an earlier attempt of the step is dropped.

    Where a later attempt of the turn has one, nothing is done, and the answer is 0: this one comes too late. `step` is
    text that names the step within its instance. Raises TurnLost.
    """

    row: int
    turn: int
    step: str
    attempt: int


class WritePiece(Operation[None], frozen=True):
    """Keep a piece of a stream; they are numbered from 1. Sent twice it is kept once.

    A piece of a stream that has been dropped is dropped too. Raises TurnLost.
    """

    row: int
    turn: int
    stream: int
    n: int
    body: bytes


class ReadPiece(Operation[bytes], frozen=True):
    """Return a piece of a stream.

    `row` and `turn` say for which turn: TurnLost is raised if the turn has been lost. Raises StreamDropped.
    """

    stream: int
    n: int
    row: int | None = None
    turn: int | None = None
