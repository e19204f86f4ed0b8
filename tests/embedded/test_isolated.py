"""Steps in processes of their own: real workers, real processes, real limits."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell import InstanceFailed, Stepwell
from stepwell.core.steplog import StepEntry
from stepwell.errors import InvalidStepConfig
from stepwell.isolation import Isolation, isolation_of
from stepwell.store.note_operations import PROGRESS, ReadLog, ReadNote
from tests import postgres

SOURCE = """
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from stepwell import RetryAfter, WorkflowEntrypoint, step

HERE = Path.cwd()
ONCE = {"retries": {"limit": 0, "delay": 1}}


@step(isolated=True)
def marked(place):
    return os.getpid()


class Broken(Exception):
    pass


class Apart(WorkflowEntrypoint):
    async def run(self, event, step):
        print("run")
        n = await step.do("first", lambda: 20)

        @step.do(isolated={"memory": "512 MiB"}, config={"retries": {"limit": 3, "delay": 1}})
        async def work(ctx):
            print("attempt", ctx.attempt)
            step.log("always")
            if ctx.attempt == 1:
                ctx.heartbeat({"at": n + 1})
                ctx.set_attributes({"tokens": 1})
                raise RetryAfter(1)
            ctx.set_attributes({"tokens": 2})
            await step.set_progress({"of": n})
            child = await self.env.SMALL.create(id="made-by-a-step")
            return {"pid": os.getpid(), "last": ctx.heartbeat_details, "child": child.id}

        async def give():
            for piece in (b"one ", b"two"):
                yield piece

        done = await work()
        stream = await step.do("give", give, isolated=True)
        text = (await stream.read()).decode()
        return {"me": os.getpid(), "work": done, "text": text, "marked": await marked(0)}


class Small(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("small", lambda: "small")


class Limits(WorkflowEntrypoint):
    async def run(self, event, step):
        def burn():
            while True:
                pass

        def late():
            # It belongs to the step, and ends with it.
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (HERE / "late").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)

        async def nested():
            return await step.do("inner", lambda: 1)

        async def apart_in_a_step():
            return await step.do("inner", lambda: 1, isolated=True)

        def fail():
            raise Broken("out of it")

        limits = {"memory": "256 MiB"}
        steps = {
            "eat": step.do("eat", lambda: len(bytearray(2**30)), isolated=limits, config=ONCE),
            "burn": step.do("burn", burn, isolated={"cpu": 500}, config=ONCE),
            "late": step.do("late", late, isolated=True, config={**ONCE, "timeout": "4 seconds"}),
            "exit": step.do("exit", lambda: os._exit(7), isolated=True, config=ONCE),
            "nested": step.do("nested", nested, isolated=True, config=ONCE),
            "in a step": step.do("in a step", apart_in_a_step, config=ONCE),
            "fail": step.do("fail", fail, isolated=True, config={**ONCE, "dont_retry_on": [Broken]}),
            "good": step.do("good", lambda: os.getpid(), isolated=True),
        }
        found = await asyncio.gather(*steps.values(), return_exceptions=True)
        return {name: f"{type(one).__name__}: {one}" for name, one in zip(steps, found)}


class Unfit(WorkflowEntrypoint):
    async def run(self, event, step):
        try:
            await step.do("unfit", lambda: object(), isolated=True)
        except Exception:  # nothing that it could catch may come
            pass
        return "never"


class Long(WorkflowEntrypoint):
    async def run(self, event, step):
        def work():
            with open(HERE / "begun", "a") as file:
                file.write(f"{os.getpid()}\\n")
            while not (HERE / "go").exists():
                time.sleep(0.01)
            return os.getpid()

        pid = await step.do("work", work, isolated=True, config=ONCE)
        return await step.do("after", lambda: pid)
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workflows, in the folder that this process is in."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flows.py"
    path.write_text(SOURCE)
    return path


async def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another process brings about."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - another process says nothing
            await asyncio.sleep(0.02)


async def _ends(*pids: int) -> None:
    """Wait until no such process lives."""
    await _until(lambda: not any(map(_lives, pids)))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def _read(path: Path) -> str:
    """Return what is in a file, once it is there."""
    await _until(lambda: path.exists() and path.read_text() != "")
    return path.read_text()


# The line to the store is the same: once is enough to see that.
@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest, tmp_path: Path, require: Callable[..., None]) -> str:
    """The URL of a store in which nothing is yet."""
    if request.param == "file":
        return f"sqlite:///{tmp_path / 'flows.db'}"
    require(postgres.REASON, "a store in it", postgres.is_there())
    return postgres.databases.make()


async def test_isolated_step_is_a_step_like_any_other(source: Path, store: str) -> None:
    """It has a process of its own, and what it returns, streams, prints, logs and says of itself comes as of others."""
    async with Stepwell(source, store=store, workers=1) as stepwell:
        instance = await stepwell.workflow("apart").create(id="a")
        found: dict[str, Any] = await instance.result()
        log = await stepwell.engine.store.run(ReadLog("local", "apart", "a", 0, 100))
        whole = await stepwell.engine.get("local", "apart", "a")
        progress = await stepwell.engine.store.run(ReadNote(whole.row.row, PROGRESS))
        child = await (await stepwell.workflow("small").get("made-by-a-step")).result()

    assert len({found["me"], found["work"]["pid"], found["marked"], os.getpid()}) == 4
    assert (found["work"]["last"], found["work"]["child"], found["text"]) == ({"at": 21}, "made-by-a-step", "one two")
    said = [(line.step, line.attempt, line.level, line.text.splitlines()[-1]) for line in log.lines]
    assert said[:3] == [
        (None, None, "stdout", "run"),
        ("work-1", 1, "stdout", "attempt 1"),
        ("work-1", 1, "INFO", "always"),
    ]
    assert [line for line in said[3:] if line[2] != "ERROR"] == [
        ("work-1", 2, "stdout", "attempt 2"),
        ("work-1", 2, "INFO", "always"),
    ]
    assert (json.loads(progress or ""), child) == ({"of": 20}, "small")
    (work,) = [entry for entry in whole.log.called if entry.name == "work-1" and isinstance(entry, StepEntry)]
    assert [attempt.attributes for attempt in work.attempts] == [{"tokens": 1}, {"tokens": 2}]
    await _ends(found["work"]["pid"], found["marked"])


async def test_step_that_wants_more_than_it_may_have_fails_alone(source: Path) -> None:
    """Memory, CPU time, time, an exit: each is an error of that step, says what it wanted, and leaves no process."""
    async with Stepwell(source, store="sqlite:///flows.db", workers=1) as stepwell:
        found = await (await stepwell.workflow("limits").create(id="a")).result()

        assert found.pop("good").startswith("int: ")
        assert found == {
            "eat": "MemoryError: the step wanted more than the 256 MiB of memory that its process may have",
            "burn": "StepProcessDied: The process of step burn-1 died of SIGXCPU: it wanted more than the "
            "0.5 seconds of CPU time that the step may have",
            "late": "WorkflowTimeoutError: Execution timed out after 4000ms",
            "exit": "StepProcessDied: The process of step exit-1 ended with exit code 7",
            "nested": "WorkflowFatalError: 'inner' is called in the body of an isolated step, which runs in a process "
            "of its own, and that has no steps: call it in `run`, behind the isolated step.",
            "in a step": 'WorkflowFatalError: Step "inner": isolated must be left out in the body of a step, got True.',
            "fail": "Broken: out of it",
        }
        await _ends(*map(int, (await _read(source.with_name("late"))).split()))
        with pytest.raises(InstanceFailed, match="result is not serialisable"):
            await (await stepwell.workflow("unfit").create(id="a")).result()


async def test_process_of_a_step_ends_with_its_worker_and_its_instance(source: Path) -> None:
    """A worker that is killed takes it along, and the step runs once more; so does whoever terminates the instance."""
    async with Stepwell(source, store="sqlite:///flows.db", workers=1) as stepwell:
        instance = await stepwell.workflow("long").create(id="a")
        first = int(await _read(source.with_name("begun")))
        worker = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(worker, signal.SIGKILL)
        await _ends(first)
        (source.with_name("begun")).unlink()
        second = int(await _read(source.with_name("begun")))
        # What asks it to pause lets it end.
        await instance.pause()
        source.with_name("go").touch()
        async with asyncio.timeout(20):
            while (await instance.status())["status"] != "paused":  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.02)
        await instance.resume()

        assert await instance.result() == second != first

        source.with_name("go").unlink()
        source.with_name("begun").unlink()
        other = await stepwell.workflow("long").create(id="b")
        third = int(await _read(source.with_name("begun")))
        await other.terminate()
        await _ends(third)

        # A file that was saved since is other code than the instance's.
        (laid_out,) = source.parent.glob("flows.db.snapshots/*/flows.py")
        laid_out.chmod(0o600)
        laid_out.write_text(SOURCE.replace("0.01", "0.02"))
        late = await stepwell.workflow("long").create(id="c")
        with pytest.raises(InstanceFailed, match=r"has not begun: its code is another one by now"):
            await late.result()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (False, None),
        (True, Isolation()),
        ({}, Isolation()),
        ({"memory": "1 GiB"}, Isolation(memory=2**30)),
        ({"memory": 2**27, "cpu": "1 minute"}, Isolation(2**27, 60_000)),
        ({"cpu": 1500}, Isolation(cpu_ms=1500)),
    ],
)
def test_limits_are_written_as_sizes_and_durations(given: object, expected: Isolation | None) -> None:
    """With or without limits; of either alone, too."""
    assert isolation_of("work", given) == expected


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("yes", "isolated must be True"),
        ({"disk": 1}, "limits such as"),
        ({"memory": "64 parsecs"}, "isolated.memory"),
        ({"memory": "1 MiB"}, "at least 64 MiB"),
        ({"memory": True}, "isolated.memory"),
        ({"cpu": "soon"}, "isolated.cpu"),
        ({"cpu": 0}, "above 0"),
    ],
)
def test_what_is_no_limit_is_refused(given: object, told: str) -> None:
    """The error names the step, the value and what is expected."""
    with pytest.raises(InvalidStepConfig, match=told) as caught:
        isolation_of("work", given)

    assert '"work"' in str(caught.value)
