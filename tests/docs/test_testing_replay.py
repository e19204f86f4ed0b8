"""What docs/testing-replay.md shows runs as it is shown, and its messages are those of the kit."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepwell.errors import Diverged
from stepwell.testing import ACCOUNT, REPLAYS_ALWAYS, TestEngine
from stepwell.transfers import export
from tests.docs.snippets import shown

SNAPSHOT = "test_order_does_what_it_did"
TESTS = [
    "test_order_goes_the_same_way_each_time",
    "test_order_survives_a_crash_anywhere",
    "test_instances_of_production_go_on",
    "test_order_does_this",
    SNAPSHOT,
    "test_order_holds_in_any_order",
]
TOLD = shown("docs/testing-replay.md", "text")


def _source(name: str) -> str:
    """Return what the page has of a file, in order."""
    return "\n".join(text for text in shown("docs/testing-replay.md", "python") if text.startswith(f"# {name}\n"))


def _module(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(_source(path.name))
    module = ModuleType(name)
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(path.read_text(), path, "exec"), vars(module))
    return module


@pytest.fixture
async def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tests of the page, with the histories that they want."""
    flows = _module(tmp_path, "flows", monkeypatch)
    folder = tmp_path / "histories"
    folder.mkdir()
    async with TestEngine.open([flows.Order]) as engine:
        await engine.create(flows.Order, id="42", params={"items": ["book"]})
        await engine.run_until_idle()
        lines = [line async for line in export(engine.store, ACCOUNT, "order", "42")]
    (folder / "order-42.jsonl").write_bytes(b"".join(lines))
    return _module(tmp_path, "test_flows", monkeypatch)


@pytest.mark.parametrize("name", TESTS)
async def test_test_of_the_page_passes(tests: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test that is shown passes, a snapshot once it has been written."""
    test: Any = getattr(tests, name)
    arguments: list[tuple[Any, ...]] = [
        (value,) for mark in getattr(test, "pytestmark", []) for value in mark.args[1]
    ] or [()]
    for mode in ("write", "compare") if name == SNAPSHOT else ("compare",):
        monkeypatch.setenv("STEPWELL_SNAPSHOTS", mode)
        for given in arguments:
            await test(*given)


def test_every_test_of_the_page_is_run() -> None:
    """A test more on the page needs a case more."""
    shown = re.findall(r"^async def (test_\w+)", _source("test_flows.py"), re.MULTILINE)

    assert shown == TESTS


async def test_message_of_the_page_is_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report that is shown is the one that the mistake on the page gets, but for times and the lines' numbers."""
    reports = _module(tmp_path, "reports", monkeypatch)
    async with TestEngine.open([reports.Report], settings=REPLAYS_ALWAYS) as engine:
        await engine.create(reports.Report, id="7")
        with pytest.raises(Diverged) as found:
            await engine.run_until_idle()

    shown = next(text for text in TOLD if text.startswith('report "7"'))
    said = str(found.value).replace(f"{tmp_path}/", "") + "\n"
    assert re.sub(r"at \d.*?\"", 'at TIME"', said) == re.sub(r"at \d.*?\"", 'at TIME"', shown)


def test_crash_of_the_page_is_what_is_said() -> None:
    """The difference that is shown is one that a test of the kit expects."""
    shown = next(text for text in TOLD if text.startswith("With a crash"))
    expected = (Path(__file__).parent.parent / "testing" / "test_crashes.py").read_text()

    lines = [line for line in shown.splitlines() if line.strip() and not line.startswith("With a crash")]
    assert all(line in expected for line in lines)
