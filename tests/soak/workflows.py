"""The workflows that the soak runs. Each body writes a line into the ledger, which is on disk before it does anything.

They are served from a copy of this file, as an author's are.
"""

import asyncio
import json
import os
import random
import time
import uuid

from stepwell import Flow, NonRetryableError, SharedLimit, WorkflowEntrypoint

# How long bodies take, in seconds: some long enough that each fault meets them.
TAKES_S = (0.01, 0.01, 0.01, 0.05, 0.6)
# With it a result is too large to lie in its record.
PADDING = "." * 6_000
CONFIG = {"retries": {"limit": 10_000, "delay": 50, "backoff": "constant"}}


def note(instance, step, ctx):
    """Write that a body begins, and return the value that it is to give."""
    value = uuid.uuid4().hex
    line = [instance, step, ctx["idempotency_key"], ctx["attempt"], value, os.getpid(), time.monotonic()]
    ledger = os.open(os.environ["SOAK_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, json.dumps(line).encode() + b"\n")
        os.fsync(ledger)
    finally:
        os.close(ledger)
    return value


async def work(step, instance, name, *, fails=0, limit=None, padding=""):
    """Run a step that fails so many times, or until it is lost as often."""

    @step.do(name, limit=limit, config=CONFIG)
    async def body(ctx):
        value = note(instance, name, ctx)
        await asyncio.sleep(random.choice(TAKES_S))
        if ctx["attempt"] <= fails:
            raise ValueError("not yet")
        return value + padding

    return await body()


async def work_in_a_thread(step, instance, name):
    """Run a step whose body blocks."""

    @step.do(name, config=CONFIG)
    def body(ctx):
        value = note(instance, name, ctx)
        time.sleep(random.choice(TAKES_S))
        return value

    return await body()


class Sequence(WorkflowEntrypoint):
    """Three steps, the first of which may fail, and a sleep between them; at the end an error, if that is asked for."""

    async def run(self, event, step):
        """Return what the steps returned."""
        me, told = event["instanceId"], event["payload"]
        done = [await work(step, me, "one", fails=told["fails"]), await work_in_a_thread(step, me, "two")]
        await step.sleep("nap", told["nap_ms"])
        done.append(await work(step, me, "three"))
        if told["breaks"]:
            raise NonRetryableError("as it was asked to")
        return done


class Parallel(WorkflowEntrypoint):
    """Four steps side by side, which share a limit, and one behind them."""

    flow = Flow(shared={"desk": SharedLimit(3)})

    async def run(self, event, step):
        """Return what the steps returned."""
        me = event["instanceId"]
        names = (("a", 0), ("b", 1), ("c", 0), ("d", 2))
        done = await asyncio.gather(*(work(step, me, name, fails=fails, limit="desk") for name, fails in names))
        return [*done, await work(step, me, "last")]


class Waiting(WorkflowEntrypoint):
    """A step on either side of an event."""

    async def run(self, event, step):
        """Return what the steps returned, and the event's payload."""
        me = event["instanceId"]
        first = await work(step, me, "one")
        went = await step.wait_for_event("go", "go", timeout="300 days")
        return [first, await work(step, me, "two", padding=PADDING), went["payload"]]


class Family(WorkflowEntrypoint):
    """Two children, and a step behind them."""

    async def run(self, event, step):
        """Return what the children and the step returned."""
        told = {"fails": 0, "nap_ms": 100, "breaks": False}
        children = (step.child(name, self.env.SEQUENCE, told) for name in ("elder", "younger"))
        done = await asyncio.gather(*children)
        return [*done, await work(step, event["instanceId"], "last")]
