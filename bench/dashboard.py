"""What people wait for at the dashboard, in Chromium before a real `stepwell dev`, and what open pages cost the engine.

    python -m bench.dashboard [--rounds N]

A step that ends is on the page after so long: from the moment that its record has to the moment at which the page's
document has it, by the same clock. Work of the page is what Chromium says its scripts took.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import search
from bench.connection import Connection
from bench.processes import cpu_s
from bench.server import INSTANCES, complete, ms, serving

PAGES = "/workflows/steps/instances"
TICKS = 80
W1_INSTANCES, W1_STEPS = 3_000, 10
OPEN_PAGES = 200
MANY = 100_000
_OWN = INSTANCES.replace("/local/", "/local/stepwell/")
_LIST = ("workflow:steps", (INSTANCES.removesuffix("/instances"), f"{_OWN}?per_page=50"))
_OVERVIEW = ("overview", ("/ui/overview",))
_WAITS = INSTANCES.replace("/steps/", "/waits/") + "/open"
_INSTANCE = ("instance:waits/open", (f"{_WAITS}?per_page=1000", f"{_WAITS.replace('/local/', '/local/stepwell/')}"))
# What is looked at, and what such a page reads: two lists, the overview, and an instance that waits.
PAGES_OPEN: tuple[tuple[str, tuple[str, ...]], ...] = (_LIST, _OVERVIEW, _LIST, _INSTANCE)
PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
IS_THERE = PROGRAM is not None and find_spec("playwright") is not None
# When each step is first seen to be complete.
_WATCH = """
    window.seen = {};
    new MutationObserver(() => {
      for (const row of document.querySelectorAll(".steps tbody tr")) {
        const name = row.querySelector("[data-step]")?.dataset.step;
        if (name && row.querySelector(".s-complete") && !(name in seen)) seen[name] = Date.now();
      }
    }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""


async def measure(folder: Path) -> dict[str, float]:
    """Return all figures; without Chromium only what open pages cost."""
    folder.mkdir()
    figures: dict[str, float] = {}
    if IS_THERE:
        async with _browser() as browser:
            figures |= await many(folder / "many", browser)
    async with serving(folder, STEPWELL_LOG_STREAMS=str(OPEN_PAGES + 10)) as (port, pid):
        figures |= await open_pages(port, pid)
        if IS_THERE:
            async with _browser() as browser:
                figures |= await ticks(port, browser)
                figures |= await first_views(port, browser)
    return figures


async def open_pages(port: int, pid: int) -> dict[str, float]:
    """Measure W1 with and without open pages, in turn: three quarters hear of all that happens, and read it again."""
    connection = await Connection.open(port)
    await connection.ask("POST", INSTANCES.replace("/steps/", "/waits/"), b'{"instance_id":"open"}')
    await _w1(connection, pid, "first")
    without, beside, read = [], [], []
    # Either comes first as often: a store that has more in it is a little slower.
    for number, are_open in enumerate((False, True, True, False)):
        if are_open:
            async with _opened(port) as answers:
                beside.append(await _w1(connection, pid, f"i{number}"))
            read.append(answers[0] / OPEN_PAGES)
        else:
            without.append(await _w1(connection, pid, f"i{number}"))
    connection.close()
    (rate, cpu), (rate_beside, cpu_beside) = (
        map(statistics.median, zip(*each, strict=True)) for each in (without, beside)
    )
    return {
        "D2: W1 over HTTP, steps/s": rate,
        f"D2: the same with {OPEN_PAGES} pages open": rate_beside,
        "D2: how often each of them was read": statistics.median(read),
        "D2: what they cost, % of the steps": (1 - rate_beside / rate) * 100,
        "D2: what they cost, % of the CPU time of server and worker": (cpu_beside / cpu - 1) * 100,
    }


async def _w1(connection: Connection, pid: int, prefix: str) -> tuple[float, float]:
    """Return the steps a second, and the CPU time of server and worker."""
    start, cpu = time.perf_counter(), cpu_s([pid])
    for first in range(0, W1_INSTANCES, 100):
        wanted = [{"instance_id": f"{prefix}-{first + n}", "params": {"steps": W1_STEPS}} for n in range(100)]
        await connection.ask("POST", f"{INSTANCES}/batch", json.dumps(wanted).encode())
    while True:
        found = json.loads(await connection.ask("GET", INSTANCES.removesuffix("/instances")))["result"]["instances"]
        if not any(found[status] for status in ("queued", "running", "waiting")):
            return W1_INSTANCES * W1_STEPS / (time.perf_counter() - start), cpu_s([pid]) - cpu
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _opened(port: int) -> AsyncIterator[list[int]]:
    """Hold so many pages open, each as its modules do: a stream, and what is read again when it has told of a change.

    Give how many answers they have got.
    """
    answers = [0]
    async with asyncio.TaskGroup() as tasks:
        pages = [
            tasks.create_task(_Page(*PAGES_OPEN[number % len(PAGES_OPEN)], answers).look(port))
            for number in range(OPEN_PAGES)
        ]
        while answers[0] < OPEN_PAGES:
            await asyncio.sleep(0.02)
        answers[0] = 0
        yield answers
        for page in pages:
            page.cancel()


class _Page:
    """A page that is open: what it hears of, and what it reads then."""

    def __init__(self, topic: str, paths: tuple[str, ...], answers: list[int]) -> None:
        self._topic = topic
        self._paths = paths
        self._answers = answers
        self._changed = asyncio.Event()

    async def look(self, port: int) -> None:
        """Read it, and again after each change; once at a time, however often that is told."""
        connection = await Connection.open(port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(port))
            while True:
                for path in self._paths:
                    await connection.ask("GET", path, headers="x-stepwell-page: 1\r\n")
                self._answers[0] += 1
                await self._changed.wait()
                self._changed.clear()

    async def _listen(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        try:
            writer.write(f"GET /ui/live?topics={self._topic} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            while True:
                await reader.readuntil(b"event: ")
                if await reader.readline() == b"changed\n":
                    self._changed.set()
        finally:
            writer.close()


@asynccontextmanager
async def _browser() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not everybody has it

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield chromium
        await chromium.close()


@asynccontextmanager
async def _page(browser: Any, address: str) -> AsyncIterator[tuple[Any, Any]]:
    """Open a page; give it, and what tells how long its scripts took."""
    page = await browser.new_page()
    metrics = await page.context.new_cdp_session(page)
    # Its own time on the processor, whatever else the machine does.
    await metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.add_init_script(_WATCH)
    await page.goto(address)
    yield page, metrics
    await page.close()


async def _script_ms(metrics: Any) -> float:
    found = {one["name"]: one["value"] for one in (await metrics.send("Performance.getMetrics"))["metrics"]}
    return float(found["ScriptDuration"] * 1000)


async def ticks(port: int, browser: Any) -> dict[str, float]:
    """Watch an instance whose steps end every now and then."""
    connection = await Connection.open(port)
    path = INSTANCES.replace("/steps/", "/ticks/")
    await connection.ask("POST", path, json.dumps({"instance_id": "watched", "params": {"steps": TICKS}}).encode())
    address = f"http://127.0.0.1:{port}{PAGES.replace('/steps/', '/ticks/')}/watched?tab=steps"
    async with _page(browser, address) as (page, metrics):
        await page.get_by_role("switch", name="Live updates: Live").wait_for()
        await page.locator(".steps .s-complete").first.wait_for()
        is_there = await page.evaluate("Date.now()")
        before = await _script_ms(metrics)
        await complete(connection, f"{path}/watched")
        await page.locator(".facts .badge", has_text="complete").wait_for()
        took = await _script_ms(metrics) - before
        seen: dict[str, float] = await page.evaluate("window.seen")
    steps = json.loads(await connection.ask("GET", f"{path}/watched"))["result"]["steps"]
    connection.close()
    # The first ones end while the page is loaded, which takes a busy machine seconds.
    late = [seen[step["name"]] - ms(step["end"]) for step in steps if ms(step["end"]) > is_there]
    cuts = statistics.quantiles(late, n=100)
    return {
        "D1: step's end to page, ms, p50": cuts[49],
        "D1: step's end to page, ms, p99": cuts[98],
        "D1: work of the page for each step, ms": took / len(late),
    }


async def first_views(port: int, browser: Any) -> dict[str, float]:
    """Open a list of 50 rows, and a timeline of 500 steps."""
    connection = await Connection.open(port)
    body = json.dumps({"instance_id": "long", "params": {"steps": 500}}).encode()
    await connection.ask("POST", INSTANCES, body)
    await complete(connection, f"{INSTANCES}/long")
    connection.close()
    address = f"http://127.0.0.1:{port}{PAGES}"
    async with _page(browser, address.removesuffix("/instances")) as (page, _):
        await page.locator("tbody tr").nth(49).wait_for()
        first = await page.evaluate("performance.now()")
    async with _page(browser, f"{address}/long") as (page, metrics):
        await page.get_by_text("500 rows").wait_for()
        script = await _script_ms(metrics)
    return {
        "D3: list of 50 rows, ms from the address to the last row": first,
        "D3: timeline of 500 steps, ms of script": script,
    }


async def many(folder: Path, browser: Any) -> dict[str, float]:
    """Open the list of 100,000 instances, filter it, and go to the next page."""
    data = folder / "data"
    data.mkdir(parents=True)
    url = f"sqlite:///{data / 'stepwell.db'}"
    await search.register(url)
    await asyncio.to_thread(search.fill, url, MANY)
    async with serving(folder) as (port, _):
        address = f"http://127.0.0.1:{port}"
        # The first page of a browser, and of a server, takes a while of its own.
        async with _page(browser, address) as (page, _):
            await page.locator("tbody tr").first.wait_for()
        async with _page(browser, f"{address}/workflows/many") as (page, _):
            await page.locator("tbody a.row").nth(49).wait_for()
            first = await page.evaluate("performance.now()")
            chip = page.locator("ul.chips").get_by_role("link", name="errored")
            errored = await _clicked(page, chip, f"order-{MANY - 5}")
            beyond = await _clicked(page, page.get_by_role("link", name="Next"), f"order-{MANY - 250}")
    return {
        "D4: list of 100,000, ms from the address to the last of 50 rows": first,
        "D4: those that are errored, ms from the click": errored,
        "D4: the next page of them, ms from the click": beyond,
    }


async def _clicked(page: Any, link: Any, row: str) -> float:
    """Return how long it takes from a click until a row is there."""
    begun = await page.evaluate("performance.now()")
    await link.click()
    await page.get_by_role("link", name=row, exact=True).wait_for()
    return float(await page.evaluate("performance.now()") - begun)


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often all is measured (3)")
    figures: dict[str, list[float]] = defaultdict(list)
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder:
            for name, figure in asyncio.run(measure(Path(folder) / "http")).items():
                figures[name].append(figure)
    for name, values in figures.items():
        print(f"{name}: {statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})")


if __name__ == "__main__":
    main()
