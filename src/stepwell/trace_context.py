"""What an attempt's body finds of its trace: a header, and for OpenTelemetry's libraries the current span."""

import sys

from stepwell.contexts import AttemptContext
from stepwell.traces import CURRENT_TRACE, HandedOn, Headers, Trace


def enter_attempt(trace: Trace | HandedOn | None, ctx: AttemptContext) -> None:
    """Let the body that runs in this context be within its attempt's span."""
    if trace is None or ctx.traceparent is None:
        return
    headers = Headers(ctx.traceparent, trace.state)
    CURRENT_TRACE.set(headers)
    # Where nobody has loaded it nobody looks for a current span, and every step is spared what that costs.
    if "opentelemetry.trace" in sys.modules:
        _attach(headers)


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
