"""The browser that `stepwell dev --open` shows the dashboard in; a real server opens one in tests/crash."""

import threading
import webbrowser
from pathlib import Path

import pytest

from stepwell.cli import browser

URL = "http://127.0.0.1:8787/"


def _show(monkeypatch: pytest.MonkeyPatch, found: webbrowser.BaseBrowser | None) -> None:
    """Show a page in a browser, and wait for the thread that does so."""

    def get() -> webbrowser.BaseBrowser:
        if found is None:
            raise webbrowser.Error("could not locate runnable browser")
        return found

    monkeypatch.setattr(webbrowser, "get", get)
    before = set(threading.enumerate())
    browser.show(URL)
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_browser_gets_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And nothing is said."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/shown\n')
    program.chmod(0o755)

    _show(monkeypatch, webbrowser.GenericBrowser(str(program)))

    assert (tmp_path / "shown").read_text() == f"{URL}\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="none"),
        pytest.param(webbrowser.GenericBrowser("w3m"), id="of a terminal"),
        pytest.param(webbrowser.GenericBrowser("/usr/bin/lynx"), id="of a terminal, with its path"),
        pytest.param(webbrowser.GenericBrowser("/nothing/there"), id="one that cannot be started"),
    ],
)
def test_machine_without_a_browser_is_told_the_address(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], found: webbrowser.BaseBrowser | None
) -> None:
    """In one line; one that would take over the terminal of the server is none."""
    _show(monkeypatch, found)

    assert capfd.readouterr() == (f"No browser could be opened here; the dashboard is at {URL}\n", "")
