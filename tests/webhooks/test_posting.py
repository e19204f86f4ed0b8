"""One message on its way: what is sent, and what is made of whatever answers."""

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.webhooks import posting
from stepwell.webhooks.posting import BODY_BYTES, HEAD_BYTES, Posted, post
from tests.webhooks.receivers import Message, receiver

NO_HTTP = Posted(None, "what answers does not speak HTTP, or says too much")
NOTHING = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def sent(url: str, networks: str = "loopback", tls: ssl.SSLContext | None = None) -> Posted:
    """Send a message."""
    return await post(url, {"webhook-id": "msg_1"}, b"{}", networks, tls or ssl.create_default_context())


async def test_request_is_what_receivers_expect() -> None:
    """A POST of JSON with its length and headers, to the path and query of the address."""
    async with receiver(NOTHING) as there:
        posted = await sent(there.url)

    (message,) = there.got
    assert posted == Posted(200)
    assert (message.line, message.body) == ("POST /hook?a=b HTTP/1.1", b"{}")
    assert message.headers == {
        "host": f"127.0.0.1:{there.port}",
        "content-type": "application/json",
        "content-length": "2",
        "connection": "close",
        "user-agent": "Stepwell",
        "webhook-id": "msg_1",
    }


@pytest.mark.parametrize(
    ("answer", "posted"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", Posted(200)),
        (b"HTTP/1.0 202\r\n\r\n", Posted(202)),
        (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 410 Gone\r\n\r\n", Posted(410)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\n\r\n", Posted(503)),
        (b"SSH-2.0-OpenSSH\r\n\r\n", NO_HTTP),
        (b"HTTP/2 200\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 099 No\r\n\r\n", NO_HTTP),
        (b"", NO_HTTP),
        (
            b"HTTP/1.1 200 OK\r\na: " + b"a" * HEAD_BYTES,
            NO_HTTP,
        ),
    ],
    ids=["answer", "old", "hints", "busy", "ssh", "http2", "no status", "nothing", "large head"],
)
async def test_status_is_all_that_is_wanted_of_an_answer(answer: bytes, posted: Posted) -> None:
    """Whatever it is, and however much."""
    async with receiver(answer) as there:
        assert await sent(there.url) == posted


async def test_redirect_is_not_followed() -> None:
    """It would be a way round the rule where receivers may be."""
    async with receiver(NOTHING) as other:
        moved = f"HTTP/1.1 302 Found\r\nlocation: {other.url}\r\ncontent-length: 0\r\n\r\n".encode()
        async with receiver(moved) as there:
            assert await sent(there.url) == Posted(302)

    assert other.got == []


async def test_answer_without_an_end_is_left() -> None:
    """A part of it is read for the sake of who writes, and no more."""
    written = 0

    async def pour(_: Message, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"a" * 4_096)
            await writer.drain()
            written += 4_096

    async with receiver(pour) as there:
        assert await sent(there.url) == Posted(200)

    # What the system has taken beside it is its own.
    assert written < BODY_BYTES + 16 * 2**20


async def test_answer_that_never_begins_is_left() -> None:
    """Who says again and again that it is about to come does not keep the server busy until the time-out."""

    async def promise(_: Message, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await writer.drain()

    async with receiver(promise) as there:
        assert await sent(there.url) == NO_HTTP


async def test_receiver_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out holds for all of it: also where a byte comes now and then."""
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.2)

    async def drip(_: Message, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with receiver(drip) as there:
        assert await sent(there.url) == Posted(None, "no answer within 0.2 seconds")


async def test_nobody_who_listens_is_told() -> None:
    """With the system's word for it."""
    async with receiver() as there:
        pass

    assert await sent(there.url) == Posted(None, "no connection: Connection refused")
    assert (await sent("https://nowhere.invalid/")).problem is not None


async def test_receiver_where_none_may_be_is_sent_nothing() -> None:
    """Whatever was allowed when the webhook was made."""
    async with receiver() as there:
        posted = await sent(f"https://localhost:{there.port}/", "public")

    assert posted.status is None
    assert "it is at a loopback address" in str(posted.problem)
    assert there.got == []


async def test_certificate_is_checked(tmp_path: Path, require: Callable[..., None]) -> None:
    """One that nobody trusts is refused, one that is trusted is taken for its own name alone."""
    require("openssl", "a certificate to be refused")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *names)
    files = (tmp_path / "key.pem", tmp_path / "cert.pem")
    command = [*made, "-keyout", str(files[0]), "-out", str(files[1]), "-days", "2"]
    await asyncio.to_thread(lambda: subprocess.run(command, check=True, capture_output=True))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    await asyncio.to_thread(tls.load_cert_chain, files[1], files[0])
    trusting = await asyncio.to_thread(lambda: ssl.create_default_context(cafile=str(files[1])))

    async with receiver(NOTHING, tls) as there:
        unknown = await sent(f"https://localhost:{there.port}/")
        known = await sent(f"https://localhost:{there.port}/", tls=trusting)
        other = await sent(f"https://127.0.0.1:{there.port}/", tls=trusting)

    assert unknown == Posted(None, "no TLS: self-signed certificate")
    assert known == Posted(200)
    assert "no TLS: IP address mismatch" in str(other.problem)
    assert len(there.got) == 1
