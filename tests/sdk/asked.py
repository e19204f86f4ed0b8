"""Both clients asked in one way, so that a test is written once."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from stepwell import AsyncClient, Client

AnyClient = Client | AsyncClient


async def ask(method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a method of either client; return its result, or all values that it gives."""
    found = await asyncio.to_thread(method, *args, **options)
    if inspect.isasyncgen(found):
        return [value async for value in found]
    if inspect.isgenerator(found):
        return await asyncio.to_thread(list, found)
    return await found if inspect.isawaitable(found) else found


async def take(count: int, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return the first values that a method of either client gives, and leave it then."""
    found = method(*args, **options)
    if inspect.isasyncgen(found):
        values = [value async for value in _few(found, count)]
        await found.aclose()
        return values

    def few() -> Any:
        values = [value for _, value in zip(range(count), found, strict=False)]
        found.close()
        return values

    return await asyncio.to_thread(few)


async def close(client: AnyClient) -> None:
    """Close either client."""
    closed = client.close()
    if closed is not None:
        await closed


async def _few(values: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anext(values)
