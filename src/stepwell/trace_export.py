"""Sends the spans of instances that have ended to where OpenTelemetry's variables say: OTLP over HTTP.

What has ended is noted by the store as it ends, so nothing is lost by a crash, and each host takes what no other has.
What could not be sent is taken again later; what was sent twice is the same spans. Where nothing is to be sent, nothing
of OpenTelemetry is loaded.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import msgspec

from stepwell.clock import Clock
from stepwell.core.records import Created
from stepwell.durations import DAY_MS
from stepwell.facts import fact, fact_of
from stepwell.rounds import rounds
from stepwell.spans import Span, spans_of
from stepwell.store import Store, codec
from stepwell.store.operations import InstanceHistory
from stepwell.store.trace_operations import DropTraces, EndedInstance, ReadEnded, TakeTraces
from stepwell.traces import ENDPOINTS, Trace, Tracing

logger = logging.getLogger(__name__)

EVERY_S = 3.0
# A receiver that is away is left alone for a while.
PAUSE_S = 30.0
# So many instances are taken at once, and so many spans are sent: those of long ones go in several requests.
AT_ONCE = 200
# Read together they take a third of the time; more records of them would keep others waiting who read.
READ_AT_ONCE = 1_000
MOST_SPANS = 1_000
# Within this time they are sent, or others try.
_TAKEN_MS = 120_000
# For so long ends are noted while nobody sends: a server that is stopped for longer has those meanwhile left out.
_NOTED_MS = DAY_MS


class Exporter(Protocol):
    """What sends spans."""

    def send(self, spans: Sequence[tuple[Trace, Span]]) -> bool:
        """Send spans, and block meanwhile; tell whether they have arrived."""

    def close(self) -> None:
        """Try no longer."""


class _Began(msgspec.Struct):
    """What the first record of an instance says of its trace."""

    trigger: str
    traceparent: str | None = None
    tracestate: str | None = None


@dataclass(slots=True)
class TraceExport:
    """Sends what has ended, for ever. `exporter`: None: OpenTelemetry's own."""

    store: Store
    clock: Clock
    tracing: Tracing
    exporter: Exporter | None = None
    pause_s: float = PAUSE_S
    _is_away: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        if self.exporter is None:
            self.exporter = await asyncio.to_thread(_open)
        if self.exporter is None:
            return
        try:
            await rounds("what is to be traced", EVERY_S, self.look)
        finally:
            self.exporter.close()

    async def look(self) -> None:
        """Send what has ended by now. Raises StoreError."""
        while taken := await self.store.run(self._taking()):
            traces = {one.row: trace for one in taken if (trace := self._trace_of(one)) is not None}
            found: list[InstanceHistory] = []
            for some in _together(one for one in taken if one.row in traces):
                read = await self.store.run(ReadEnded(some))
                found += read
            if not await asyncio.to_thread(self._send, traces, found):
                await self._leave_alone()
                return
            self._is_away = False
            await self.store.run(DropTraces([one.row for one in taken]))

    def _taking(self) -> TakeTraces:
        now = self.clock.now()
        return TakeTraces(now, now + _TAKEN_MS, now + _NOTED_MS, AT_ONCE)

    def _trace_of(self, ended: EndedInstance) -> Trace | None:
        """Return the trace of an instance; None: it is not one of those that are kept."""
        began = msgspec.json.decode(ended.created, type=_Began)
        created = Created(ended.created_at, began.trigger, "", None, began.traceparent, began.tracestate)
        key = f"{ended.account}\0{ended.workflow}\0{ended.id}\0{ended.created_at}"
        trace = self.tracing.of_instance(key, created)
        return trace if isinstance(trace, Trace) and trace.is_sampled else None

    def _send(self, traces: Mapping[int, Trace], found: Iterable[InstanceHistory]) -> bool:
        assert self.exporter is not None
        spans = (span for read in found for span in _spans(traces[read.row.row], read))
        return all(self.exporter.send(part) for part in _parts(spans))

    async def _leave_alone(self) -> None:
        if not self._is_away:
            logger.warning(
                "traces cannot be sent; it is tried again, and nothing is lost meanwhile", extra=fact("traces.refused")
            )
        self._is_away = True
        await asyncio.sleep(self.pause_s)


async def begin_traces(store: Store, clock: Clock, tracing: Tracing) -> None:
    """Have ends noted before the first instance runs that is to be traced, if any is. Raises StoreError."""
    if tracing.is_on:
        now = clock.now()
        await store.run(TakeTraces(now, now, now + _NOTED_MS, 0))


def _open() -> Exporter | None:
    """Load OpenTelemetry and return what sends; None: it is not installed."""
    try:
        from stepwell.otlp import OtlpExporter  # noqa: PLC0415 - an extra, and only where spans are sent
    except ImportError:
        logger.warning(
            "%s says where traces are to be sent, but OpenTelemetry is not installed: pip install 'stepwell[otel]'",
            " or ".join(ENDPOINTS),
            extra=fact("traces.unsent"),
        )
        return None
    return OtlpExporter()


def _together(wanted: Iterable[EndedInstance]) -> Iterator[list[int]]:
    """Yield the rows of instances that are to be read together."""
    some: list[int] = []
    records = 0
    for one in wanted:
        if some and records + one.seq > READ_AT_ONCE:
            yield some
            some, records = [], 0
        some.append(one.row)
        records += one.seq
    if some:
        yield some


def _spans(trace: Trace, read: InstanceHistory) -> list[tuple[Trace, Span]]:
    try:
        return [(trace, span) for span in spans_of(trace, read.row, codec.from_rows(read.records))]
    except Exception:  # a history that cannot be read keeps no others from being sent
        row = read.row
        logger.exception(
            "the trace of %s/%s/%s cannot be made",
            row.account,
            row.workflow,
            row.id,
            extra=fact_of(row, "trace.failed"),
        )
        return []


def _parts(spans: Iterator[tuple[Trace, Span]]) -> Iterator[list[tuple[Trace, Span]]]:
    while part := list(islice(spans, MOST_SPANS)):
        yield part
