"""Whatever is sent, the answer is an envelope and never a fault of ours."""

import asyncio
from collections.abc import Iterable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from stepwell.api import create_app
from stepwell.api.routes import ROUTES
from stepwell.clock import VirtualClock
from stepwell.engine import Engine
from stepwell.hosts import LOOPBACK_HOSTS
from stepwell.server_settings import Settings
from stepwell.store.sqlite import SqliteStore
from tests.api.asgi import ENVELOPE_MEMBERS, Answer, ask
from tests.api.histories import Histories

WORDS = [
    "order",
    "a",
    "none",
    "batch",
    "terminate",
    "settings",
    "events",
    "step",
    "*/30 * * * *-1",
    "x" * 300,
    "<script>alert(1)</script>",
]
VALUES = [
    "",
    "1",
    "0",
    "-1",
    "100",
    "true",
    "asc",
    "desc",
    "queued",
    "2026-11-23T10:00:00Z",
    "c2FzYywx",
    "aTEsMQ",
]
NAMES = [*sorted({name for route in ROUTES for name in route.query}), "unknown"]

odd_bytes = st.binary(max_size=20).map(lambda data: data.decode("latin-1").replace("?", ""))
escapes = st.binary(max_size=10).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
part = st.sampled_from(WORDS) | odd_bytes | escapes
pattern = st.sampled_from([route.pattern for route in ROUTES])
value = st.sampled_from(VALUES) | odd_bytes | escapes | st.integers().map(str)
query = st.lists(st.tuples(st.sampled_from(NAMES) | odd_bytes, value), max_size=5).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
method = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"])
json_text = st.recursive(
    st.sampled_from(["null", "true", "5", "1e400", "NaN", '"text"', '"\\ud800"', '"{}"', "", "9" * 50]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
        | st.tuples(st.sampled_from(["instance_id", "params", "instance_retention", "é"]), inner).map(
            lambda pair: f'{{"{pair[0]}":{pair[1]}}}'
        )
    ),
    max_leaves=6,
).map(str.encode)
body = json_text | st.binary(max_size=50)
header = st.tuples(
    st.sampled_from(["content-type", "content-length", "origin", "accept", "authorization", "transfer-encoding"]),
    st.sampled_from(["", "0", "99999999999999999999999", "-1", "text/plain", "text/html", "http://localhost", "\xff"]),
)


@st.composite
def targets(draw: st.DrawFn) -> str:
    """Draw a path: of some route, with any parts, sometimes with more behind it."""
    parts = [draw(part) if piece.startswith("{") else piece for piece in draw(pattern).split("/")]
    tail = draw(st.sampled_from(["", "", "", "/", "//", "/x"]))
    return "/".join(parts) + tail


async def _ask_new_server(
    target: str, method: str, body: bytes, headers: Iterable[tuple[str, str]], store: SqliteStore
) -> Answer:
    engine = Engine(store, VirtualClock(), settings=Settings(longest_poll=0))
    histories = Histories(engine, engine.clock)  # type: ignore[arg-type]  # the clock above
    await histories.register("order")
    await histories.queued("order", "a")
    app: ASGIApp = create_app(engine, account="local", hosts=LOOPBACK_HOSTS)
    answer = await ask(app, target, method, body, [("host", "localhost"), *headers])
    await store.close()
    return answer


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(targets(), query, method, body, st.lists(header, max_size=3))
@example("/client/v4/accounts/a/workflows/order/instances", "", "POST", b'{"params":' + b"[" * 100_000, [])
@example("/<script>alert(1)</script>", "a=<script>alert(1)</script>", "GET", b"", [("accept", "text/html")])
@example("/client/v4/accounts/a/workflows/order/instances/a/events/e", "", "POST", b"\xed\xa0\x80", [])
@example("/client/v4/accounts/a/workflows/order/instances/a", "cursor=" + "A" * 5000, "GET", b"", [])
@example(
    "/client/v4/accounts/a/workflows/order/instances",
    "date_start=0001-01-01T00:00:00%2B23:59",
    "GET",
    b"",
    [],
)
@example("/client/v4/accounts/a/workflows/order/instances", "date_end=9999-12-31T23:59:59-23:59", "GET", b"", [])
def test_any_request_gets_an_envelope(
    target: str, query: str, method: str, body: bytes, headers: list[tuple[str, str]]
) -> None:
    """Random paths, queries, methods, bodies and headers cause no 5xx, and are answered in the envelope."""
    store = SqliteStore.in_memory()

    answer = asyncio.run(_ask_new_server(f"{target or '/'}?{query}", method, body, headers, store))

    assert answer.status in {200, 400, 403, 404, 405, 413}
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.headers["content-type"].startswith("text/html"):
        assert b"alert(1)" not in answer.body
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    bare = answer.body.startswith((b'{"status":"ok"', b'{"openapi":"'))
    if answer.headers["content-type"] == "application/json" and not bare:
        envelope = answer.json()
        assert ENVELOPE_MEMBERS <= set(envelope) <= ENVELOPE_MEMBERS | {"result_info"}
        assert envelope["success"] == (answer.status == 200)
        assert len(envelope["errors"]) == (answer.status != 200)
