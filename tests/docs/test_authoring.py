"""What docs/authoring.md shows runs as it is shown."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint, workers_package
from stepwell.testing import TestEngine

PAGE = (Path(__file__).parent.parent.parent / "docs" / "authoring.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("number", "params", "output"),
    [
        pytest.param(0, {"item": "book", "cents": 6}, "sent 42 on A5", id="steps"),
        pytest.param(1, None, {"bytes": 588_890, "lines": 100_000}, id="streams"),
        pytest.param(2, None, 51, id="errors"),
        pytest.param(3, None, None, id="undoing steps"),
        pytest.param(4, None, "copied", id="long steps"),
        pytest.param(5, None, 3 * 2**20, id="isolated"),
        pytest.param(6, None, "done", id="attributes"),
        pytest.param(7, None, {"at": "Graz"}, id="children"),
        pytest.param(8, {"name": "Ann"}, "Welcome, Ann!", id="worker"),
    ],
)
async def test_workflow_of_the_page_runs(
    number: int, params: Any, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each workflow shown completes with what it says it returns."""
    module = ModuleType(f"shown_{number}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("workers", "workers.workflows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    workers_package.offer()
    exec(compile(BLOCKS[number], f"authoring.md, block {number}", "exec"), vars(module))
    *others, flow = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, WorkflowEntrypoint) and kind is not WorkflowEntrypoint
    ]

    async with TestEngine.open([*others, flow]) as engine:
        instance = await engine.create(flow, params=params)
        await engine.advance("1 hour")

        assert await instance.output() == output, await instance.error()
        rollback = (await instance.log()).rollback
        assert (rollback and rollback.outcome) == ("complete" if output is None else None)


def test_every_workflow_of_the_page_is_tried() -> None:
    """A block more needs a case more."""
    assert len(BLOCKS) == 9
