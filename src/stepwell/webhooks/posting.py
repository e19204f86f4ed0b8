"""One message on its way to a receiver: a request of HTTP/1.1 on a connection of its own.

Streams of asyncio do, as of the answer nothing is wanted but its status: redirects are not followed, and what a
receiver answers is shown to nobody. So a time-out holds for all of it, no thread waits, and no library is loaded.
"""

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from stepwell.webhooks.networks import NotAllowed, addresses_of, parts_of

TIMEOUT_S = 15.0
# How much of an answer's head is read at the most, and of its body, for which a receiver gets a moment.
HEAD_BYTES = 16_384
BODY_BYTES = 65_536
_BODY_S = 0.5
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |\r)")
_INFORMATIONAL = range(100, 200)
# Heads of an answer that are read: informational ones, and the last.
_MOST_HEADS = 8


class Posted(NamedTuple):
    """What became of a request: the status of its answer, or why there is none."""

    status: int | None
    problem: str | None = None


async def post(url: str, headers: Mapping[str, str], body: bytes, networks: str, tls: ssl.SSLContext) -> Posted:
    """Send a message; `networks` are those in which its receiver may be."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            addresses = await addresses_of(url, networks)
            return await _exchange(url, addresses, _request(url, headers, body), tls)
    except NotAllowed as error:
        return Posted(None, str(error))
    except TimeoutError:
        return Posted(None, f"no answer within {TIMEOUT_S:g} seconds")
    except ssl.SSLError as error:
        return Posted(None, f"no TLS: {getattr(error, 'verify_message', '') or error.reason or 'refused'}")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return Posted(None, "what answers does not speak HTTP, or says too much")
    except OSError as error:
        return Posted(None, f"no connection: {_in_words(error)}")


def _in_words(error: OSError) -> str:
    """Return the system's words; asyncio's own name the address, which is not everybody's to know."""
    is_of_system = error.errno is not None and error.errno > 0
    return os.strerror(error.errno or 0) if is_of_system else error.strerror or type(error).__name__


async def _exchange(url: str, addresses: list[str], request: bytes, tls: ssl.SSLContext) -> Posted:
    reader, writer = await _connect(url, addresses, tls)
    try:
        writer.write(request)
        await writer.drain()
        status = await _status(reader)
        # Who is still writing when the connection goes would complain.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_BODY_S):
                await _drop(reader)
        return Posted(status)
    finally:
        writer.transport.abort()


async def _connect(
    url: str, addresses: list[str], tls: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of some addresses that takes it. Raises OSError."""
    parts, host, port = parts_of(url)
    *others, last = addresses
    is_secure = parts.scheme == "https"
    connect = partial(
        asyncio.open_connection,
        port=port,
        limit=HEAD_BYTES,
        ssl=tls if is_secure else None,
        server_hostname=host if is_secure else None,
    )
    for address in others:
        with contextlib.suppress(ConnectionError):
            return await connect(address)
    return await connect(last)


async def _status(reader: asyncio.StreamReader) -> int:
    """Return the status of the answer. Raises ValueError for what is none."""
    for _ in range(_MOST_HEADS):
        found = _STATUS_LINE.match(await reader.readuntil(b"\r\n\r\n"))
        if found is None:
            raise ValueError
        status = int(found[1])
        if status not in _INFORMATIONAL:
            return status
    raise ValueError


async def _drop(reader: asyncio.StreamReader) -> None:
    left = BODY_BYTES
    while left > 0 and (read := await reader.read(left)):
        left -= len(read)


def _request(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    parts, _, _ = parts_of(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    said = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "User-Agent": "Stepwell",
        **headers,
    }
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + body
