"""The `fetch` of a WorkerEntrypoint: what it receives, what it may answer, and what becomes of its errors."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import httpx
import pytest

from stepwell import limits
from stepwell.env import Env
from stepwell.fetch import FetchApp
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.web import Request, Response, WorkerEntrypoint

URL = "http://127.0.0.1:8788"


def app_of(fetch: Callable[..., Any], hosts: frozenset[str] | None = LOOPBACK_HOSTS) -> FetchApp:
    """Return an application whose Worker answers with this function."""
    worker = type("Default", (WorkerEntrypoint,), {"fetch": fetch})
    return FetchApp(worker, Env({}, {"COLOUR": "red"}), hosts)


async def ask(app: FetchApp, method: str = "GET", path: str = "/", **more: Any) -> httpx.Response:
    """Send one request."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as client:
        return await client.request(method, path, **more)


async def test_fetch_sees_the_request() -> None:
    """Method, address as it was written, headers whatever their case, and the body."""
    seen: list[Any] = []

    async def fetch(self, request):
        seen.extend([request.method, request.url, request.headers["x-by"], request.headers.get("X-BY")])
        seen.extend(["content-type" in request.headers, await request.json(), request.body_used, self.env.COLOUR])
        return Response("ok")

    await ask(app_of(fetch), "POST", "/a%2Fb?q=%20x&q=2", json={"n": 1}, headers={"X-By": "ann"})

    assert seen == ["POST", f"{URL}/a%2Fb?q=%20x&q=2", "ann", "ann", True, {"n": 1}, True, "red"]
    assert seen[0].name == "POST"


async def test_body_is_read_once_and_a_clone_reads_it_again() -> None:
    """A second read is an error that says what to do."""
    request = Request(URL, "POST", {"a": "b"}, "grüß")
    copy = request.clone()

    assert await request.text() == "grüß"
    assert (await copy.bytes(), copy.headers["A"]) == ("grüß".encode(), "b")
    with pytest.raises(OSError, match="read a clone"):
        await request.buffer()
    with pytest.raises(OSError, match="before its body is read"):
        request.clone()


@pytest.mark.parametrize(
    ("response", "status", "content_type", "content"),
    [
        pytest.param(Response("hello"), 200, "text/plain;charset=UTF-8", b"hello", id="text"),
        pytest.param(Response(b"\0\1", 201), 201, None, b"\0\1", id="bytes"),
        pytest.param(Response(None, status=404), 404, None, b"", id="no body"),
        pytest.param(Response("<p>", headers={"Content-Type": "text/html"}), 200, "text/html", b"<p>", id="headers"),
        pytest.param(Response.json({"a": [1]}), 200, "application/json", b'{"a": [1]}', id="json"),
        pytest.param(Response.json([], 202), 202, "application/json", b"[]", id="json with a status"),
        pytest.param(Response.from_json(5), 200, "application/json", b"5", id="from_json"),
    ],
)
async def test_response_is_sent(response: Response, status: int, content_type: str | None, content: bytes) -> None:
    """Status, headers and body arrive as the author gave them."""

    async def fetch(self, request):
        return response

    answer = await ask(app_of(fetch))

    assert (answer.status_code, answer.headers.get("content-type"), answer.content) == (status, content_type, content)
    assert answer.headers["content-length"] == str(len(content))


async def test_headers_may_repeat_and_lead_elsewhere() -> None:
    """Pairs keep repeated names; `redirect` names another address."""

    async def fetch(self, request):
        if request.url.endswith("/old"):
            return Response.redirect("/new", 301)
        return Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

    app = app_of(fetch)

    assert (await ask(app)).headers.get_list("set-cookie") == ["a=1", "b=2"]
    moved = await ask(app, path="/old")
    assert (moved.status_code, moved.headers["location"]) == (301, "/new")


async def test_response_can_be_read() -> None:
    """What a Response holds is there for the author's own tests."""
    response = Response.json({"a": 1}, 201, headers={"x": "y"})

    assert (response.status, response.ok, response.headers["X"]) == (201, True, "y")
    assert await response.json() == {"a": 1}
    assert json.loads(await response.text()) == {"a": 1}
    assert await Response(b"x", 500).bytes() == b"x"
    assert not Response(b"x", 500).ok


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        pytest.param(lambda: Response(cast("Any", {"a": 1})), TypeError, "Response.json", id="dict"),
        pytest.param(lambda: Response("x", 99), ValueError, "got 99", id="status"),
        pytest.param(lambda: Response("x", headers={"a": "b\r\nc: d"}), ValueError, "line break", id="header split"),
        pytest.param(lambda: Response("x", headers={"a": "b\x01"}), ValueError, "header a cannot", id="control"),
        pytest.param(lambda: Response("x", headers={"a": "\u043a"}), ValueError, "Latin-1", id="beyond Latin-1"),
        pytest.param(lambda: Response("x", 204), TypeError, "has no body", id="body with 204"),
        pytest.param(lambda: Response("x", 304), TypeError, "has no body", id="body with 304"),
        pytest.param(lambda: Response("x", cast("Any", "200")), TypeError, "got '200'", id="status that is a text"),
        pytest.param(lambda: Response("x", headers={"a b": "c"}), ValueError, "'a b'", id="header name"),
        pytest.param(lambda: Response.json(object()), TypeError, "not JSON serializable", id="no JSON"),
    ],
)
def test_response_that_cannot_be_is_refused(make: Callable[[], Response], kind: type[Exception], text: str) -> None:
    """A body, status or header that cannot be sent is an error where it is made."""
    with pytest.raises(kind, match=text):
        make()


async def test_plain_function_answers_from_a_thread() -> None:
    """A `fetch` that is not async may block: it does not run on the event loop."""
    threads: list[bool] = []

    def fetch(self, request):
        threads.append(threading.current_thread() is threading.main_thread())
        return Response("ok")

    assert (await ask(app_of(fetch))).text == "ok"
    assert threads == [False]


@pytest.mark.parametrize(
    ("fetch", "kind"),
    [
        pytest.param(lambda self, request: 1 / 0, "ZeroDivisionError", id="raises"),
        pytest.param(lambda self, request: {"a": 1}, "TypeError", id="returns no Response"),
        pytest.param(lambda self, request: self.env.SECRETS, "AttributeError", id="binding that is not there"),
    ],
)
async def test_error_is_for_the_log_and_its_kind_for_the_caller(
    fetch: Callable[..., Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees 500 and the kind of error; the traceback is in the log."""
    answer = await ask(app_of(fetch), path="/pay")

    assert (answer.status_code, answer.text) == (500, f"fetch raised {kind}; the server's log has its traceback\n")
    assert "Default.fetch failed for GET /pay" in caplog.text


class Odd(BaseException):
    """What nobody expects."""


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), Odd()], ids=["exit", "interrupt", "own"])
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_nothing_that_fetch_raises_ends_the_server(
    raised: BaseException, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees its kind, the log has the author's line, the next request is answered."""

    async def fetch(self, request):
        if request.url.endswith("/bad"):
            raise raised
        return Response("ok")

    def plain(self, request):
        if request.url.endswith("/bad"):
            raise raised
        return Response("ok")

    app = app_of(fetch if is_async else plain)

    bad, good = await ask(app, path="/bad"), await ask(app)

    assert (bad.status_code, good.text) == (500, "ok")
    assert bad.text.startswith(f"fetch raised {type(raised).__name__};")
    assert "raise raised" in caplog.text


async def test_task_that_the_author_has_cancelled_is_an_error_of_his(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody has stopped the request: it is 500 with a traceback in the log, and not to be asked again."""

    async def fetch(self, request):
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    answer = await ask(app_of(fetch))

    assert (answer.status_code, answer.text.split(";")[0]) == (500, "fetch raised CancelledError")
    assert "await task" in caplog.text


async def test_header_that_was_set_later_is_looked_at_too(caplog: pytest.LogCaptureFixture) -> None:
    """A header that would split the response is an error that names it."""

    async def fetch(self, request):
        response = Response("x")
        response.headers["x-a"] = "ok\r\nset-cookie: a=1"
        return response

    answer = await ask(app_of(fetch))

    assert (answer.status_code, "set-cookie" in answer.headers) == (500, False)
    assert "the header x-a cannot be" in caplog.text


async def test_what_is_for_the_server_to_say_is_said_by_it() -> None:
    """How a response is framed is no business of the author's."""

    async def fetch(self, request):
        return Response("four", headers={"Transfer-Encoding": "chunked", "Content-Length": "1", "Connection": "x"})

    answer = await ask(app_of(fetch))

    assert answer.text == "four"
    assert (answer.headers["content-length"], "transfer-encoding" in answer.headers) == ("4", False)


async def test_page_of_another_site_may_not_change_anything() -> None:
    """A change with a foreign Origin is refused on loopback; a page of this machine, whatever its port, may."""

    async def fetch(self, request):
        return Response("ok")

    app = app_of(fetch)
    origins = [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://localhost:5173",
        "http://127.0.0.1",
    ]

    posted = [(await ask(app, "POST", headers={"origin": origin})).status_code for origin in origins]
    read = await ask(app, "GET", headers={"origin": "https://evil.example"})
    reached = await ask(app_of(fetch, hosts=None), "POST", headers={"origin": "https://evil.example"})

    assert posted == [403, 403, 403, 200, 200]
    assert (read.status_code, reached.status_code) == (200, 200)


async def test_request_that_is_ended_is_told_so() -> None:
    """A request that outlasts the grace of a reload is 503, not an error of the author's."""
    began = asyncio.Event()

    async def fetch(self, request):
        began.set()
        await asyncio.Event().wait()

    app = app_of(fetch)
    asked = asyncio.create_task(ask(app))
    await began.wait()
    app.end_requests()

    assert (await asked).status_code == 503


async def test_other_host_is_refused() -> None:
    """On loopback a page of another site cannot reach the Worker under its own name."""

    async def fetch(self, request):
        return Response("ok")

    refused = await ask(app_of(fetch), headers={"host": "evil.example"})
    reached = await ask(app_of(fetch, hosts=None), headers={"host": "shop.example"})

    assert (refused.status_code, "evil.example" in refused.text) == (403, True)
    assert reached.text == "ok"


async def test_body_has_a_limit() -> None:
    """More than Cloudflare takes is 413, and `fetch` does not see it."""

    async def fetch(self, request):
        raise AssertionError("not to be called")

    async def much() -> AsyncIterator[bytes]:
        for _ in range(limits.FETCH_BODY_BYTES // 10**6 + 1):
            yield bytes(10**6)

    answer = await ask(app_of(fetch), "POST", content=much())
    announced = await ask(app_of(fetch), "POST", headers={"content-length": "99999999999"})

    assert (answer.status_code, announced.status_code) == (413, 413)


async def test_worker_whose_code_is_gone_says_so() -> None:
    """After a reload to code without a `fetch` the port answers with 404."""
    answer = await ask(FetchApp(None, None, None))

    assert (answer.status_code, "no WorkerEntrypoint" in answer.text) == (404, True)


@pytest.mark.parametrize("name", ["wait_until", "waitUntil"])
async def test_work_goes_on_behind_the_response(name: str) -> None:
    """What was handed to `ctx.wait_until` goes on after the answer, and is waited for when the server stops."""
    go, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()

    async def fetch(self, request):
        getattr(self.ctx, name)(work())
        return Response("ok")

    app = app_of(fetch)
    assert (await ask(app)).text == "ok"
    assert not done.is_set()
    go.set()
    await app.finish(30)

    assert done.is_set()


async def test_plain_function_may_leave_work_behind() -> None:
    """`ctx.wait_until` works from a thread, and what fails behind a response is in the log."""
    done = asyncio.Event()

    async def work() -> None:
        done.set()
        raise SystemExit(7)

    def fetch(self, request):
        self.ctx.wait_until(work())
        return Response("ok")

    app = app_of(fetch)
    assert (await ask(app)).text == "ok"
    await app.finish(30)

    assert done.is_set()


async def test_work_that_does_not_end_is_ended() -> None:
    """A server that stops does not wait for ever."""
    ended: Awaitable[Any] = asyncio.get_running_loop().create_future()

    async def fetch(self, request):
        self.ctx.wait_until(ended)
        return Response("ok")

    app = app_of(fetch)
    await ask(app)
    await app.finish(0.01)
    await asyncio.sleep(0)

    assert asyncio.isfuture(ended)
    assert ended.cancelled()
