"""Which trace an instance belongs to, and the ids of its spans: made of what tells it from all others, never drawn.

So a worker knows the id of a span that is written much later, by another process, and a span that is sent twice is the
same span. An instance that was created within a caller's trace continues it. One that author code has created has a
trace of its own, which is linked to the step that did: it may go on for a year.

Source: www.w3.org/TR/trace-context/
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar

from msgspec import Struct

from stepwell.core.records import Created

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# What a caller may hand on; what is longer may be dropped.
MOST_STATE = 512

# What makes the headers of the span by which the code that runs now would call somebody: as they are sent.
CURRENT_TRACE: ContextVar["Callable[[], Headers] | None"] = ContextVar("trace", default=None)

_PARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII
)
_OF_API = "api"


class Headers(Struct, frozen=True):
    """What hands on a trace from one program to another."""

    traceparent: str
    tracestate: str | None = None

    @classmethod
    def read(cls, traceparent: str, tracestate: str = "") -> "Headers | None":
        """Return what a request's headers say; None: nothing that can be understood, which is no fault."""
        found = _PARENT.fullmatch(traceparent.strip())
        if found is None:
            return None
        is_kept = tracestate.isascii() and tracestate.isprintable() and 0 < len(tracestate) <= MOST_STATE
        return cls(f"00-{found[1]}-{found[2]}-{int(found[3], 16) & 1:02x}", tracestate if is_kept else None)

    @property
    def trace_id(self) -> str:
        """The trace, as 32 digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """The span within it, as 16 digits."""
        return self.traceparent[36:52]

    @property
    def is_sampled(self) -> bool:
        """Whether whoever wrote them keeps the trace."""
        return self.traceparent.endswith("1")


def current_headers() -> Headers | None:
    """Return what the code that runs now hands on to whom it calls; None: it is within no trace."""
    make = CURRENT_TRACE.get()
    return None if make is None else make()


class Trace(Struct, frozen=True):
    """The trace of an instance. `parent`: the caller's span, which it continues; `origin`: what it is linked to."""

    trace_id: str
    is_sampled: bool
    instance_key: str
    parent: Headers | None = None
    origin: Headers | None = None

    def root_id(self, generation: int) -> str:
        """Return the id of the span of a whole run; `generation`: the seq of the restart that it began with, or 0."""
        return _digest(16, self.trace_id, self.instance_key, str(generation))

    def step_id(self, step_key: str) -> str:
        """Return the id of a step's span, by its idempotency key."""
        return _digest(16, self.trace_id, step_key)

    def attempt_id(self, step_key: str, ordinal: int) -> str:
        """Return the id of the span of an attempt; attempts are counted from 1, those that do not count, too."""
        return _digest(16, self.trace_id, step_key, str(ordinal))

    def within(self, step_key: str, ordinal: int) -> str:
        """Return what an attempt hands on to whom it calls: the header."""
        return f"00-{self.trace_id}-{self.attempt_id(step_key, ordinal)}-{self.is_sampled:02x}"

    @property
    def state(self) -> str | None:
        """What it hands on beside: what others have said."""
        return None if self.parent is None else self.parent.tracestate


class HandedOn(Struct, frozen=True):
    """A trace of which nothing is written here: whoever is called hears of the caller's span."""

    parent: Headers

    def within(self, step_key: str, ordinal: int) -> str:  # noqa: ARG002 - those of Trace.within
        """Return what an attempt hands on to whom it calls: the header."""
        return self.parent.traceparent

    @property
    def state(self) -> str | None:
        """What it hands on beside."""
        return self.parent.tracestate


class Tracing(Struct, frozen=True):
    """Whether instances are traced, and how many: of a thousand, where their caller does not say."""

    is_on: bool = False
    per_thousand: int = 1_000

    @classmethod
    def of(cls, environment: Mapping[str, str], per_thousand: int) -> "Tracing":
        """Return what the variables of OpenTelemetry say: there has to be an endpoint.

        Source: opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
        """
        is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
        is_off = is_off or environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
        return cls(not is_off and any(environment.get(name) for name in ENDPOINTS), per_thousand)

    def of_instance(self, instance_key: str, created: Created) -> Trace | HandedOn | None:
        """Return the trace of an instance that began so; None: it has none, and hands on none."""
        caller = None if created.traceparent is None else Headers(created.traceparent, created.tracestate)
        is_of_caller = caller is not None and created.trigger == _OF_API
        if not self.is_on:
            return HandedOn(caller) if caller is not None and is_of_caller else None
        trace_id = caller.trace_id if caller is not None and is_of_caller else _digest(32, instance_key)
        is_sampled = self._takes(trace_id) if caller is None else caller.is_sampled
        if is_of_caller:
            return Trace(trace_id, is_sampled, instance_key, parent=caller)
        return Trace(trace_id, is_sampled, instance_key, origin=caller)

    def _takes(self, trace_id: str) -> bool:
        """Tell whether a trace is among those that are kept, as any sampler by ratio would."""
        return int(trace_id[16:], 16) * 1_000 < self.per_thousand << 64


OFF = Tracing()


def _digest(digits: int, *parts: str) -> str:
    return hashlib.sha256("\0".join(("trace", *parts)).encode()).hexdigest()[:digits]
