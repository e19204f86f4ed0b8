"""What systemd is told of a server that it has started as a service of `Type=notify`: ready, alive, stopping.

Each is one datagram to the socket that the environment names. Where it names none, nothing is sent.
Source: www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, MutableMapping

from msgspec import Struct

from stepwell.facts import fact

logger = logging.getLogger(__name__)

_SOCKET, _WATCHDOG_US, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Systemd(Struct, frozen=True):
    """Who is told; an empty `address` is nobody. `watchdog_s`: how soon signs of life follow each other, 0: never."""

    address: str = ""
    watchdog_s: float = 0.0

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "Systemd":
        """Return what an environment names, and take it away there: it is for this process, not for its workers."""
        address = environment.pop(_SOCKET, "")
        watchdog_us = environment.pop(_WATCHDOG_US, "")
        # Absent: it is meant for whoever reads it.
        is_meant = environment.pop(_WATCHDOG_PID, "") in {"", str(os.getpid())}
        return cls(address, int(watchdog_us) / 1_000_000 if is_meant and watchdog_us.isdecimal() else 0.0)

    @contextlib.asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Say that the server is ready, and meanwhile that its loop turns."""
        self._tell("READY=1")
        living = asyncio.create_task(self._live())
        try:
            yield
        finally:
            living.cancel()

    def stopping(self, at_most_s: float) -> None:
        """Say that the server stops, and how long that may take, whatever the unit says."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={at_most_s * 1_000_000:.0f}")

    async def _live(self) -> None:
        while self.watchdog_s:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _tell(self, *lines: str) -> None:
        if not self.address:
            return
        # An @ stands for the zero with which the name of an abstract socket begins.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            logger.warning(
                "systemd cannot be told %s: %s", lines[0], error, extra=fact("systemd.unreachable", error=error)
            )
