"""Workflows that tests of the kit run."""

from typing import Any

from stepwell import WorkflowEntrypoint

STARTS: list[str] = []
BODIES: list[str] = []


class Three(WorkflowEntrypoint[Any]):
    """Three steps and a sleep."""

    async def run(self, event: Any, step: Any) -> str:
        """Note each start, and each body."""
        STARTS.append(event.instance_id)
        for name in ("a", "b"):
            await step.do(name, BODIES.append, name)
        await step.sleep("rest", "1 minute")
        await step.do("c", BODIES.append, "c")
        return "done"
