"""Sources of tests as modules that lie in a file, where what explains a mistake can read them."""

import importlib.util
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tests.testing.planted import HEAD


@contextmanager
def loaded(folder: Path, source: str, name: str = "flow") -> Iterator[ModuleType]:
    """Write a source into a folder, and load it."""
    path = folder / f"{name}.py"
    path.write_text(HEAD + source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]


def flow(body: str) -> str:
    """Return the source of a workflow `Flow` with this body of `run`."""
    head = "\nclass Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n"
    return head + textwrap.indent(body.strip("\n"), " " * 8) + "\n"
