"""Other programs that tests start, and end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run a command, whose output is to be read, with options of Popen; neither it nor a child is left, whatever fails.

    Its exit code is that of a killed program, unless it was waited for.
    """
    options = {"stdout": subprocess.PIPE, "text": True, **options}
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def own_workers() -> set[int]:
    """Return the worker processes that this one has started and that are still there. Linux."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {pid for pid in map(int, children) if b"worker_process" in _command_of(pid)}


def _command_of(pid: int) -> bytes:
    """Return the command line of a child; b"" if it has ended.

    A process that has just been started has none yet: the kernel lets its parent go on before it has set it.
    """
    process = Path(f"/proc/{pid}")
    try:
        while not (command := (process / "cmdline").read_bytes()):
            if (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                break
            time.sleep(0.001)
    except (FileNotFoundError, ProcessLookupError):  # it was waited for meanwhile
        return b""
    return command
