"""Says where a blocked event loop hangs: a thread looks whether the loop still turns, and tells the parent its stack.

The parent knows instance and step, and decides what of it is worth a line; see `hangs.py`.
"""

import asyncio
import faulthandler
import itertools
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from contextvars import Context

# Its default is to be ignored, so it harms no process that does not expect it, and libraries leave it alone.
ASKING = signal.SIGURG

_LOOK_EVERY_S = 0.5
_FRAMES = 50


def watch(reports: int) -> None:
    """Watch the running loop, whose thread this is, for as long as the process lives; write to this descriptor."""
    # The second line, for code that never lets go of the interpreter's lock, as a long regular expression does not: no
    # thread of Python's runs beside that. Not `dump_traceback_later`, which needs no signal: its own thread reads the
    # stack whatever runs meanwhile, of which a busy process dies about every fourth time. The signal is handled in the
    # main thread, the loop's, which stands still for so long; other threads do not, so none of them is shown.
    faulthandler.register(ASKING, file=reports, all_threads=False, chain=False)
    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    dog = threading.Thread(target=_watch, args=(loop, thread, reports), name="stepwell-watchdog", daemon=True)
    dog.start()


def _watch(loop: asyncio.AbstractEventLoop, thread: int, reports: int) -> None:
    turned = threading.Event()
    while True:
        turned.clear()
        try:
            # An empty context: it is no work of the author's.
            loop.call_soon_threadsafe(turned.set, context=Context())
        except RuntimeError:
            # The loop has been closed: the process ends.
            return
        while not turned.wait(_LOOK_EVERY_S):
            _tell(thread, reports)
        threading.Event().wait(_LOOK_EVERY_S)


def _tell(thread: int, reports: int) -> None:
    """Write the stack of a thread, as `faulthandler` does."""
    frame = sys._current_frames().get(thread)
    lines = ["Stack (most recent call first):\n"]
    for inner, line in itertools.islice(traceback.walk_stack(frame), _FRAMES):
        lines.append(f'  File "{inner.f_code.co_filename}", line {line} in {inner.f_code.co_name}\n')
    # The pipe is full where the parent is slow, and closed where it is gone.
    with suppress(OSError):
        os.write(reports, "".join(lines).encode(errors="backslashreplace"))
