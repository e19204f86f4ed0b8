"""What the guides about agents of other libraries show, run where these libraries are loaded anyway."""

import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from tests.docs.snippets import snippets

Tests = dict[str, Callable[..., Coroutine[Any, Any, None]]]


@contextmanager
def guide_tests(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tests]:
    """Import all Python that a page shows; give the tests among it, by name."""
    shown = [one for one in snippets() if one.page == page and one.language == "python"]
    for snippet in shown:
        (folder / snippet.file).write_text(snippet.text)
    monkeypatch.syspath_prepend(folder)
    invalidate_caches()
    names = [snippet.file.removesuffix(".py") for snippet in shown]
    try:
        members = [member for name in names for member in inspect.getmembers(import_module(name))]
        yield {name: member for name, member in members if name.startswith("test_") and inspect.isfunction(member)}
    finally:
        for name in names:
            sys.modules.pop(name, None)


async def run_all(tests: Tests, **fixtures: object) -> list[str]:
    """Run them one after another, each with the fixtures that it asks for; return their names."""
    for test in tests.values():
        await test(**{name: fixtures[name] for name in inspect.signature(test).parameters})
    return [*tests]
