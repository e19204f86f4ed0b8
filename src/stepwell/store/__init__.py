"""The memory. A store keeps instances and their histories; it knows core's records and nothing above.

`Store` is the contract that SQLite, PostgreSQL and the socket to a parent process all keep; what can be asked of it,
with one promise per operation, is in `operations` and the modules that `catalogue` names.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from stepwell.store.operations import Claim, InstanceRow, Operation

__all__ = ["DueListener", "Listener", "Outgoing", "Outlet", "Reply", "ReplyingStore", "Store"]

A = TypeVar("A")


class Listener(Protocol):
    """What a worker wants to hear of. Called on the event loop that uses the store.

    A lost call costs only time; but turns that were given are held until the worker ends.
    """

    def instance_due(self, at: int) -> None:
        """Hear that something which nobody holds will be due at this moment, or is."""

    def instance_told(self, row: int) -> None:
        """Hear that an instance which this worker holds got a record from outside, or was deleted."""

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        """Hear which turns this worker has got, as it said that it is idle; None: perhaps some that nobody knows of."""


class DueListener:
    """Hears of no instance and of no turns, as it holds none and is never idle; what is due is for who inherits."""

    def instance_told(self, row: int) -> None:
        """Hear nothing."""

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        """Hear nothing."""


class Outlet(Protocol):
    """What sends all that it was given, in any thread, when it is flushed."""

    def flush(self) -> None:
        """Send what waits."""


@runtime_checkable
class Outgoing(Protocol):
    """What may be called in any thread: what it hears is sent by its outlet, once that is flushed."""

    @property
    def outlet(self) -> Outlet:
        """What sends it."""


class Reply(Outgoing, Protocol):
    """What takes the outcome of an operation, an answer or an exception."""

    def take(self, outcome: object) -> None:
        """Give the outcome to the outlet."""


@runtime_checkable
class ReplyingStore(Protocol):
    """A store that is asked by threads of its own, so that an answer need not wait for the event loop."""

    def ask(self, operation: Operation[Any], reply: Reply) -> None:
        """Do what `Store.run` does; what comes of it is for `reply`, in whichever thread it is known first."""


class Store(Protocol):
    """Keeps what it has acknowledged."""

    def run(self, operation: Operation[A]) -> asyncio.Future[A]:
        """Do an operation, whole and durably, or not at all; see `operations` for each one's contract.

        Writes of one caller are done in the order of the calls; a read sees everything that was acknowledged before
        it was asked. Cancelling the future does not undo anything. Raises StoreUnavailable if nothing was written, or
        if whether it was is not known: a commit, release or registration may then be sent again and is done once.
        """

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell a worker of instances that are due and of records from outside."""

    def ignore(self, worker: int) -> None:
        """Tell a worker nothing more."""

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Call `told`, on the running event loop, when an instance gets a record or is deleted; None: when any does.

        Not `of_turns`: what a turn of it records and goes on need not be told. Who waits for the end has no use for it.
        Return what ends that. What is written before this returns is told to nobody.
        """

    async def close(self) -> None:
        """Finish what was asked and let go of files and threads."""
