"""Says where a blocked event loop hangs: a thread looks whether the loop still turns, and shows its stack if not."""

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_FRAMES = 12
# What stands above the author's first line tells nothing.
_OURS = str(Path(__file__).parent) + os.sep


def watch(name: str, blocked_after_s: float) -> None:
    """Watch the running loop, whose thread this is, for as long as the process lives."""
    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    dog = threading.Thread(
        target=_watch, args=(loop, thread, name, blocked_after_s), name="stepwell-watchdog", daemon=True
    )
    dog.start()


def _watch(loop: asyncio.AbstractEventLoop, thread: int, name: str, blocked_after_s: float) -> None:
    turned = threading.Event()
    while True:
        turned.clear()
        try:
            # An empty context: it is no work of the author's.
            loop.call_soon_threadsafe(turned.set, context=Context())
        except RuntimeError:
            # The loop has been closed: the process ends.
            return
        after_s, silent_s = blocked_after_s, 0.0
        while not turned.wait(after_s - silent_s):
            silent_s = after_s
            after_s *= 4
            _tell(thread, name, silent_s)
        turned.wait()
        threading.Event().wait(_LOOK_EVERY_S)


def _tell(thread: int, name: str, silent_s: float) -> None:
    frame = sys._current_frames().get(thread)
    if frame is not None:
        lines = "".join(traceback.format_list(_of_the_author(traceback.extract_stack(frame)))).rstrip()
        logger.warning("%s has been blocked for %.1f s, and is here now:\n%s", name, silent_s, lines)


def _of_the_author(frames: Sequence[traceback.FrameSummary]) -> Sequence[traceback.FrameSummary]:
    """Return the innermost frames: from the author's first line on, below all of ours, if one is there."""
    last = max((i for i, frame in enumerate(frames) if frame.filename.startswith(_OURS)), default=-1)
    return (frames[last + 1 :] or frames)[-_FRAMES:]
