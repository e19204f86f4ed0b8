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
from tests.docs.reader import alike
from tests.docs.snippets import GUIDES, lines, snippets

COLUMNS = 80
COMMANDED = [page for page in GUIDES if any(line.is_of_a_guide and line.page == page for line in lines())]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """A server of the workflows of all guides that show commands."""
    folder = tmp_path_factory.mktemp("guides")
    for page in COMMANDED:
        for block in snippets():
            if block.page == page and block.language == "python" and "(WorkflowEntrypoint" in block.text:
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
    for line in lines():
        if line.is_of_a_guide and line.page == page:
            _hold(line.text, line.shown, monkeypatch)


def _hold(line: str, shown: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> str:
        return run_line(tuple(shlex.split(line)[1:]), COLUMNS, monkeypatch)

    if shown is None:
        assert "exit code" not in (told := ask()), f"{line}\n{told}"
    elif re.match(r"stepwell (?:trigger|instances send-event)", line):
        assert alike(ask()) == alike(shown), line
    else:
        wait_until(lambda: alike(ask()) == alike(shown), lambda: f"{line}\n{ask()}")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The web application of the guide to events; not loaded by the test itself, whose loop that would block."""
    (source,) = (block.text for block in snippets() if (block.page, block.file) == ("docs/guides/events.md", "web.py"))
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
