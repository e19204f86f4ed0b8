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

from bench.server import INSTANCES, Connection, complete, cpu_s, ms, serving

PAGES = "/workflows/steps/instances"
TICKS = 80
W1_INSTANCES, W1_STEPS = 1_000, 10
OPEN_PAGES = 200
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
    async with serving(folder, STEPWELL_LOG_STREAMS=str(OPEN_PAGES + 10)) as (port, pid):
        figures = await open_pages(port, pid)
        if IS_THERE:
            async with _browser() as browser:
                figures |= await ticks(port, browser)
                figures |= await first_views(port, browser)
    return figures


async def open_pages(port: int, pid: int) -> dict[str, float]:
    """Measure W1 with and without open pages, in turn: three quarters are of lists, which hear of all that happens."""
    connection = await Connection.open(port)
    await connection.ask("POST", INSTANCES.replace("/steps/", "/waits/"), b'{"instance_id":"open"}')
    await _w1(connection, pid, "first")
    without, beside = [], []
    # Either comes first as often: a store that has more in it is a little slower.
    for number, are_open in enumerate((False, True, True, False, False, True, True, False)):
        if are_open:
            async with _listening(port) as heard:
                beside.append(await _w1(connection, pid, f"i{number}"))
                assert heard[0] > OPEN_PAGES
        else:
            without.append(await _w1(connection, pid, f"i{number}"))
    connection.close()
    (rate, cpu), (rate_beside, cpu_beside) = (
        map(statistics.median, zip(*each, strict=True)) for each in (without, beside)
    )
    return {
        "D2: W1 over HTTP, steps/s": rate,
        f"D2: the same with {OPEN_PAGES} pages open": rate_beside,
        "D2: what they cost, % of the steps": (1 - rate_beside / rate) * 100,
        "D2: what they cost, % of the CPU time of server and worker": (cpu_beside / cpu - 1) * 100,
    }


async def _w1(connection: Connection, pid: int, prefix: str) -> tuple[float, float]:
    """Return the steps a second, and the CPU time of server and worker."""
    start, cpu = time.perf_counter(), cpu_s(pid)
    for first in range(0, W1_INSTANCES, 100):
        wanted = [{"instance_id": f"{prefix}-{first + n}", "params": {"steps": W1_STEPS}} for n in range(100)]
        await connection.ask("POST", f"{INSTANCES}/batch", json.dumps(wanted).encode())
    while True:
        found = json.loads(await connection.ask("GET", INSTANCES.removesuffix("/instances")))["result"]["instances"]
        if not any(found[status] for status in ("queued", "running", "waiting")):
            return W1_INSTANCES * W1_STEPS / (time.perf_counter() - start), cpu_s(pid) - cpu
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _listening(port: int) -> AsyncIterator[list[int]]:
    """Hold so many streams open; give how many events they have got."""
    heard = [0]

    async def listen(number: int) -> None:
        topics = "instance:waits/open" if number % 4 == 0 else "workflow:steps"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET /ui/live?topics={topics} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            while await reader.readuntil(b"event:"):
                heard[0] += 1
        finally:
            writer.close()

    listeners = [asyncio.create_task(listen(number)) for number in range(OPEN_PAGES)]
    while heard[0] < OPEN_PAGES:
        await asyncio.sleep(0.02)
    yield heard
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)


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
