"""What a process is and takes of its machine, as `/metrics` tells it: under the names that all programs have.

Source: prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stepwell import __version__
from stepwell.metrics import Counter, Gauge, Metric

_STARTED_AT = time.time()
_OF_THIS_PROCESS = Path("/proc/self")


def vitals(store: str, place: Path) -> list[Metric]:
    """Return what this process is. `store` is the kind of its store, `place` the folder that it writes to. Blocks."""
    build = Gauge("stepwell_build_info", "What runs here; always 1.", ("version", "python", "store"))
    build.set(1, (__version__, platform.python_version(), store))
    started = Gauge("process_start_time_seconds", "When the server was started, in seconds since 1970.")
    started.set(_STARTED_AT)
    cpu = Counter("process_cpu_seconds_total", "CPU time of the server's process, without its workers.")
    cpu.add(more=time.process_time())
    return [build, started, cpu, *_of_linux(), *_disk(place)]


def _of_linux() -> Iterator[Metric]:
    memory = Gauge("process_resident_memory_bytes", "Memory of the server's process, without its workers (Linux).")
    files = Gauge("process_open_fds", "Open files of the server's process, sockets too (Linux).")
    with suppress(OSError):
        pages = (_OF_THIS_PROCESS / "statm").read_text().split()[1]
        memory.set(int(pages) * os.sysconf("SC_PAGE_SIZE"))
        files.set(len(os.listdir(_OF_THIS_PROCESS / "fd")))  # noqa: PTH208 - paths of all of them would be made for nothing
    yield memory
    yield files


def _disk(place: Path) -> Iterator[Metric]:
    where = "the disk that has the file of the store (SQLite), or the code that is run (PostgreSQL)."
    free = Gauge("stepwell_disk_free_bytes", f"What is free on {where}")
    size = Gauge("stepwell_disk_size_bytes", f"The size of {where}")
    with suppress(OSError):
        usage = shutil.disk_usage(place)
        free.set(usage.free)
        size.set(usage.total)
    yield free
    yield size
