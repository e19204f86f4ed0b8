"""What an attempt's body finds of its trace: a header, and for OpenTelemetry's libraries the current span."""

import sys

from stepwell.core.keys import idempotency_key
from stepwell.core.step_answers import Attempt
from stepwell.traces import CURRENT_TRACE, HandedOn, Headers, Trace


def enter_attempt(trace: Trace | HandedOn | None, attempt: Attempt) -> None:
    """Let the body that runs in this context be within its attempt's span."""
    if trace is None:
        return
    # Most bodies call nobody, and are spared the digests that the header is made of.
    CURRENT_TRACE.set(lambda: _headers(trace, attempt))
    # Where nobody has loaded it nobody looks for a current span, and every step is spared what that costs.
    if "opentelemetry.trace" in sys.modules:
        _attach(_headers(trace, attempt))


def _headers(trace: Trace | HandedOn, attempt: Attempt) -> Headers:
    if isinstance(trace, HandedOn):
        return trace.parent
    step_key = idempotency_key(trace.instance_key, attempt.key, attempt.generation)
    return Headers(trace.within(step_key, attempt.ordinal), trace.state)


def _attach(headers: Headers) -> None:
    """Let libraries that send requests find the span; nobody takes it back, as the context is the body's own."""
    from opentelemetry import context, trace  # noqa: PLC0415 - where it is loaded

    state = trace.TraceState.from_header([headers.tracestate]) if headers.tracestate else None
    span = trace.SpanContext(
        int(headers.trace_id, 16),
        int(headers.span_id, 16),
        is_remote=False,
        trace_flags=trace.TraceFlags(int(headers.is_sampled)),
        trace_state=state,
    )
    context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span)))
