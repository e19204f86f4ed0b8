"""Commands in this process, on terminals of three widths and in a pipe, at a moment that does not pass."""

import asyncio
import os
import re
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, tzinfo
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from stepwell.cli import main, times, versions
from stepwell.cli.profiles import Profile, Profiles
from stepwell.store import Store
from stepwell.store.opening import open_store
from stepwell.store.session_operations import BeginSession
from stepwell.store.token_operations import AddToken
from tests.cli.scripted import scripted
from tests.cli.tables.cases import CASES, PROFILES, SESSIONS, TOKENS

PLACES: Mapping[str, int | None] = {
    "terminal, 60 columns": 60,
    "terminal, 80 columns": 80,
    "terminal, 200 columns": 200,
    "pipe": None,
}
_PORT = re.compile(r"127\.0\.0\.1:\d+")


class _Noon(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Noon":
        return cls(2026, 11, 27, 12, 0, 0, tzinfo=tz)


class _Stream(TextIOWrapper):
    """A stream that is a terminal, or is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(BytesIO(), encoding="utf-8", newline="\n")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def fileno(self) -> int:
        return 1

    def text(self) -> str:
        """Return what was written."""
        self.flush()
        raw = self.buffer
        assert isinstance(raw, BytesIO)
        return raw.getvalue().decode()


def arranged(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Stop the clock, and go into a folder with profiles, and a store with tokens, which are made once."""
    monkeypatch.setattr(times, "datetime", _Noon)
    monkeypatch.setattr(versions, "__version__", "1.2.3")
    for name in [name for name in os.environ if name.startswith("STEPWELL_")]:
        monkeypatch.delenv(name)
    for name, value in {"XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    if not Path("store.db").exists():
        _furnish()


def _furnish() -> None:
    Profiles({name: Profile(*said) for name, said in PROFILES.items()}, "home").save()
    asyncio.run(_keep_tokens(open_store("sqlite:///store.db")))


async def _keep_tokens(store: Store) -> None:
    for token in TOKENS:
        await store.run(AddToken(token))
    for session in SESSIONS:
        await store.run(BeginSession(session.account, session))
    await store.close()


def told_by(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a command prints in each place."""
    case = CASES[command]
    with scripted([*case.answers] * len(PLACES)) as server:
        where = ("--url", server.url) if case.answers else ()
        parts = [
            f"--- {place}\n{run_line((*command.split(), *case.more, *where), columns, monkeypatch)}"
            for place, columns in PLACES.items()
        ]
    return _PORT.sub("127.0.0.1:12345", "\n".join(parts))


def run_line(line: tuple[str, ...], columns: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a command writes; behind that, what it says on standard error, and how it ends if not well."""
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns or 80, 24)))
    out, beside = _Stream(is_terminal=columns is not None), _Stream(is_terminal=False)
    code: object = 0
    with redirect_stdout(out), redirect_stderr(beside):
        try:
            main(line, prog_name="stepwell")
        except SystemExit as end:
            code = end.code
    said = "".join(f"(beside) {text}\n" for text in beside.text().splitlines())
    return out.text() + said + (f"(exit code {code})\n" if code else "")
