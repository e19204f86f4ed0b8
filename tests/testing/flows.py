"""Workflows that tests of the kit run."""

import asyncio
import itertools
from typing import Any

from stepwell import WorkflowEntrypoint

STARTS: list[str] = []
BODIES: list[str] = []
NUMBERS = itertools.count()


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


class Order(WorkflowEntrypoint[Any]):
    """What most tests run: steps that fail and do not, a sleep, an event, steps side by side."""

    async def run(self, event: Any, step: Any) -> dict[str, Any]:
        """Charge, wait for the approval, and send."""

        async def charge(ctx: Any) -> int:
            if ctx.attempt < 2:
                raise ConnectionError("refused")
            return 42

        receipt = await step.do("charge", charge, config={"retries": {"limit": 3, "delay": "1 second"}})
        await step.sleep("cool off", "1 hour")
        approval = await step.wait_for_event("approval", "approved", timeout="1 day")
        parts = await asyncio.gather(*[step.do(f"pack {n}", lambda n=n: {"part": n}) for n in range(3)])
        await step.do("send", lambda: "s" * event.payload.get("long", 3))
        return {"receipt": receipt, "by": approval["payload"]["by"], "parts": len(parts)}


class Telling(WorkflowEntrypoint[Any]):
    """Its step returns in which attempt it was, which is another one after a crash."""

    async def run(self, event: Any, step: Any) -> str:
        """Pay."""
        return str(await step.do("pay", lambda ctx: f"paid in attempt {ctx.attempt}"))


class Shifting(WorkflowEntrypoint[Any]):
    """Its step returns another thing each time."""

    async def run(self, event: Any, step: Any) -> int:
        """Draw."""
        return int(await step.do("draw", lambda: next(NUMBERS)))
