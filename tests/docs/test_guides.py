"""What the guides show on a command line, done by real commands on a real server of their workflows."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from tests.cli.tables.showing import run_line
from tests.crash.server import DevServer, wait_until
from tests.docs.snippets import GUIDES, Snippet, snippets

COLUMNS = 80
# What is another one each time: moments, how long something took, ids.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?")
_TOOK = re.compile(r"\+?\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b")
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
_BLANKS = re.compile(r" {2,}")


def _blocks(page: str, *languages: str) -> list[Snippet]:
    return [one for one in snippets() if one.page == page and one.language in languages]


def _lines(block: Snippet) -> Iterator[tuple[str, str | None]]:
    """Yield each command that asks a server, and what it is shown to say, if that is."""
    if block.language == "sh":
        parts: list[tuple[str, str | None]] = [(line, None) for line in block.text.splitlines()]
    else:
        parts = [(part.partition("\n")[0], part.partition("\n")[2]) for part in f"\n{block.text}".split("\n$ ")[1:]]
    yield from ((line, shown) for line, shown in parts if re.match(r"stepwell (?!dev|serve|graph|check)", line))


COMMANDED = [page for page in GUIDES if any(list(_lines(block)) for block in _blocks(page, "sh", "console"))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server of the workflows of all guides that show commands."""
    folder = tmp_path_factory.mktemp("guides")
    for page in COMMANDED:
        for block in _blocks(page, "python"):
            if "(WorkflowEntrypoint" in block.text:
                (folder / block.file).write_text(block.text)
    with DevServer(folder, ".") as server:
        yield server


@pytest.fixture(autouse=True)
def _terminal(server: DevServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ask that server, and nobody whom the tester has chosen."""
    for name, value in {"STEPWELL_URL": server.url, "XDG_CONFIG_HOME": str(tmp_path), "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("STEPWELL_TOKEN", "STEPWELL_ACCOUNT", "STEPWELL_PROFILE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("page", COMMANDED)
def test_commands_of_the_guide_say_what_it_shows(page: str, server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after another; one that only looks is asked until it says that, as the server takes its time."""
    for block in _blocks(page, "sh", "console"):
        for line, shown in _lines(block):
            _hold(line, shown, monkeypatch)


def _hold(line: str, shown: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> str:
        return run_line(tuple(shlex.split(line)[1:]), COLUMNS, monkeypatch)

    if shown is None:
        assert "exit code" not in (told := ask()), f"{line}\n{told}"
    elif re.match(r"stepwell (?:trigger|instances send-event)", line):
        assert _alike(ask()) == _alike(shown), line
    else:
        wait_until(lambda: _alike(ask()) == _alike(shown), lambda: f"{line}\n{ask()}")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The web application of the guide to events; not loaded by the test itself, whose loop that would block."""
    (source,) = (block.text for block in _blocks("docs/guides/events.md", "python") if block.file == "web.py")
    module = ModuleType("web")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, "web.py", "exec"), vars(module))
    return module


async def test_page_that_decides_lets_the_instance_go_on(server: DevServer, web: ModuleType) -> None:
    """Once: of what has ended, or is not there, the person is told."""
    server.create("expense", "expense-18", {"what": "desk", "boss": "ann"})

    async with web.lifespan(web.app), httpx.AsyncClient(transport=httpx.ASGITransport(web.app)) as browser:

        async def decide(number: int) -> int:
            said = {"approved": "true", "by": "ann"}
            return (await browser.post(f"http://web/expenses/{number}", params=said)).status_code

        taken, missing = await decide(18), await decide(19)
        ended = server.wait_for_status("expense", "expense-18", "complete")
        late = await decide(18)

    assert (taken, missing, late) == (200, 404, 409)
    assert ended["output"] == "desk: approved by ann"


def _alike(told: str) -> list[str]:
    for pattern, mark in ((_MOMENT, "MOMENT"), (_TOOK, "TOOK"), (_ID, "ID"), (_BLANKS, " ")):
        told = pattern.sub(mark, told)
    return told.strip().splitlines()
