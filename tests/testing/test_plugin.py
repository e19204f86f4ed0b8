"""The pytest plugin, and the kit under the frameworks that people have: no engine leaves anything behind."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import xml.etree.ElementTree as ET
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import uvloop

from stepwell.testing import TestEngine
from stepwell.testing.plugin import EngineFactory
from tests.testing.flows import Patient, Shop

FLOWS = """
from stepwell import WorkflowEntrypoint

class Nap(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("greet")
        def greet():
            return f"Hello, {event['payload']}!"

        await step.sleep("nap", "30 days")
        return await greet()
"""

BODY = """
    nap = await engine.create("nap", params="Ann")
    assert await nap.wait_for_output() == "Hello, Ann!"
"""

FILES = {
    "flows.py": FLOWS,
    # No plugin for async tests takes it, so ours does.
    "test_plain.py": f"""
from flows import Nap

async def test_alone(stepwell_engine, tmp_path):
    engine = await stepwell_engine(Nap)
{BODY}
    assert tmp_path.is_dir()

class TestGroup:
    async def test_method(self, stepwell_engine):
        engine = await stepwell_engine("flows.py")
    {BODY.replace("    nap", "        nap").replace("    assert", "        assert")}

def test_sync(stepwell_engine):
    stepwell_engine(Nap)

async def test_failing(stepwell_engine):
    engine = await stepwell_engine(Nap)
    assert await (await engine.create(Nap)).status() == "complete"
""",
    "test_asyncio.py": f"""
import pytest
import pytest_asyncio
from flows import Nap

@pytest_asyncio.fixture
async def engine(stepwell_engine):
    return await stepwell_engine(Nap)

@pytest.mark.asyncio
async def test_marked(engine):
{BODY}

opened = []

@pytest.mark.asyncio(loop_scope="module")
async def test_opens(stepwell_engine):
    opened.append(await stepwell_engine(Nap))

@pytest.mark.asyncio(loop_scope="module")
async def test_closed():
    assert opened[0]._worker is None
""",
    "test_anyio.py": f"""
import anyio
import pytest
from flows import Nap

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def engine(stepwell_engine):
    return await stepwell_engine(Nap)

@pytest.mark.anyio
async def test_marked(engine):
    await anyio.sleep(0)
{BODY}
""",
    "test_unittest.py": f"""
import asyncio
import unittest
from flows import Nap
from stepwell.testing import TestEngine

async def play(engine):
{BODY}

class Naps(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.engine = await self.enterAsyncContext(TestEngine.open(Nap))

    async def test_isolated(self):
        await play(self.engine)

class Runs(unittest.TestCase):
    def test_run(self):
        async def scenario():
            async with TestEngine.open(Nap) as engine:
                await play(engine)

        asyncio.run(scenario())
""",
}


@pytest.mark.parametrize(
    "processes", [pytest.param(0, id="one-process"), pytest.param(2, id="xdist", marks=pytest.mark.long)]
)
def test_every_framework_runs_engines(processes: int, tmp_path: Path) -> None:
    """With pytest alone, pytest-asyncio, AnyIO's plugin and unittest, side by side; a warning would be an error."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    plugins = ["stepwell.testing.plugin", "pytest_asyncio.plugin", "anyio.pytest_plugin", "xdist.plugin"]
    options = [f"-n{processes}", "--junitxml=report.xml", "-Werror", "-oasyncio_default_fixture_loop_scope=function"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(f"-p{plugin}" for plugin in plugins)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        # Loading those of our own tests would take longer than all of this.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )

    cases = list(ET.parse(tmp_path / "report.xml").iter("testcase"))
    failed = {case.get("name"): case.find("failure") for case in cases if len(case)}
    assert sorted(str(case.get("name")) for case in cases if not len(case)) == [
        "test_alone",
        "test_closed",
        "test_isolated",
        "test_marked",
        "test_marked",
        "test_method",
        "test_opens",
        "test_run",
    ], done.stdout
    assert set(failed) == {"test_sync", "test_failing"}
    refused, wrong = failed["test_sync"], failed["test_failing"]
    assert refused is not None
    assert refused.get("message") == (
        "TypeError: `stepwell_engine` opens engines in tests that are `async def`; in others run a coroutine that has "
        "`async with TestEngine.open(...)` by `asyncio.run`"
    )
    assert wrong is not None
    assert "'queued' == 'complete'" in str(wrong.text) or "'running' == 'complete'" in str(wrong.text)


def test_plugin_is_found_by_pytest() -> None:
    """Whoever installs the package has the fixture."""
    (plugin,) = entry_points(group="pytest11", name="stepwell")

    assert plugin.value == "stepwell.testing.plugin"


def test_plugin_loads_no_engine() -> None:
    """It costs nothing where no test asks for one: of ours there are the package, the kit's names and the plugin."""
    program = "import stepwell.testing.plugin, sys; print(*sorted(m for m in sys.modules if m.startswith('stepwell')))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["stepwell", "stepwell.testing", "stepwell.testing.plugin"]


def test_other_loops_than_asyncio_are_refused() -> None:
    """Under trio there is none of asyncio's, and the error says what to choose."""
    opening = EngineFactory(Path(), is_async=True)(Patient)

    with pytest.raises(RuntimeError) as raised:
        opening.__await__().send(None)

    assert str(raised.value) == (
        "a test engine runs on asyncio, and no asyncio loop runs here: under AnyIO's pytest plugin choose asyncio for "
        'the test, by a fixture `anyio_backend` that returns "asyncio"'
    )


def test_uvloop_is_refused() -> None:
    """Nothing is counted there, so nobody would know when nothing is left to do."""

    async def play() -> None:
        async with TestEngine.open(Patient):
            pass

    with pytest.raises(TypeError, match="author code needs asyncio's own event loop, not uvloop"):
        uvloop.run(play())


@pytest.mark.sqlite  # a database has connections
async def test_engine_leaves_nothing_behind() -> None:
    """No task, no thread, no process and no file, though instances run, wait and sleep."""
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    children, files = _children(), _open_files()
    async with TestEngine.open([Shop, Patient]) as engine:
        await (await engine.create(Patient)).wait_for_output()
        shop = await engine.create(Shop)
        await shop.wait_for_step_result("charge")
        await engine.advance("30 days")
        await shop.send_event("approved")
        await shop.wait_for_output()
        await engine.create(Shop)
        await engine.create(Patient)

    for thread in set(threading.enumerate()) - threads:
        thread.join(1)
    assert (asyncio.all_tasks(), set(threading.enumerate())) == (tasks, threads)
    assert (_children(), _open_files()) == (children, files)


def _children() -> list[str]:
    """Return the processes that this one has begun, where the system tells."""
    return sorted(path.read_text() for path in Path("/proc/self/task").glob("*/children"))


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_project_is_loaded_as_dev_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, bindings and variables come from the wrangler file; what the test imports, or patches, is what runs."""
    (tmp_path / "wrangler.toml").write_text(
        textwrap.dedent("""
        name = "shop"
        main = "project_of_the_kit.py"
        [vars]
        TONE = "warm"
        [[workflows]]
        name = "greeter"
        class_name = "Greet"
        binding = "GREETER"
        """)
    )
    (tmp_path / "project_of_the_kit.py").write_text(
        textwrap.dedent("""
        from stepwell import WorkflowEntrypoint

        GREETING = "Hello"

        class Greet(WorkflowEntrypoint):
            async def run(self, event, step):
                return f"{GREETING} ({self.env.TONE})"
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    import project_of_the_kit as project  # type: ignore[import-not-found]  # the test has just written it

    async with TestEngine.open(tmp_path, env={"TONE": "cold"}) as engine:
        monkeypatch.setattr(project, "GREETING", "Patched")
        outputs = [
            await (await engine.create(project.Greet)).wait_for_output(),
            await (await engine.create("greeter")).wait_for_output(),
        ]
        await engine.env.GREETER.create(id="by-binding")
        outputs.append(await engine.instance("greeter", "by-binding").wait_for_output())

    assert outputs == ["Patched (cold)"] * 3
