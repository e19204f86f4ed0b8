"""Who asks for what is done: known at the edge, and written down by the store with what it does.

Between the edge and the store lie dozens of calls that need not know. So whoever lets somebody in says so for the
context of that request, and a store that is wrapped in AuditedStore adds it to each operation that is to be audited.
Workers have the store without: what they ask is nobody's, though a request may have started them.
"""

import asyncio
import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from stepwell.store import Store
from stepwell.store.audit_operations import AUDITED, Asked, Audited
from stepwell.store.once import Once
from stepwell.store.operations import Operation
from stepwell.store.wrapped import WrappedStore

A = TypeVar("A")

MOST_AGENT = 200
_MOST_NAME = 100

_asking: ContextVar[Asked | None] = ContextVar("asking", default=None)


@contextmanager
def asking(asked: Asked | None) -> Iterator[None]:
    """Let what is done meanwhile, in this context, be done for somebody; None: for nobody, so nothing is audited."""
    before = _asking.set(asked)
    try:
        yield
    finally:
        _asking.reset(before)


def who_asks() -> Asked | None:
    """Return for whom this context does things; None: for nobody."""
    return _asking.get()


def by_command(now: int) -> Asked:
    """Return the user of this machine, who has given a command that opens the store itself."""
    return Asked("command", _user(), now, address=cleaned(socket.gethostname(), _MOST_NAME), agent="stepwell")


def cleaned(text: str, most: int) -> str:
    """Return up to so many characters of what somebody else says, with a mark for those that cannot be printed."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:most])


def with_asked(operation: Operation[A], asked: Asked | None) -> Operation[A]:
    """Return an operation that also leaves its entry, if somebody asks for it and it is one that is audited."""
    if asked is None:
        return operation
    done = operation.operation if isinstance(operation, Once) else operation
    return Audited(operation, asked) if type(done) in AUDITED else operation  # type: ignore[arg-type]  # it is one of AUDITED


class AuditedStore(WrappedStore[Store]):
    """A store in which what somebody asks for leaves its entry in the audit log."""

    def run(self, operation: Operation[A]) -> asyncio.Future[A]:
        """Do an operation; see `Store.run`."""
        return self.inner.run(with_asked(operation, _asking.get()))


def _user() -> str:
    try:
        return cleaned(getpass.getuser(), _MOST_NAME)
    except (KeyError, OSError):
        # A container's user may have no name.
        return "unknown"
