"""Workflows with a mistake planted in them, and some that only look like it.

In the planted ones the line of the cause ends with `# here`.
"""

from dataclasses import dataclass

from stepwell.checks.unstable import Kind

HEAD = """
import asyncio
import glob
import os
import random
import secrets
import time
import uuid
from datetime import datetime
from pathlib import Path

from stepwell import WorkflowEntrypoint
"""


@dataclass(frozen=True)
class Planted:
    """A source, what is the matter with it, and how its text has that."""

    title: str
    kind: Kind
    text: str
    source: str


PLANTED = [
    Planted(
        "time in a name",
        Kind.CLOCK,
        "time.time_ns()",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do(f"pay at {time.time_ns()}", lambda: 1)  # here
        await step.sleep("rest", "1 hour")
""",
    ),
    Planted(
        "now in a variable",
        Kind.CLOCK,
        "datetime.now()",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        moment = datetime.now()  # here
        label = f"report of {moment.isoformat()}"
        await step.do(label, lambda: 1)
        await step.do("send", lambda: 2)
""",
    ),
    Planted(
        "random branch",
        Kind.RANDOM,
        "random.random()",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        for n in range(40):
            if random.random() < 0.5:  # here
                await step.do(f"left {n}", lambda: 1)
            else:
                await step.do(f"right {n}", lambda: 1)
""",
    ),
    Planted(
        "uuid from a helper",
        Kind.RANDOM,
        "uuid.uuid4()",
        """
def new_name():
    return str(uuid.uuid4())  # here


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do(new_name(), lambda: 1)
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "token in another function that calls steps",
        Kind.RANDOM,
        "secrets.token_hex(4)",
        """
async def pay(step, name):
    await step.do(name, lambda: 1)


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        name = "pay " + secrets.token_hex(4)  # here
        await pay(step, name)
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "order of a set",
        Kind.SET,
        "set(made)",
        """
class Item:
    def __init__(self, n):
        self.n = n


_alive = []


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        made = [Item(n) for n in range(50)]
        _alive.extend(made)
        for item in set(made):  # here
            await step.do(f"item {item.n}", lambda: 1)
""",
    ),
    Planted(
        "files of a folder",
        Kind.FILES,
        "os.listdir(folder)",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        folder = event.payload["folder"]
        for name in os.listdir(folder):  # here
            await step.do(f"read {name}", lambda: os.remove(os.path.join(folder, name)))
""",
    ),
    Planted(
        "files of a glob",
        Kind.FILES,
        "Path(event.payload['folder']).glob('*')",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        paths = Path(event.payload["folder"]).glob("*")  # here
        for path in sorted(paths):
            await step.do(f"read {path.name}", path.unlink)
""",
    ),
    Planted(
        "environment",
        Kind.ENVIRONMENT,
        "os.environ",
        """
def set_mode():
    os.environ["PLANTED"] = "second"


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        if os.environ.get("PLANTED", "first") == "first":  # here
            await step.do("first", set_mode)
        else:
            await step.do("second", set_mode)
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "state of the module",
        Kind.STATE,
        "_seen",
        """
_seen = []


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        _seen.append(event.instance_id)
        await step.do(f"visit {len(_seen)}", lambda: 1)  # here
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "state of the class",
        Kind.STATE,
        "Flow.runs",
        """
class Flow(WorkflowEntrypoint):
    runs = 0

    async def run(self, event, step):
        Flow.runs += 1
        while Flow.runs < 2:  # here
            await step.do("only once", lambda: 1)
            break
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "order in which tasks end",
        Kind.COMPLETION,
        "asyncio.wait(tasks)",
        """
_alive = []


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        tasks = [asyncio.create_task(step.do(f"part {n}", lambda n=n: n)) for n in range(40)]
        _alive.extend(tasks)
        done, _ = await asyncio.wait(tasks)  # here
        for task in done:
            await step.do(f"after {task.result()}", lambda: 1)
""",
    ),
    Planted(
        "what a thread returns",
        Kind.THREAD,
        "asyncio.to_thread(time.monotonic_ns)",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        number = await asyncio.to_thread(time.monotonic_ns)  # here
        await step.do(f"thread {number}", lambda: 1)
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "in a group of tasks",
        Kind.RANDOM,
        "random.randrange(10 ** 9)",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        await asyncio.gather(
            step.do("steady", lambda: 1),
            step.do(f"changing {random.randrange(10 ** 9)}", lambda: 1),  # here
        )
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "beside a branch that goes on",
        Kind.RANDOM,
        "random.randrange(10 ** 9)",
        """
class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        async def left():
            await step.do("left 1", lambda: 1)
            await step.do("left 2", lambda: 1)

        async def right():
            await step.do(f"right {random.randrange(10 ** 9)}", asyncio.sleep, 0.02)  # here

        await asyncio.gather(left(), right())
        await step.do("then", lambda: 1)
""",
    ),
    Planted(
        "ends early",
        Kind.STATE,
        "_calls",
        """
_calls = {}


class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        _calls[event.instance_id] = _calls.get(event.instance_id, 0) + 1
        if _calls[event.instance_id] > 1:  # here
            return "enough"
        await step.do("work", lambda: 1)
""",
    ),
]

# The body of `run`, which looks as if a replay might go another way, and does not.
HARMLESS = {
    "a set in order": """
for name in sorted({"b", "a", "c"}):
    await step.do(name, lambda: 1)
""",
    "a set that is only asked": """
for name in ["a", "b"]:
    if name in {"a", "c"}:
        await step.do(name, lambda: 1)
""",
    "steps side by side, in any order": """
await asyncio.gather(*[step.do(name, lambda: 1) for name in {"a", "b", "c"}])
await step.do("then", lambda: 1)
""",
    "the time of day in a step": """
moment = await step.do("ask", lambda: time.time())
await step.do(f"pay at {moment}", lambda: 1)
await step.do("then", lambda: 1)
""",
    "a random value that decides nothing": """
await step.do("a", lambda: 1)
print(random.random())
await step.do("b", lambda: 1)
return random.random()
""",
    "a seed": """
dice = random.Random(event.instance_id)
for _ in range(3):
    await step.do(f"throw {dice.randrange(1000)}", lambda: 1)
""",
    "a sleep of random length": """
await step.sleep("rest", random.randrange(1000, 5000))
await step.do("then", lambda: 1)
""",
    "retries": """
async def fails_twice(ctx):
    if ctx.attempt < 3:
        raise ValueError("not yet")

await step.do("a", fails_twice, config={"retries": {"limit": 5, "delay": "1 second"}})
await step.do("b", lambda: 1)
""",
    "a race that a timer loses": """
async with asyncio.timeout(10):
    await step.do("a", lambda: 1)
await step.do("b", lambda: 1)
""",
    "a race that a timer wins": """
try:
    async with asyncio.timeout(0.01):
        await step.sleep("long", "1 day")
except TimeoutError:
    await step.do("late", lambda: 1)
await step.do("then", lambda: 1)
""",
    "the first that ends": """
tasks = [asyncio.create_task(step.sleep(f"nap {n}", f"{n} minutes")) for n in (3, 1, 2)]
done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
for task in rest:
    task.cancel()
await step.do(f"after {len(done)}", lambda: 1)
await step.do("then", lambda: 1)
""",
    "one after the other as they end": """
async def part(n):
    await step.sleep(f"nap {n}", f"{n} minutes")
    return n

for ended in asyncio.as_completed([part(2), part(1), part(3)]):
    await step.do(f"after {await ended}", lambda: 1)
""",
    "an event that does not come": """
try:
    await step.wait_for_event("approval", "approved", timeout="1 minute")
except Exception:  # how the time-out is called is no matter here
    await step.do("refuse", lambda: 1)
await step.do("then", lambda: 1)
""",
    "a step in a step": """
async def outer():
    return [await step.do("inner", lambda: n) for n in range(3)]

await step.do("outer", outer)
await step.do("then", lambda: 1)
""",
    "a timer of its own between steps": """
await step.do("a", lambda: 1)
await asyncio.sleep(0.01)
await step.do("b", lambda: 1)
await step.do("c", lambda: 1)
""",
    "a task that is left alone": """
task = asyncio.create_task(step.do("beside", lambda: 1))
await step.do("a", lambda: 1)
await step.do("b", lambda: 1)
await task
""",
}
