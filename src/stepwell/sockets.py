"""Listening sockets, and why one cannot be had.

Binding is a step of its own: a socket can be made in one process and bound in another that has inherited it.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

from stepwell.errors import CannotListen

_BACKLOG = 2048
_LARGEST_PORT = 65535
_HINTS_AMONG = 100


def make(host: str, port: int) -> socket.socket:
    """Return a socket for a host, not bound yet. Raises CannotListen."""
    try:
        family, kind, protocol, _, _ = _look_up(host, port)
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}: {error.strerror}") from error
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock


def listen(sock: socket.socket, host: str, port: int, option: str) -> None:
    """Bind a socket and listen; `option` is what the command line calls the port. Raises CannotListen."""
    try:
        sock.bind(_look_up(host, port)[4])
        # Listening at once, not later: so a second server on this port is refused.
        sock.listen(_BACKLOG)
    except OSError as error:
        raise CannotListen(_reason(host, port, option, error)) from error
    sock.setblocking(False)


def is_listening(sock: socket.socket) -> bool:
    """Tell whether a socket was bound before, here or in another process."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(host: str, port: int) -> str:
    """Return an address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached(host: str) -> str:
    """Return by which host this machine reaches a server that listens on one: on all addresses it is none itself."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # told to be asked at, not listened at


def _look_up(host: str, port: int) -> Any:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]


def _reason(host: str, port: int, option: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"port {port} needs more rights than you have; take one above 1023, such as {option} 8787"
    above = range(port + 1, min(port + _HINTS_AMONG, _LARGEST_PORT + 1))
    free = next((other for other in above if _is_free(host, other)), None)
    hint = f"; port {free} is free: {option} {free}" if free else ""
    return f"cannot listen on {shown(host, port)}: {(error.strerror or str(error)).lower()}{hint}"


def _is_free(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), _trial(host, port):
        return True
    return False


@contextlib.contextmanager
def _trial(host: str, port: int) -> Iterator[None]:
    family, kind, protocol, _, address = _look_up(host, port)
    with socket.socket(family, kind, protocol) as sock:
        sock.bind(address)
        yield
