"""Author code that does its worst: the server answers all along, and each instance ends in a way that is understood."""

import json
import threading
import time
import unicodedata
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crash.server import DevServer

SOURCE = """
import asyncio, os, sys, threading, time
from stepwell import WorkflowEntrypoint

ONCE = {"retries": {"limit": 0, "delay": 0}}


class Swallows(WorkflowEntrypoint):
    async def run(self, event, step):
        for n in range(3):
            try:
                await step.sleep(f"nap {n}", 1500)
            except BaseException:  # as an author may
                pass
        return "swallowed"


class Finally(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            await step.sleep("nap", 1500)
            raise ValueError("the last word")
        finally:
            await asyncio.sleep(0.01)
            await step.do("tidy", lambda: "tidied")


class Shields(WorkflowEntrypoint):
    async def run(self, event, step):
        inner = asyncio.ensure_future(step.do("work", lambda: 7))
        try:
            await asyncio.wait_for(asyncio.shield(inner), 0.0)
        except TimeoutError:
            pass
        return await inner


class LeavesTasks(WorkflowEntrypoint):
    async def run(self, event, step):
        for n in range(5):
            asyncio.ensure_future(asyncio.sleep(1_000_000))
        return "left"


class LeavesThreads(WorkflowEntrypoint):
    async def run(self, event, step):
        def begin():
            threading.Thread(target=time.sleep, args=(1_000_000,), daemon=False).start()
            return "begun"
        return await step.do("begin", begin)


class HangsInThread(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("hangs", lambda: time.sleep(1_000_000), config={**ONCE, "timeout": "1 second"})


class Patches(WorkflowEntrypoint):
    async def run(self, event, step):
        def patch():
            old = asyncio.sleep
            asyncio.sleep = lambda *_: (_ for _ in ()).throw(RuntimeError("patched"))
            return "patched"
        first = await step.do("patch", patch)
        await step.sleep("nap", 1500)
        try:
            await asyncio.sleep(0)
        except RuntimeError as error:
            return str(error)


class Recurses(WorkflowEntrypoint):
    async def run(self, event, step):
        def down(n):
            return down(n + 1)
        await step.do("down", lambda: down(0), config=ONCE)


class RecursesInRun(WorkflowEntrypoint):
    async def run(self, event, step):
        async def down(n):
            return await down(n + 1)
        return await down(0)


class DeepResult(WorkflowEntrypoint):
    async def run(self, event, step):
        def nest():
            value = []
            for _ in range(100_000):
                value = [value]
            return value
        return await step.do("nest", nest, config=ONCE)


class Exits(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("exits", lambda: sys.exit(3), config=ONCE)


class ExitsInRun(WorkflowEntrypoint):
    async def run(self, event, step):
        sys.exit("good bye")


class ExitsHard(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("exits", lambda: os._exit(9), config=ONCE)


class ExitsHardInRun(WorkflowEntrypoint):
    async def run(self, event, step):
        os._exit(9)


class Forks(WorkflowEntrypoint):
    async def run(self, event, step):
        def fork():
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            return os.waitpid(pid, 0)[1]
        return await step.do("fork", fork)


class ForksAndReturns(WorkflowEntrypoint):
    async def run(self, event, step):
        def fork():
            if os.fork() == 0:
                return "child"
            time.sleep(0.2)
            return "parent"
        return await step.do("fork", fork)


class ManySteps(WorkflowEntrypoint):
    async def run(self, event, step):
        async def one(n):
            return await step.do(f"step {n}", lambda: n)
        return sum(await asyncio.gather(*map(one, range(999))))


class TooManySteps(WorkflowEntrypoint):
    async def run(self, event, step):
        async def one(n):
            return n
        for n in range(1_001):
            await step.do(f"step {n}", one, n)


class Names(WorkflowEntrypoint):
    async def run(self, event, step):
        ended = []
        for name in event["payload"]:
            try:
                await step.do(name, lambda: 1)
                ended.append("done")
            except Exception as error:  # whatever it is, it is told
                ended.append(type(error).__name__)
        return ended


class LargeResult(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.do("large", lambda: "x" * 10_000_000, config=ONCE)


class LargeOutput(WorkflowEntrypoint):
    async def run(self, event, step):
        return "x" * 10_000_000


class Busy(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("busy", config={"retries": {"limit": 1, "delay": 0}, "timeout": "1 hour"})
        async def busy(ctx):
            while ctx.attempt == 1:
                pass
            return "rested"
        return await busy()


class BusyInRun(WorkflowEntrypoint):
    async def run(self, event, step):
        while True:
            pass


class Unhashable(WorkflowEntrypoint):
    async def run(self, event, step):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no text")
            def __eq__(self, other):
                raise RuntimeError("no comparison")
        def fail():
            raise Odd
        await step.do("odd", fail, config=ONCE)


class NoCoroutine(WorkflowEntrypoint):
    def run(self, event, step):
        return {1, 2}


class Prints(WorkflowEntrypoint):
    async def run(self, event, step):
        def flood():
            for n in range(2_000):
                print("\\x1b[2J" + "y" * 1_000)
            return "flooded"
        return await step.do("flood", flood)
"""


GIVEN_UP = "The worker process was lost 6 times in a row while this instance ran, so it is not tried again."
# By workflow: how it ends, and with which output, or with which error.
ENDS: dict[str, tuple[str, Any]] = {
    "swallows": ("complete", "swallowed"),
    "finally": ("errored", ("ValueError", "the last word")),
    "shields": ("complete", 7),
    "leaves-tasks": ("complete", "left"),
    "leaves-threads": ("complete", "begun"),
    "hangs-in-thread": ("errored", ("WorkflowTimeoutError", "Execution timed out after 1000ms")),
    "recurses": ("errored", ("RecursionError", "maximum recursion depth exceeded")),
    "recurses-in-run": ("errored", ("RecursionError", "maximum recursion depth exceeded")),
    "deep-result": ("errored", ("WorkflowFatalError", "is not serialisable: it is nested more than 256 deep")),
    "exits": ("errored", ("SystemExit", "3")),
    "exits-in-run": ("errored", ("SystemExit", "good bye")),
    "exits-hard": ("errored", ("WorkflowInternalError", GIVEN_UP)),
    "exits-hard-in-run": ("errored", ("WorkflowInternalError", GIVEN_UP)),
    "forks": ("complete", 0),
    "forks-and-returns": ("complete", "parent"),
    "many-steps": ("complete", sum(range(999))),
    "too-many-steps": ("errored", ("WorkflowFatalError", "The limit of 1000 steps has been reached.")),
    "large-result": ("errored", ("WorkflowInternalError", "Step large-1 output is too large: 10,000,002 bytes")),
    "large-output": ("errored", ("WorkflowInternalError", "The output is too large: 10,000,002 bytes as JSON.")),
    "busy": ("complete", "rested"),
    "unhashable": ("errored", ("Odd", "<no text: RuntimeError>")),
    "no-coroutine": ("complete", "[1,2]"),
    "prints": ("complete", "flooded"),
}
SETTINGS = (
    "stuck_after=5 seconds",
    "blocked_after=1 second",
    "lost_turns=6",
    "foreign_wait=2 seconds",
    "steps_per_instance=1000",
)


class Watcher(threading.Thread):
    """Asks a server again and again; `slowest_s` is the longest that an answer has taken."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.slowest_s = 0.0
        self.answers = 0
        self.is_over = threading.Event()
        self._url = url

    def run(self) -> None:
        """Ask ten times a second."""
        while not self.is_over.wait(0.1):
            began = time.monotonic()
            with urllib.request.urlopen(f"{self._url}/client/v4/accounts/local/workflows", timeout=30) as answer:
                answer.read()
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.answers += 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server on which all of them run side by side, in one worker."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "flows.py").write_text(SOURCE)
    settings = [option for setting in SETTINGS for option in ("--set", setting)]
    with DevServer(folder, "flows.py", *settings) as server:
        yield server


@pytest.mark.timeout(200)
def test_each_ends_as_it_should_and_the_server_answers_all_along(server: DevServer) -> None:
    """What kills its worker is given up; all that ran beside it ends as it would have ended alone."""
    watcher = Watcher(server.url)
    watcher.start()
    try:
        for name in ENDS:
            server.create(name, "a")
        ended = _ends(server)
    finally:
        watcher.is_over.set()
        watcher.join()

    assert set(ended) == set(ENDS), server.log
    for name, (status, what) in ENDS.items():
        if isinstance(what, tuple):
            error, text = what
            assert (ended[name]["status"], ended[name]["error"]["name"]) == (status, error), name
            assert text in ended[name]["error"]["message"], name
        else:
            assert (ended[name]["status"], ended[name]["output"]) == (status, what), name
    assert watcher.answers > 10
    print(f"{watcher.answers} answers, the slowest after {watcher.slowest_s:.3f} s")


def _ends(server: DevServer) -> dict[str, Any]:
    """Return how the instances have ended: those that have within the time that all of them may take."""
    ended: dict[str, Any] = {}
    end = time.monotonic() + 150
    while len(ended) < len(ENDS) and time.monotonic() < end:
        for name in ENDS.keys() - ended:
            found = server.call(f"/{name}/instances/a?simple=true")
            if found["status"] in ("complete", "errored"):
                ended[name] = found
        time.sleep(0.2)
    return ended


def test_names_of_every_kind_of_character_are_taken_or_refused(server: DevServer) -> None:
    """Control characters are refused, and everything else is a name; none breaks the log or the history."""
    by_category = {unicodedata.category(chr(code)): chr(code) for code in reversed(range(0x110000))}
    names = [f"a{character}b" for category, character in sorted(by_category.items()) if category != "Cs"]

    server.create("names", "b", names)
    found = server.wait_for_status("names", "b", "complete")

    outcomes = dict(zip(sorted(set(by_category) - {"Cs"}), json.loads(found["output"]), strict=True))
    assert {category for category, outcome in outcomes.items() if outcome != "done"} == {"Cc"}
    assert outcomes["Cc"] == "InvalidStepName"
    assert [step["name"] for step in found["steps"]] == [f"{name}-1" for name in names if "\x00" not in name]
