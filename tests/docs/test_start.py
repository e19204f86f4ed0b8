"""What docs/start.md says works, typed as it stands there."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from tests.crash.processes import running
from tests.crash.server import READY, wait_until
from tests.test_wheel import ROOT, build_wheel, clean_environment, free_port

PAGE = (ROOT / "docs" / "start.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# Who has it need not install it, and the project's own tests are run elsewhere, too.
OF_THE_LONG_TEST = ("python3 -m venv", "pytest")


class Terminal:
    """A shell in which somebody types, and what it shows."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lines: list[str] = []
        Thread(target=self._read, daemon=True).start()

    @property
    def shown(self) -> str:
        """All that it shows so far."""
        return "\n".join(self._lines)

    def type(self, command: str) -> None:
        """Type a line, and wait until the next one can be typed. The command has to succeed."""
        assert self._process.stdin is not None
        end = f"that was line {len(self._lines)}: "
        self._process.stdin.write(f"{command}\necho '{end}'$?\n")
        self._process.stdin.flush()
        # To install takes its time: that of the test.
        while end not in self.shown:
            time.sleep(0.05)
        assert f"{end}0" in self.shown, self.shown

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it shows a text so many times."""
        wait_until(lambda: self.shown.count(text) >= times, lambda: self.shown)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "installs",
    [
        pytest.param(False, id="installed before"),
        # A package index may be slow; usually this takes less than a minute.
        pytest.param(True, id="from nothing", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
    ],
)
def test_page_works_as_it_is_typed(installs: bool, tmp_path: Path, require: Callable[..., None]) -> None:
    """From an empty folder to an instance that has survived a SIGKILL; only the port is another one."""
    require("curl", "the page's own command")
    port = str(free_port())
    environment = clean_environment(tmp_path) | {"STEPWELL_URL": f"http://127.0.0.1:{port}"}
    other = {"8787": port, "stepwell dev": f"stepwell dev --port {port}"}
    if installs:
        other["'stepwell["] = f"'{build_wheel(tmp_path / 'dist')}["
        environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    else:
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    folder = tmp_path / "empty"
    folder.mkdir()

    began = time.monotonic()
    shell = running(["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
    with shell as process:
        terminal = Terminal(process)
        for language, block in BLOCKS:
            if language == "python":
                _change(folder / "hello" / "flows.py", block)
                terminal.wait_for("flows.py changed; now serving: greeting")
            elif installs or not block.startswith(OF_THE_LONG_TEST):
                _type(terminal, block, other)
        typed_s = time.monotonic() - began
        terminal.type("wait $!")
        shown = terminal.shown

    print(f"docs/start.md took {typed_s:.0f} s")
    assert 'output\t{"said":"Hello, Ann!"}' in shown
    (answer,) = re.findall(r"^\{.*\}(?=that was line)", shown, re.MULTILINE)
    assert json.loads(answer)["result"]["status"] == "complete"
    assert "sleeping (sleep on it-1) until" in shown
    _, _, after = shown.rpartition(READY)
    assert "step\tcompose-1\tstep\tcomplete\t1\t" in after
    assert 'output\t{"said":"Hello, Bob!"}' in after
    assert ("2 passed" in shown) is installs


def test_every_link_of_the_table_leads_to_a_page() -> None:
    """Whoever wants something is led to it."""
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.partition("## Where next")[2])

    assert len(links) > 15
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []


def _type(terminal: Terminal, block: str, other: dict[str, str]) -> None:
    """Type the lines of a block, but for what has to be another one here."""
    for line in block.splitlines():
        told = line
        for text, instead in other.items():
            told = told.replace(text, instead)
        servers = terminal.shown.count(READY)
        terminal.type(told)
        if line.endswith("&"):
            terminal.wait_for(READY, servers + 1)


def _change(file: Path, line: str) -> None:
    """Put a line in the place of the one that begins as it does, up to its last text."""
    begin = line.rpartition(', "')[0]
    text, changed = re.subn(rf"^{re.escape(begin)}.*\n", line, file.read_text(), flags=re.MULTILINE)
    assert changed == 1
    file.write_text(text)
