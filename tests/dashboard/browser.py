"""Chromium, as Debian has it, before a real server over an engine in the test's own process."""

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stepwell.engine import Engine
from stepwell.tokens import Tokens
from tests.api.histories import Histories

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REASON = "Chromium: apt-get install chromium; pip install playwright"
IS_THERE = PROGRAM is not None and importlib.util.find_spec("playwright") is not None
LARGE, PHONE = (1280, 800), (320, 640)
# What a browser says by itself of an answer, or of none, that the page shows in its own words.
_EXPECTED = "Failed to load resource: "
# A machine that does much else takes its time for the first page of a browser.
_WAIT_MS = 30_000


@asynccontextmanager
async def launched() -> AsyncIterator[Any]:
    """Start the browser, and end it."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield chromium
        await chromium.close()


def axe() -> str:
    """Return the program that looks for what keeps people out."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text()


@dataclass
class Site:
    """A server with its engine, and a browser before it."""

    url: str
    engine: Engine
    histories: Histories
    tokens: Tokens
    browser: Any
    _left: list[Any] = field(default_factory=list)

    @asynccontextmanager
    async def open(
        self, path: str, *, size: tuple[int, int] = LARGE, theme: str = "light", **more: Any
    ) -> AsyncIterator[Any]:
        """Open a page in a browser that knows nothing of this site; afterwards nothing may have been complained of.

        A page that asks for nothing more is one that an earlier test has left, if there is one, with no more than the
        browser's cache: a new one takes a process of its own, and three times as long.
        """
        page = self._left.pop() if self._left and not more else await self._new_page(**more)
        width, height = size
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=theme)
        said: list[str] = []
        page.on("console", note := partial(_note, said))
        page.on("pageerror", note_error := partial(_note_error, said))
        await page.goto(self.url + path)
        await page.wait_for_selector("h1")
        # Keys are heard, and the focus is taken, only when what is there has been painted.
        await page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        yield page
        page.remove_listener("console", note)
        page.remove_listener("pageerror", note_error)
        if more:
            await page.context.close()
        else:
            await self._leave(page)
        assert [text for text in said if not text.startswith(_EXPECTED)] == []

    async def close(self) -> None:
        """Close the pages that were left."""
        for page in self._left:
            await page.context.close()

    async def _new_page(self, **more: Any) -> Any:
        context = await self.browser.new_context(**more)
        context.set_default_timeout(_WAIT_MS)
        return await context.new_page()

    async def _leave(self, page: Any) -> None:
        """Let a page forget all that it has been shown."""
        await page.unroute_all(behavior="ignoreErrors")
        await page.evaluate("localStorage.clear()")
        # What a document keeps as it goes is gone with it.
        await page.goto("about:blank")
        await page.context.clear_cookies()
        await page.mouse.move(-1, -1)
        self._left.append(page)

    async def sees(self, page: Any, text: str) -> None:
        """Wait until the page shows a text."""
        await page.get_by_text(text).first.wait_for()


def _note(said: list[str], message: Any) -> None:
    if message.type in ("error", "warning"):
        said.append(message.text)


def _note_error(said: list[str], error: Any) -> None:
    said.append(str(error))


def expect(seen: Any) -> Any:
    """Begin to say what a page, or a part of it, has: it is waited for, as what is drawn anew has it a moment later."""
    from playwright.async_api import expect as begin

    begin.set_options(timeout=_WAIT_MS)
    return begin(seen)


async def boxes(page: Any, *selectors: str) -> list[dict[str, float]]:
    """Return where parts of a page are, all at one moment: between two, what moves by the time may be drawn anew."""
    found: list[dict[str, float]] = await page.evaluate(
        "all => all.map(one => document.querySelector(one).getBoundingClientRect().toJSON())", selectors
    )
    return found


async def is_wider_than_its_window(page: Any) -> bool:
    """Tell whether a page has to be scrolled sideways."""
    wider: bool = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return wider
