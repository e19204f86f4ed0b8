"""The browser of whoever starts a server."""

import threading
import webbrowser
from pathlib import Path

import click

# They would take over the terminal that the server is in, and do not run what the dashboard is made of.
_IN_TERMINALS = frozenset(("elinks", "links", "lynx", "w3m", "www-browser"))


def show(url: str) -> None:
    """Show a page, or say in one line that there is no browser. Returns at once, and never fails."""
    # A thread that nothing waits for: some browsers come back when they are closed, and the server may stop before.
    threading.Thread(target=_show, args=(url,), daemon=True).start()


def _show(url: str) -> None:
    browser = _found()
    if browser is None or not browser.open(url):
        click.echo(f"No browser could be opened here; the dashboard is at {url}")


def _found() -> webbrowser.BaseBrowser | None:
    """Return the browser that BROWSER names, else the system's; None: there is none for a page such as ours."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return None
    return None if Path(str(found.name)).name in _IN_TERMINALS else found
