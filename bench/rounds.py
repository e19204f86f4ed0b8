"""Rounds: each engine is started, measured and stopped in turn, again and again, each time on an empty folder.

What a machine does beside changes from minute to minute; in turn it meets all of them alike.
"""

import os
import platform
import queue
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec

from bench.engines import ROOT, Engine
from bench.postgres import database
from bench.processes import end_group

# A driver that says nothing for so long is stuck.
_LIMIT_S = 90.0
_LARGE_LIMIT_S = 400.0


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one engine did in one work in one round, or why it did not."""

    round: int
    engine: str
    work: str
    size: str = ""
    figures: dict[str, float] = {}
    failed: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A line that a driver has printed."""

    versions: dict[str, str] | None = None
    work: str = ""
    size: str = ""
    figures: dict[str, float] = {}
    failed: str = ""


class Run(msgspec.Struct):
    """All that was found, and on what."""

    machine: dict[str, str]
    versions: dict[str, dict[str, str]] = {}
    missing: dict[str, str] = {}
    found: list[Found] = []
    # The most CPU cores that others had while an engine was measured.
    others_cores: float = 0.0
    seconds: float = 0.0


def this_machine() -> dict[str, str]:
    """Return what figures depend on."""
    kinds = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "--target", tempfile.gettempdir()],  # noqa: S607 - wherever a system has it
        capture_output=True,
        text=True,
        check=False,
    )
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": str(os.cpu_count()),
        "processor": model[0].partition(": ")[2] if model else platform.machine(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": kinds.stdout.partition("\n")[0] or "unknown",
        "Python": platform.python_version(),
    }


def measure(run: Run, engine: Engine, number: int, works: Sequence[str], scale: float) -> Iterator[Found]:
    """Start an engine, yield what is found of each of its works, and stop it: nothing of it is left."""
    begun, busy, ours = time.perf_counter(), _busy_s(), _ours_s()
    with ExitStack() as opened:
        folder = opened.enter_context(_folder())
        command = [engine.python, "-m", engine.module, folder, "--variant", engine.variant, "--scale", str(scale)]
        if engine.needs_database:
            url, pid = opened.enter_context(database())
            command += ["--database", url, "--database-pid", str(pid)]
        yield from _answers(run, engine, number, works, [*map(str, command), "--works", ",".join(works)])
    others = (_busy_s() - busy) - (_ours_s() - ours)
    run.others_cores = max(run.others_cores, others / (time.perf_counter() - begun))


def _answers(run: Run, engine: Engine, number: int, works: Sequence[str], command: list[str]) -> Iterator[Found]:
    limit_s = _LARGE_LIMIT_S if "large" in works else _LIMIT_S
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    left = list(works)
    try:
        for line in _lines(process.stdout, limit_s):
            answer = msgspec.json.decode(line, type=Answer)
            if answer.versions is not None:
                run.versions[engine.name] = answer.versions
                continue
            left.remove(answer.work)
            yield Found(number, engine.name, answer.work, answer.size, answer.figures, answer.failed)
        why = "" if process.wait(_LIMIT_S) == 0 else f"its driver ended with {process.returncode}"
    except (TimeoutError, subprocess.TimeoutExpired):
        why = f"no answer for {limit_s:.0f} s"
    finally:
        end_group(process)
        process.stdout.close()
    if why:
        yield from (Found(number, engine.name, work, failed=why) for work in left)


def _lines(pipe: IO[str], limit_s: float) -> Iterator[str]:
    """Yield the lines of a pipe. Raises TimeoutError if one does not come in time."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in pipe:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            return
        yield line


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder; what of it cannot be removed at once, as something still ends, is left to the system."""
    folder = Path(tempfile.mkdtemp(prefix="stepwell-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _busy_s() -> float:
    """Return for how long the cores of this machine have been busy."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _ours_s() -> float:
    """Return how long this process and its children that have ended were on a core."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
