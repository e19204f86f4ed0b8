"""A store in front of another one: what is asked goes through, but for what somebody who wraps it does otherwise."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from stepwell.store import Listener, Store
from stepwell.store.operations import InstanceRow, Operation

A = TypeVar("A")
S = TypeVar("S", bound=Store)


class WrappedStore(Generic[S]):
    """Hands on whatever is asked; `inner` is the store behind it."""

    def __init__(self, inner: S) -> None:
        self.inner = inner

    def run(self, operation: Operation[A]) -> "asyncio.Future[A]":
        """Do an operation; see `Store.run`."""
        return self.inner.run(operation)

    def listen(self, worker: int, listener: Listener) -> None:
        """Tell a worker of what is due and what came from outside."""
        self.inner.listen(worker, listener)

    def ignore(self, worker: int) -> None:
        """Tell a worker nothing more."""
        self.inner.ignore(worker)

    def watch(
        self, instance: InstanceRow | None, told: Callable[[], None], *, of_turns: bool = True
    ) -> Callable[[], None]:
        """Call `told` when an instance, or any, gets a record or is deleted; return what ends that."""
        return self.inner.watch(instance, told, of_turns=of_turns)

    async def close(self) -> None:
        """Close the store."""
        await self.inner.close()
