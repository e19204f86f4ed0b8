"""How fast tests with the kit are: `python -m bench.kit`.

A folder of a thousand tests, each of a workflow of its own instance with two steps and a sleep, under pytest in one
process; and a workflow of 30 days with 300 timers. CPU time tells what the machine's other work does not add to.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stepwell import WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from stepwell.testing import TestEngine

TESTS = 1_000
TIMERS = 240
ROUNDS = 5
FLOWS = """
from stepwell import WorkflowEntrypoint

class Order(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("charge", config={"retries": {"limit": 2, "delay": "1 hour"}})
        async def charge():
            return {"cents": event["payload"]}

        paid = await charge()
        await step.sleep("settle", "3 days")

        @step.do("ship")
        async def ship():
            return {**paid, "shipped": True}

        return await ship()
"""
TEST = """
async def test_{n}(stepwell_engine):
    engine = await stepwell_engine(Order)
    order = await engine.create(Order, params={n})

    assert await order.wait_for_output() == {{"cents": {n}, "shipped": True}}
"""


class Month(WorkflowEntrypoint):
    """Wakes up every three hours, for 30 days."""

    async def run(self, event: WorkflowEvent[None], step: WorkflowStep) -> int:
        """Sleep, again and again."""
        for n in range(TIMERS):
            await step.sleep(f"nap {n}", 30 * 86_400_000 // TIMERS)
        return TIMERS


async def month_s() -> tuple[float, float]:
    """Return how long a month takes, and how much CPU time."""
    async with TestEngine.open(Month) as engine:
        began, cpu = time.perf_counter(), time.process_time()
        month = await engine.create(Month)
        assert await month.wait_for_output() == TIMERS
        return time.perf_counter() - began, time.process_time() - cpu


def thousand_s() -> tuple[float, float]:
    """Return how long a thousand tests take under pytest, and how much CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "flows.py").write_text(FLOWS)
        tests = "".join(TEST.format(n=n) for n in range(TESTS))
        (Path(folder) / "test_orders.py").write_text(f"from flows import Order\n{tests}")
        # What else is installed here is not measured.
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "stepwell.testing.plugin"]
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert f"{TESTS} passed" in done.stdout, done.stdout
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print."""
    took, cpu = thousand_s()
    print(f"{TESTS} tests in one process: {took:.1f} s ({cpu:.1f} s of CPU time), {60 * TESTS / took:,.0f} a minute")
    rounds = [asyncio.run(month_s()) for _ in range(ROUNDS)]
    took, cpu = (min(values) * 1000 for values in zip(*rounds, strict=True))
    print(f"30 days with {TIMERS} timers: {took:.0f} ms ({cpu:.0f} ms of CPU time), the least of {ROUNDS}")


if __name__ == "__main__":
    main()
