"""What docs/guides/ai-agents.md shows runs as it is shown."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepwell import WorkflowEntrypoint
from stepwell.core.steplog import StepEntry
from stepwell.testing import TestEngine

PAGE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "ai-agents.md").read_text()
LOOP, APPROVAL = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


Load = Callable[[str, str], type[WorkflowEntrypoint]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return a class of a block, loaded as a module of its own."""

    def load(block: str, name: str) -> type[WorkflowEntrypoint]:
        module = ModuleType("shown_agents")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(block, "ai-agents.md", "exec"), vars(module))
        found: type[WorkflowEntrypoint] = getattr(module, name)
        return found

    return load


async def test_loop_waits_as_it_is_told_and_says_what_it_took(load: Load) -> None:
    """The busy model is asked again after its 20 seconds, and each answer is paid for once."""
    flow = load(LOOP, "Digger")

    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow, params="How deep is a well?")
        await engine.advance("19 seconds")
        assert await instance.status() == "waiting"
        await engine.advance("1 second")

        assert await instance.output() == "Wells are deep."
        thoughts = [entry for entry in (await instance.log()).entries if isinstance(entry, StepEntry)]
        assert [entry.name for entry in thoughts] == ["think-1", "measure-1", "think-2"]
        costs = [[attempt.attributes.get("cost_usd") for attempt in entry.attempts] for entry in thoughts]
        assert costs == [[None, 0.25], [None], [0.25]]


@pytest.mark.parametrize(
    ("payload", "output"),
    [
        pytest.param({"approved": True, "by": "ann"}, "paid back", id="approved"),
        pytest.param({"approved": False, "by": "ann"}, "refused by ann", id="refused"),
        pytest.param(None, "nobody has approved that", id="nobody"),
    ],
)
async def test_paying_back_waits_for_a_person(load: Load, payload: Any, output: str) -> None:
    """For a day."""
    flow = load(APPROVAL, "PayBack")

    async with TestEngine.open([flow]) as engine:
        instance = await engine.create(flow, params={"cents": 100})
        if payload is not None:
            await instance.send_event("approval", payload)
        await engine.advance("1 day")

        assert await instance.output() == output
