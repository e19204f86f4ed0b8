"""Other programs that tests start, and end."""

import os
import signal
import subprocess
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
    return {pid for pid in map(int, children) if b"worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()}
