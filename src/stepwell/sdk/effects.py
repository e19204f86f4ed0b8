"""What the client's programs ask of the world: to send, to read, to pause.

A program is a generator. It yields one effect after another, is sent what came of each, or has its ApiError thrown in,
and returns its result. So paging, retries and waiting are written once, and without IO: `client.py` does what they ask
for and blocks, `aclient.py` does the same and awaits. A flow is a program that gives many values on its way.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from stepwell.sdk.messages import Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the whole Answer comes back."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request; the head of the Answer comes back, and its body is what Read brings. One is open at a time."""

    request: Request


@dataclass(frozen=True, slots=True)
class Connect:
    """Ask for a WebSocket; the Answer comes back, 101 if it is open, and each text on it is what Read brings.

    There is nothing more to read where the server has closed it in good order.
    """

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Read on in what is open: some bytes come back, none at the end."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Look at a clock that is never set: seconds come back."""


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Give a value to whoever iterates."""

    value: T


Effect: TypeAlias = Send | Open | Connect | Read | Pause | Now
Program: TypeAlias = Generator[Effect, Any, T]
Flow: TypeAlias = Generator[Effect | Emit[T], Any, None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an effect: a value, or an error."""

    value: Any = None
    error: Exception | None = None

    def tell(self, program: Generator[Any, Any, Any]) -> Any:
        """Tell a program; return what it asks for next. Raises StopIteration with its result, or what it raises."""
        return program.send(self.value) if self.error is None else program.throw(self.error)
