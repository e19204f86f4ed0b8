"""The pytest plugin: engines for tests, opened by a fixture and closed when the test is over.

    async def test_order(stepwell_engine):
        engine = await stepwell_engine(Order)
        order = await engine.create(Order, params={"item": "book"})

        assert await order.wait_for_output() == {"paid": True}

Whoever runs the test closes its engines: pytest-asyncio or AnyIO's plugin where they take it, else this plugin. It is
loaded in each run of pytest, so it imports nothing before a test asks for an engine.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stepwell.testing import TestEngine

_FIXTURE = "stepwell_engine"


class EngineFactory:
    """Opens engines for one test: `engine = await stepwell_engine(Order)`; they are closed when it is over."""

    def __init__(self, folder: Path, *, is_async: bool) -> None:
        self._folder = folder
        self._is_async = is_async
        self._opened = AsyncExitStack()

    def __call__(self, code: Any, **options: Any) -> "Awaitable[TestEngine]":
        """Open an engine; `code` and `options` are those of `TestEngine.open`. A path is relative to the test's folder.

        Raises TypeError in a test that is not async, and RuntimeError where it does not run on asyncio.
        """
        if not self._is_async:
            raise TypeError(
                f"`{_FIXTURE}` opens engines in tests that are `async def`; in others run a coroutine that has "
                "`async with TestEngine.open(...)` by `asyncio.run`"
            )
        return self._open(self._folder / code if isinstance(code, str | Path) else code, options)

    async def _open(self, code: Any, options: dict[str, Any]) -> "TestEngine":
        from stepwell.testing import TestEngine  # noqa: PLC0415 - see the module's docstring

        return await self._opened.enter_async_context(TestEngine.open(code, **options))

    async def close(self) -> None:
        """Close all engines, the last that was opened first."""
        await self._opened.aclose()


@pytest.fixture
def stepwell_engine(request: pytest.FixtureRequest) -> EngineFactory:
    """Open engines that close with the test: of a workflow, of several, or of a project by its path."""
    is_async = inspect.iscoroutinefunction(getattr(request.node, "obj", None))
    return EngineFactory(request.path.parent, is_async=is_async)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Let an async test close its engines itself, on its own loop, before whoever runs it takes that away."""
    factory = getattr(item, "funcargs", {}).get(_FIXTURE)
    if isinstance(item, pytest.Function) and isinstance(factory, EngineFactory):
        item.obj = _closing(item.obj, factory)
    return (yield)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run an async test that wants engines, where no other plugin does."""
    if _FIXTURE not in pyfuncitem.funcargs or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted if name in pyfuncitem.funcargs}))
    return True


def _closing(test: Callable[..., Any], factory: EngineFactory) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(test):
        return test

    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> Any:
        try:
            return await test(*args, **kwargs)
        finally:
            await factory.close()

    return closing
