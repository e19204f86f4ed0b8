"""Which trace an instance belongs to, and what its steps hand on."""

import pytest

from stepwell.core.records import Created
from stepwell.traces import HandedOn, Headers, Trace, Tracing

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
ON = Tracing(is_on=True)
# What tells an instance from all others; the result is known, so that no release makes other ids of the same.
KEY = "\0".join(("local", "order", "a", "1790000000000"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(PARENT, PARENT, id="as it is"),
        pytest.param(f"  {PARENT} ", PARENT, id="spaces round it"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", PARENT, id="flags that nobody knows"),
        pytest.param(f"00-{TRACE}-{SPAN}-02", f"00-{TRACE}-{SPAN}-00", id="not kept"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", PARENT, id="a later version"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", None, id="no version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no span"),
        pytest.param(PARENT.upper(), None, id="capitals"),
        pytest.param(PARENT[:-1], None, id="too short"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_header_is_read_as_the_standard_says(given: str, expected: str | None) -> None:
    """What cannot be understood is passed over, as it is no fault of the request."""
    read = Headers.read(given)

    assert (None if read is None else read.traceparent) == expected


@pytest.mark.parametrize(
    ("state", "expected"), [("a=1", "a=1"), ("", None), ("x" * 513, None), ("a=ä", None), ("a=\x01", None)]
)
def test_state_of_others_is_handed_on_if_it_is_short_text(state: str, expected: str | None) -> None:
    """It is theirs: it is not looked into."""
    read = Headers.read(PARENT, state)

    assert read is not None
    assert read.tracestate == expected


def _of(created: Created, tracing: Tracing = ON) -> Trace:
    trace = tracing.of_instance(KEY, created)
    assert isinstance(trace, Trace)
    return trace


def test_ids_are_the_same_whoever_reckons_them() -> None:
    """Today and in another release, in a worker and where spans are sent."""
    trace = _of(Created(0, "api", "{}"))

    assert trace.trace_id == "53a2a3b50550a1dcf900fe9aaecff302"
    assert trace.root_id(0) != trace.root_id(7)
    assert trace.within("key", 2) == f"00-{trace.trace_id}-{trace.attempt_id('key', 2)}-01"
    assert trace.attempt_id("key", 2) not in {trace.attempt_id("key", 1), trace.step_id("key")}


def test_callers_trace_is_continued_and_his_wish_is_followed() -> None:
    """Whatever the ratio is: he has decided for all that are called from his."""
    kept = _of(Created(0, "api", "{}", traceparent=PARENT, tracestate="a=1"), Tracing(is_on=True, per_thousand=0))
    dropped = _of(Created(0, "api", "{}", traceparent=PARENT[:-1] + "0"))

    assert (kept.trace_id, kept.is_sampled, kept.origin) == (TRACE, True, None)
    assert kept.parent == Headers(PARENT, "a=1")
    assert kept.state == "a=1"
    assert (dropped.is_sampled, dropped.within("key", 1)[-2:]) == (False, "00")


def test_what_a_step_creates_is_linked_to_it() -> None:
    """It has a trace of its own, which is kept if that of the step is."""
    trace = _of(Created(0, "binding", "{}", traceparent=PARENT), Tracing(is_on=True, per_thousand=0))

    assert (trace.trace_id != TRACE, trace.parent, trace.origin, trace.is_sampled) == (
        True,
        None,
        Headers(PARENT),
        True,
    )


@pytest.mark.parametrize(
    ("per_thousand", "least", "most"), [(0, 0, 0), (100, 60, 140), (500, 420, 580), (1_000, 1_000, 1_000)]
)
def test_ratio_is_kept(per_thousand: int, least: int, most: int) -> None:
    """Of a thousand instances about so many are traced, and the same ones whoever asks."""
    tracing = Tracing(is_on=True, per_thousand=per_thousand)

    kept = [tracing.of_instance(f"{KEY}{number}", Created(0, "api", "{}")) for number in range(1_000)]

    assert least <= sum(isinstance(trace, Trace) and trace.is_sampled for trace in kept) <= most


def test_where_nothing_is_sent_the_callers_span_is_handed_on() -> None:
    """Whom a step calls belongs to the trace all the same; without a caller there is none."""
    caller = Created(0, "api", "{}", traceparent=PARENT)

    assert Tracing().of_instance(KEY, caller) == HandedOn(Headers(PARENT))
    assert Tracing().of_instance(KEY, Created(0, "api", "{}")) is None


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "shop"}, False),
    ],
)
def test_nothing_is_sent_unless_there_is_an_endpoint(environment: dict[str, str], is_on: bool) -> None:
    """By the variables that OpenTelemetry's programs go by."""
    assert Tracing.of(environment, 1_000).is_on is is_on
