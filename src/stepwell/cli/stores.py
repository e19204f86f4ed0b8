"""Commands that work on a store itself, which is opened, or reached through the server that has it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stepwell.store import Store
from stepwell.store.opening import reach_store

A = TypeVar("A")


def with_store(url: str, work: Callable[[Store], Awaitable[A]]) -> A:
    """Do some work on the store that a URL names, and return what it returns."""

    async def do() -> A:
        opened = await reach_store(url)
        try:
            return await work(opened)
        finally:
            await opened.close()

    return asyncio.run(do())
