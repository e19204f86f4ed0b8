"""What a worker writes of where it hangs, read by somebody who does not trust it; and when that is told."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

import stepwell
from stepwell.hangs import Due, Hang, HangReports

OURS = Path(stepwell.__file__).parent / "bodies.py"
BEGIN = "Stack (most recent call first):\n"


class Worker:
    """The writing end of a pipe of reports, and who reads it."""

    def __init__(self, reports: HangReports, pipe: int) -> None:
        self.reports = reports
        self._pipe = pipe

    async def writes(self, *texts: str | bytes) -> list[str]:
        """Write; return the stack that is known then."""
        for text in texts:
            os.write(self._pipe, text if isinstance(text, bytes) else text.encode())
            # Longer than a read: it has been read when the loop has turned.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return await self.reports.stack()


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    """A worker that has written nothing yet."""
    reports = HangReports()
    with reports.open() as pipe:
        yield Worker(reports, os.dup(pipe))
    reports.close()


def frame(path: object, line: int = 2, function: str = "f") -> str:
    """Return a frame as `faulthandler` writes it."""
    return f'  File "{path}", line {line} in {function}\n'


async def test_stack_is_told_outermost_first_with_its_source(worker: Worker, tmp_path: Path) -> None:
    """The author's part alone, which begins below all of ours; a file that is not there has no source."""
    source = tmp_path / "größe.py"
    source.write_text("def f():\n\tg(1,\t2)\n")

    told = await worker.writes(BEGIN, frame("<string>"), frame(source), frame(OURS), frame("runpy.py"), "\n")

    assert told == ['File "' + str(source) + '", line 2, in f', "  g(1,    2)", 'File "<string>", line 2, in f']
    assert worker.reports.is_fresh


async def test_name_that_faulthandler_has_escaped_is_read(worker: Worker, tmp_path: Path) -> None:
    """It writes nothing but ASCII."""
    source = tmp_path / "größe.py"
    source.write_text("\nprüfe()\n")
    escaped = str(source).encode("ascii", "backslashreplace").decode()

    assert await worker.writes(BEGIN, frame(escaped)) == [f'File "{source}", line 2, in f', "  prüfe()"]


async def test_latest_report_counts_until_the_worker_answers(worker: Worker) -> None:
    """Of one that is still being written, what is there."""
    reports = (BEGIN, frame("a.py"), BEGIN, frame("b.py"), frame("c.py")[:-2])
    assert await worker.writes(*reports) == ['File "b.py", line 2, in f']

    worker.reports.forget()

    assert await worker.reports.stack() == []
    assert not worker.reports.is_fresh


async def test_innermost_frames_are_told_where_there_are_many(worker: Worker) -> None:
    """No more than 12; also where ours are below all of the author's, as when he prints."""
    told = await worker.writes(BEGIN, frame(OURS), *(frame(f"{n}.py") for n in range(20)))

    assert told == [f'File "{path}", line 2, in f' for path in (*(f"{n}.py" for n in reversed(range(11))), OURS)]


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["nonsense\n"], id="no report"),
        pytest.param([BEGIN, "  <no Python frame>\n"], id="no frame"),
        pytest.param([BEGIN, frame("a.py", function="run"), frame("threading.py", 9, "_bootstrap")], id="other thread"),
        pytest.param([BEGIN, '  File "a.py", line 99999999999999 in f\n'], id="line beyond all lines"),
        pytest.param([BEGIN, frame("a.py"), *[b"x" * 60_000] * 2], id="flood"),
    ],
)
async def test_what_is_no_stack_of_the_loop_is_none(worker: Worker, texts: Sequence[str | bytes]) -> None:
    """Whatever is written: no more than the end of it is kept, and no thread's stack is taken for the loop's."""
    assert await worker.writes(*texts) == []


async def test_what_a_terminal_would_obey_is_not_told(worker: Worker, tmp_path: Path) -> None:
    """Neither of names nor of source; a file that is no file, or without an end, is not read."""
    source = tmp_path / "a.py"
    source.write_text("\n\x1b[2J\n")
    os.mkfifo(tmp_path / "pipe")
    odd = (b'  File "\xff\x00\x1b[2J.py", line 1 in f\n', frame("/dev/zero"), frame(tmp_path / "pipe"))

    told = await asyncio.wait_for(worker.writes(BEGIN, frame(source), *odd), 10)

    mark = "\N{REPLACEMENT CHARACTER}"
    assert told == [
        f'File "{tmp_path}/pipe", line 2, in f',
        'File "/dev/zero", line 2, in f',
        f'File "{mark * 3}[2J.py", line 1, in f',
        f'File "{source}", line 2, in f',
        f"  {mark}[2J",
    ]


@pytest.mark.parametrize(
    ("looks", "dues"),
    [
        pytest.param([(2, True), (3, True), (7, True), (8, True)], "TELL NOTHING TELL NOTHING", id="reported"),
        pytest.param([(2, False), (3, False), (4, False)], "ASK TELL NOTHING", id="no answer"),
        pytest.param([(2, False), (3, True), (9, False), (10, True)], "ASK TELL ASK TELL", id="answered"),
        pytest.param(
            [(2, True), (6, True), (11, False), (11, True), (12, True), (24, True)],
            "TELL TELL NOTHING RENEW NOTHING TELL",
            id="renewed",
        ),
    ],
)
def test_hang_is_told_after_longer_and_longer_times(looks: Sequence[tuple[float, bool]], dues: str) -> None:
    """At first after 1.5 s, then four times as late each; its place is asked for first, and renewed in between."""
    hang = Hang(0, 1.5)

    assert [hang.due(silent_s, has_report=has_report) for silent_s, has_report in looks] == [
        Due[due] for due in dues.split()
    ]
