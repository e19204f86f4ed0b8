"""What processes take, as Linux tells it: CPU time and memory of whole trees, and the end of them."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_S = 0.2
_GRACE_S = 3


def cpu_s(roots: Sequence[int]) -> float:
    """Return the CPU seconds of some processes and their children so far, of those that have ended too."""
    ticks = 0
    for pid in _trees(roots):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
            # Its own, and that of children that have ended. Those of this process may be anything.
            ticks += sum(map(int, fields[11:13] if pid == os.getpid() else fields[11:15]))
    return ticks / _TICKS_PER_S


def memory_mb(roots: Sequence[int]) -> float:
    """Return the memory of some processes and their children: what they share is divided among them (PSS)."""
    kilobytes = 0
    for pid in _trees(roots):
        with suppress(OSError):
            told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
            kilobytes += int(told.partition("\nPss:")[2].split()[0])
    return kilobytes / 1024


def _trees(roots: Sequence[int]) -> list[int]:
    """Return the processes and their children. What this process has started counts only if it is named."""
    found: dict[int, None] = {}
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found[pid] = None
        if pid != os.getpid():
            waiting.extend(child for child in _children(pid) if child not in found)
    return list(found)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text("ascii").split())
    return found


class Meter:
    """What processes take while it is entered: CPU seconds, and the most memory at any moment."""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self.cpu_s = 0.0
        self.peak_mb = 0.0
        self._pids = pids
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self.cpu_s = -cpu_s(self._pids())
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with a last look."""
        self.cpu_s += cpu_s(self._pids())
        self._ended.set()
        self._looking.join()
        self.peak_mb = max(self.peak_mb, memory_mb(self._pids()))

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            self.peak_mb = max(self.peak_mb, memory_mb(self._pids()))


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and kill what is left of it and its children."""
    tree = _trees([process.pid])
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    for pid in tree:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def end_group(process: "subprocess.Popen[str]") -> None:
    """End a process that leads a group, and then kill whatever of its group is left."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
