"""What drivers have in common: what is timed, and what becomes of an engine that cannot."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bench.connection import Connection
from bench.driver import WORKS, Figures, Options, Sizes, growth, percentiles, rate
from bench.engines import ENGINES, ROOT
from bench.peers.install import PACKAGES
from tests.bench.instant import Instant

TINY = 0.001


def _driver(folder: Path, variant: str = "") -> Instant:
    driver = Instant(Options(folder, "", None, TINY, variant))
    driver.sizes = replace(driver.sizes, falling_asleep_s=1.2)
    return driver


@pytest.mark.parametrize(
    ("work", "size", "names"),
    [
        pytest.param("idle", "0.2 s", {"start_s", "core_percent", "idle_mb"}, id="idle"),
        pytest.param("W1", "2 x 10", {"per_s", "cpu_s", "cpu_ms", "peak_mb"}, id="W1"),
        pytest.param("W2", "4", {"p50_ms", "p99_ms", "cpu_s", "cpu_ms", "peak_mb"}, id="W2"),
        pytest.param("W3", "8", {"per_s", "growth", "cpu_s", "cpu_ms", "peak_mb"}, id="W3"),
        pytest.param("W4", "4", {"per_s", "cpu_s", "cpu_ms", "peak_mb"}, id="W4"),
        pytest.param("W6", "100 steps, 8 clients", {"per_s", "cpu_s", "peak_mb"}, id="W6"),
        pytest.param("W7", "4", {"p50_ms", "p99_ms", "cpu_s", "cpu_ms", "peak_mb"}, id="W7"),
    ],
)
async def test_work_has_its_figures(tmp_path: Path, work: str, size: str, names: set[str]) -> None:
    """Each work tells what the tables have a column for."""
    told, figures = await _driver(tmp_path).measure(work)

    assert told == size
    assert set(figures) == names


async def test_sleepers_are_asked_how_late_they_were(tmp_path: Path) -> None:
    """Lateness is what the engine says of its instances, not how long the work took."""
    size, figures = await _driver(tmp_path).measure("W5")

    assert size == "5, 1,000/s"
    assert (figures["p50_ms"], figures["p99_ms"]) == pytest.approx((50, 99))
    assert figures["cpu_ms"] == pytest.approx(figures["cpu_s"] * 1000 / 5)
    assert {"asleep_mb", "kb_each"} < set(figures)


async def test_sleepers_that_fall_asleep_too_late_are_no_figure(tmp_path: Path) -> None:
    """Who is due before all are asleep is late for another reason: nothing is told then."""
    with pytest.raises(TimeoutError, match="would have been asleep before the first was due"):
        await _driver(tmp_path, "slow").measure("W5")


async def test_event_is_timed_from_when_it_was_sent(tmp_path: Path) -> None:
    """Until the step behind the wait has begun, as that says itself."""
    _, figures = await _driver(tmp_path).measure("W7")

    assert figures["p50_ms"] == pytest.approx(500, abs=20)


def test_growth_compares_the_last_steps_with_the_first() -> None:
    """Where the last ones take three times as long, it is 3."""
    ends = [*map(float, range(300)), *(300.0 + 3 * number for number in range(300))]

    assert growth(ends) == pytest.approx(3)
    assert growth([0.0, 1, 2, 3, 4, 5, 6, 8]) == pytest.approx(1.5)


def test_percentiles_are_in_milliseconds() -> None:
    """And have the prefix that was asked for."""
    assert percentiles([0.001 * number for number in range(101)], "late_") == pytest.approx(
        {"late_p50_ms": 50, "late_p99_ms": 99}
    )


def test_smaller_sizes_keep_the_rate_of_sleepers() -> None:
    """A tenth of the sleepers is woken as fast, for a tenth of the time."""
    small = Sizes().scaled(0.1)

    assert (small.instances, small.sequence, small.sleepers, small.wakes_per_s) == (100, 200, 500, 1_000)


async def test_rate_counts_what_all_clients_asked() -> None:
    """Of so many at once."""
    asked: list[int] = []

    async def ask(number: int) -> None:
        asked.append(number)
        await asyncio.sleep(0)

    found = await rate(0.05, ask, clients=3)

    assert found == len(asked) / 0.05
    assert set(asked) == {0, 1, 2}


@asynccontextmanager
async def _answering(answer: bytes, hangs_up: bool = False) -> AsyncIterator[Connection]:
    """Serve an answer to each request, and give a connection; whoever hangs up says so in the connection's reader."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                if hangs_up:
                    writer.close()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        connection = await Connection.open(server.sockets[0].getsockname()[1])
        yield connection
        connection.close()
        await connection._writer.wait_closed()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nhello", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", id="chunks"),
    ],
)
async def test_answer_is_read_to_its_end(answer: bytes) -> None:
    """However its length is told, the next request gets the next answer."""
    async with _answering(b"HTTP/1.1 200 OK\r\n" + answer) as connection:
        assert [await connection.ask("GET", "/") for _ in range(2)] == [b"hello", b"hello"]


async def test_server_that_has_hung_up_is_asked_anew() -> None:
    """On another connection."""
    async with _answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", hangs_up=True) as connection:
        first = await connection.ask("GET", "/")
        await connection._reader.read()

        assert [first, await connection.ask("GET", "/")] == [b"hello", b"hello"]


async def test_refusal_is_no_answer() -> None:
    """What an engine refuses is not counted as done."""
    async with _answering(b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\n\r\nfull") as connection:
        with pytest.raises(OSError, match="GET /x: 500 full"):
            await connection.ask("GET", "/x")


def test_engine_that_cannot_do_a_work_does_the_others(tmp_path: Path) -> None:
    """Its answer to that work is why."""
    driver = [sys.executable, "-m", "tests.bench.scripted", str(tmp_path), "--works", "W4,W6"]
    printed = subprocess.run(
        [*driver, "--variant", "cannot", "--scale", str(TINY)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    answers = [json.loads(line) for line in printed.splitlines()]
    assert [answer.get("failed") for answer in answers] == [None, "RuntimeError: no steps at once", None]
    assert answers[0] == {"versions": {"instant": "1"}}


def test_what_drivers_have_in_common_is_of_the_standard_library() -> None:
    """Another engine's environment has nothing of ours: without installed packages it can be imported."""
    subprocess.run([sys.executable, "-S", "-c", "import bench.driver, bench.connection"], cwd=ROOT, check=True)


def test_each_peer_has_packages_and_a_driver() -> None:
    """What can be installed is measured, and the other way round."""
    assert {engine.peer for engine in ENGINES if engine.peer} == set(PACKAGES)
    for engine in ENGINES:
        path = ROOT / engine.module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_works_have_names_that_engines_know() -> None:
    """Each work that is asked for by default is one that a driver has."""
    found: Figures = dict.fromkeys(Instant(Options(Path(), "", None))._works(), 0)

    assert tuple(found) == WORKS
