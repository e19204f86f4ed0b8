"""Somebody who types what pages show into a shell, in a folder, and an account, of their own."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import run
from tests.cli.screen import Screen, run_on_terminal
from tests.crash.server import DEADLINE_S, DevServer, make_token
from tests.docs.left_out import NOT_TYPED
from tests.docs.snippets import Line, lines

STORE = ".stepwell/stepwell.db"
# Enough for all that pages show.
_COLUMNS = 200
# What is another one each time: moments, how long something took, ids.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?")
_TOOK = re.compile(r"\+?\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b")
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b")
_BLANKS = re.compile(r" {2,}")


def alike(told: str) -> list[str]:
    """Return the lines of a text without what is another one each time."""
    for pattern, mark in ((_MOMENT, "MOMENT"), (_TOOK, "TOOK"), (_ID, "ID"), (_BLANKS, " ")):
        told = pattern.sub(mark, told)
    return told.strip().splitlines()


def is_left_out(line: Line) -> bool:
    """Tell whether no reader types a line."""
    return line.is_of_a_guide or any(
        line.page.startswith(page) and line.text.startswith(begins) for page, begins, _ in NOT_TYPED
    )


class Served(DevServer):
    """A server that a line of a page starts."""

    place = ()

    def __init__(self, folder: Path, line: str, store: str = STORE) -> None:
        self._line = line
        super().__init__(folder)
        self._token = make_token(folder, f"sqlite:///{folder / store}", "write")

    def command_line(self, *_: str) -> list[str]:
        """Return how a shell starts it, and is it from then on."""
        return ["sh", "-c", re.sub(r"(?<!\S)stepwell(?= (?:dev|serve) )", "exec stepwell", self._line)]

    def call(self, path: str, body: Any = None) -> Any:
        """Ask the API, with a token."""
        url = f"{self.url}/client/v4/accounts/local/workflows{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return json.load(answer)["result"]

    def has(self, status: str, workflow: str = "order", **instances: dict[str, Any]) -> None:
        """Create instances, by their ids with `_` for `-` and their params, and wait until they have this status."""
        for id, params in instances.items():
            self.create(workflow, id.replace("_", "-"), params)
        for id in instances:
            self.wait_for_status(workflow, id.replace("_", "-"), status)

    def attempts(self, order: str) -> list[bool]:
        """Return which attempts of an order to charge have succeeded, of those that have ended."""
        steps = [step for step in self.get("order", order)["steps"] if step["name"] == "charge-1"]
        return [one["success"] for step in steps for one in step["attempts"] if one["end"]]


class Reader:
    """Types the lines of one page, each once: those that name a database, or the others.

    `instead` is what has another name here.
    """

    def __init__(self, page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, on_postgres: bool = False) -> None:
        self.folder = folder
        self.instead: dict[str, str] = {".venv/bin/": ""}
        shown = [line for line in lines() if line.page == page and not is_left_out(line)]
        self.left = [line for line in shown if ("postgresql://" in line.text) is on_postgres]
        self._exports: list[str] = []
        self._patch = monkeypatch
        for name in [name for name in os.environ if name.startswith(("STEPWELL_", "OTEL_", "CLOUDFLARE_"))]:
            monkeypatch.delenv(name)
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.has(PATH=path, HOME=str(folder), XDG_CONFIG_HOME=str(folder), XDG_CACHE_HOME=str(folder), NO_COLOR="1")
        monkeypatch.chdir(folder)

    def has(self, **environment: str) -> None:
        """Have variables from now on."""
        for name, value in environment.items():
            self._patch.setenv(name, value)

    def may(self, *scopes: str, store: str = STORE) -> str:
        """Have a token with these scopes from now on, and return it."""
        token = make_token(self.folder, f"sqlite:///{self.folder / store}", *scopes)
        self.has(STEPWELL_TOKEN=token)
        return token

    def writes(self, **files: str) -> None:
        """Write files: `app__order_py` is `app/order.py`."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_py", ".py").replace("_toml", ".toml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def types(self, begins: str, *, code: int = 0, answers: Mapping[str, str] | None = None) -> str:
        """Type the next line that begins so, and return what it says; it ends with this exit code.

        With `answers` to its questions, or with what it is shown to say, it is on a terminal, else in a pipe.
        """
        line = self._take(begins)
        if line.text.startswith("export "):
            self._exports.append(self._here(line))
        told = self._said(line, code, answers)
        if line.shown is not None:
            # Beside the question stands what was typed, and below it what came of that.
            question = told.partition(next(iter(answers.values())))[0] if answers else told
            _compare(self._named_here(line.shown), question)
        return told

    def run(self, command: str, code: int = 0) -> str:
        """Run a command that no page shows, in this process, and return what it says; it ends with this exit code."""
        told = run(*shlex.split(command)[1:])
        assert told.exit_code == code, told.output
        return told.stdout

    @contextmanager
    def serves(self, begins: str) -> Iterator[Served]:
        """Type a line that starts a server, on a free port, and end it as one does; commands ask it meanwhile."""
        line = self._take(begins)
        command, _, _ = self._here(line).partition("  ")
        with (
            Served(self.folder, "\n".join([*self._exports, f"{command} --port 0"])) as server,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("STEPWELL_URL", server.url)
            yield server
            assert server.terminate() == 0, server.log

    def _take(self, begins: str) -> Line:
        found = next((line for line in self.left if line.text.startswith(begins)), None)
        assert found is not None, f"nothing begins with {begins!r} among {[*map(str, self.left)]}"
        self.left.remove(found)
        return found

    def _here(self, line: Line) -> str:
        return self._named_here(line.text)

    def _named_here(self, text: str) -> str:
        for shown, meant in self.instead.items():
            text = text.replace(shown, meant)
        return text

    def _said(self, line: Line, code: int, answers: Mapping[str, str] | None) -> str:
        script = "\n".join([*self._exports, self._here(line)])
        if answers is not None or line.shown is not None:
            ended, told = run_on_terminal(shell=script, answers=answers, columns=_COLUMNS, env={"NO_COLOR": "1"})
            screen = Screen(_COLUMNS, 24)
            screen.write(told)
            told = "\n".join(screen.lines)
        else:
            shell = ["sh", "-c", script]
            done = subprocess.run(shell, input="", capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            ended, told = done.returncode, done.stdout
            if done.returncode != code:
                told += done.stderr
        assert ended == code, f"{line}\nexit code {ended}\n{told}"
        return told


def _compare(shown: str, told: str) -> None:
    """Hold what was said against what is shown, in which `...` stands for any lines."""
    pattern = "\n".join(r"(?:.*\n)*?.*" if one == "..." else re.escape(one) for one in alike(shown))
    assert re.fullmatch(pattern, "\n".join(alike(told))), f"{told}\nis not\n{shown}"
