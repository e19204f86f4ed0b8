"""Spans as OpenTelemetry's own exporter sends them; the one module that needs it (`stepwell[otel]`).

They are made whole: a tracer makes none of the past, and none with ids that are given.
"""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from stepwell import __version__
from stepwell.spans import Span
from stepwell.traces import Headers, Trace

_SCOPE = InstrumentationScope("stepwell", __version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_OK = Status()
_NS = 1_000_000


class _OneResource(Resource):
    """The resource of all spans. The encoder looks it up for each one, and theirs would be written as JSON for that."""

    __hash__ = object.__hash__


class OtlpExporter:
    """Sends to where the variables of OpenTelemetry say, in the name of the service that they say."""

    def __init__(self) -> None:
        self._exporter = OTLPSpanExporter()
        resource = Resource.create()
        is_named = not str(resource.attributes[SERVICE_NAME]).startswith("unknown_service")
        named = resource if is_named else resource.merge(Resource({SERVICE_NAME: "stepwell"}))
        self._resource = _OneResource(named.attributes, named.schema_url)

    def send(self, spans: Sequence[tuple[Trace, Span]]) -> bool:
        """Send spans, and block meanwhile; tell whether they have arrived."""
        made = [self._made(trace, span) for trace, span in spans]
        return self._exporter.export(made) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Try no longer."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # theirs has no annotation

    def _made(self, trace: Trace, span: Span) -> ReadableSpan:
        state = _state(trace.state)
        trace_id = int(trace.trace_id, 16)
        is_remote = trace.parent is not None and span.parent_id == trace.parent.span_id
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(trace_id, int(span.parent_id, 16), is_remote, _SAMPLED, state)
        return ReadableSpan(
            span.name,
            SpanContext(trace_id, int(span.span_id, 16), False, _SAMPLED, state),
            parent,
            self._resource,
            attributes=span.attributes if span.error is None else {**span.attributes, "error.type": span.error[0]},
            links=() if span.link is None else (_link(span.link),),
            # An instance is what somebody has asked for and does not wait for.
            kind=SpanKind.CONSUMER if is_remote or span.parent_id is None else SpanKind.INTERNAL,
            status=_OK if span.error is None else Status(StatusCode.ERROR, span.error[1] or span.error[0]),
            start_time=span.start * _NS,
            end_time=span.end * _NS,
            instrumentation_scope=_SCOPE,
        )


def _link(headers: Headers) -> Link:
    flags = TraceFlags(int(headers.is_sampled))
    return Link(
        SpanContext(int(headers.trace_id, 16), int(headers.span_id, 16), True, flags, _state(headers.tracestate))
    )


def _state(header: str | None) -> TraceState | None:
    return TraceState.from_header([header]) if header else None
