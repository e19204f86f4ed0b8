"""A connection over which a server is asked, with the least that a client of HTTP has to do."""

import asyncio
from typing import Self


class Connection:
    """A connection that is kept open."""

    def __init__(self, port: int, headers: str) -> None:
        self._port = port
        self._headers = headers

    @classmethod
    async def open(cls, port: int, headers: str = "") -> Self:
        """Connect to a server on this machine; the headers are those of each request."""
        connection = cls(port, headers)
        await connection._connect()
        return connection

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
        """Send a request and return the body of its answer. Raises OSError where the server refuses it."""
        # A server hangs up on who has asked nothing for a while.
        if self._reader.at_eof():
            self.close()
            await self._connect()
        headers += self._headers
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        body = await self._body(answer)
        if not answer[9:12].startswith(b"2"):
            raise OSError(f"{method} {path}: {answer[9:12].decode()} {body[:300].decode()}")
        return body

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" not in head:
            return await self._reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
