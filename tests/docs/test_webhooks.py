"""What docs/webhooks.md shows runs as it is shown."""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stepwell.clock import SystemClock
from stepwell.store.webhook_operations import EVENTS, Due, Receiver
from stepwell.webhooks.messages import body_of, message_id
from stepwell.webhooks.posting import Posted, post
from stepwell.webhooks.signing import headers_of, new_secret
from tests.docs.snippets import shown, text_of

PAGE = text_of("docs/webhooks.md")
(PROGRAM,), (MESSAGE,) = shown("docs/webhooks.md", "python"), shown("docs/webhooks.md", "json")
TO = Receiver(1, "0123456789abcdef0123456789abcdef", "local", "", [])
VERSION = "b5b5c2a1-0000-4000-8000-000000000002"
DUE = Due(7, 1, 1, TO, "completed", "order", "order-1", VERSION, 1_795_428_000_000)


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a receiver; give its address."""
    handler.log_message = lambda *_: None  # type: ignore[method-assign]  # it would write to the terminal
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


async def test_receiver_of_the_page_takes_what_is_signed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, however often it comes; and nothing that somebody else has signed."""
    secret, tls = new_secret(), ssl.create_default_context()
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(PROGRAM, "webhooks.md", "exec"), names)

    async def sent(url: str, signing: str) -> Posted:
        body, now = body_of(DUE), SystemClock().now() // 1_000
        headers = headers_of(message_id(DUE.to.id, DUE.row), now, body, [signing])
        return await post(url, headers, body, "loopback", tls)

    with running(names["Receiver"]) as url:
        answers = [await sent(url, signing) for signing in (new_secret(), secret, secret)]
        await asyncio.sleep(0)

    assert answers == [Posted(401), Posted(204), Posted(204)]
    assert capsys.readouterr().out == "cf.workflows.workflow.instance.completed order-1\n"


def test_message_of_the_page_is_what_is_sent() -> None:
    """Member by member, in their order."""
    assert json.dumps(json.loads(body_of(DUE))) == json.dumps(json.loads(MESSAGE))


def test_page_has_each_event() -> None:
    """By its name."""
    _, _, table = PAGE.partition("## Events")

    assert set(re.findall(r"`(\w+)`", table.partition("Sleeping")[0])) >= {*EVENTS}
