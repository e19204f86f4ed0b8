"""The figures of a soak, as tables in Markdown."""

import os
import platform
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.soak.calls import ACKNOWLEDGED, REFUSED, Asked, Call
from tests.soak.faults import Span
from tests.soak.promises import Broken, Findings
from tests.soak.watching import Recovery

# Of the 99th percentile while the parent lives, in milliseconds: what is promised on a machine that has time for it.
P99_MS = 250.0
QUIET = "between faults"
AWAY = "no parent that runs"
NO_DATABASE = "no database"
# Of each promise that was broken.
_SHOWN = 6
ALL_FAULTS = "during faults, while the parent lives"


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was injected; its `ended` is the moment at which the store went on with all."""

    kind: str
    began: float
    ended: float
    recovery: Recovery


@dataclass
class Soaked:
    """All that one soak has brought."""

    store: str
    seed: int
    seconds: float = 0.0
    injected: list[Injected] = field(default_factory=list)
    away: Sequence[Span] = ()
    without_database: Sequence[Span] = ()
    calls: Sequence[Call] = ()
    asked: Sequence[Asked] = ()
    findings: Findings = field(default_factory=Findings)
    drained_s: float = 0.0
    # Of the parents that were there at the end: memory in MB, and descriptors at their start and at the end.
    parents: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[Broken]:
        """The promises that were broken."""
        return self.findings.broken

    def latencies(self) -> dict[str, list[float]]:
        """Return how long requests took in milliseconds, by what was done to the servers meanwhile."""
        took: dict[str, list[float]] = defaultdict(list)
        for asked in self.asked:
            ms = (asked.ended - asked.began) * 1_000
            where = self._place_of(asked)
            took[where].append(ms)
            if where not in (QUIET, AWAY, NO_DATABASE):
                took[ALL_FAULTS].append(ms)
        return took

    def _place_of(self, asked: Asked) -> str:
        if any(_meets(asked, span) and span.of in (None, asked.host) for span in self.away):
            return AWAY
        if any(_meets(asked, span) for span in self.without_database):
            return NO_DATABASE
        return next((fault.kind for fault in self.injected if _meets(asked, fault)), QUIET)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of requests during faults, while the parent lived."""
        return percentile(self.latencies()[ALL_FAULTS], 99)


def render(soaked: Soaked) -> str:
    """Return everything as Markdown."""
    parts = [
        f"### {soaked.store}, {soaked.seconds:.0f} s, seed {soaked.seed}",
        machine(),
        "**Faults, and what came after them**",
        _faults(soaked),
        "**Calls of the clients**",
        _calls(soaked),
        "**How long requests took, in ms**",
        _latencies(soaked),
        f"The 99th percentile during faults, while the parent lives, is {soaked.p99_ms:.0f} ms; on a machine that has "
        f"time for it, it is to be under {P99_MS:.0f} ms.",
        "**What was there to be held against the ledgers**",
        table(["", "count"], [[name, f"{count:,}"] for name, count in sorted(soaked.findings.counts.items())]),
        f"All had ended {soaked.drained_s:.1f} s after the last fault. {' '.join(soaked.parents)}",
        f"**Broken promises: {len(soaked.broken)}**",
    ]
    if soaked.broken:
        counts = Counter(broken.promise for broken in soaked.broken)
        parts.append(table(["promise", "broken"], [[name, str(count)] for name, count in counts.items()]))
        parts.append("\n".join(_some_of_each(soaked.broken)))
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """Return in words what has been measured on, and how busy it is."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores; "
        f"load average {os.getloadavg()[1]:.1f} at the end, that of others included."
    )


def _some_of_each(broken: Sequence[Broken]) -> Iterator[str]:
    shown: Counter[str] = Counter()
    for each in broken:
        shown[each.promise] += 1
        if shown[each.promise] <= _SHOWN:
            yield f"- {each.promise}: {each.id} {each.text}"


def _faults(soaked: Soaked) -> str:
    by_kind: dict[str, list[Recovery]] = defaultdict(list)
    for fault in soaked.injected:
        by_kind[fault.kind].append(fault.recovery)
    rows = []
    for kind, found in sorted(by_kind.items()):
        live = statistics.median(each.live for each in found)
        recorded = _spread([each.recorded_s for each in found])
        claimed = _spread([each.claimed_s for each in found])
        rows.append([kind, str(len(found)), f"{live:,.0f}", recorded, claimed])
    head = ["fault", "times", "instances alive", "s until a step is recorded", "s until all that was due is claimed"]
    return table(head, rows) + "\n\nMedian, and the longest. Alive: they had not ended; the median."


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return f"{len(values) - len(known)} never"
    return f"{statistics.median(known):.2f}, {max(known):.2f}"


def _calls(soaked: Soaked) -> str:
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for call in soaked.calls:
        outcomes[call.act][call.outcome] += 1
    lost = Counter(broken.promise for broken in soaked.broken)
    rows = [
        [
            act,
            f"{of[ACKNOWLEDGED]:,}",
            str(of[REFUSED]),
            str(of.total() - of[ACKNOWLEDGED] - of[REFUSED]),
            str(lost[act]),
        ]
        for act, of in sorted(outcomes.items())
    ]
    return table(["call", "acknowledged", "refused", "no answer, asked again", "lost"], rows)


def _latencies(soaked: Soaked) -> str:
    took = soaked.latencies()
    order = [QUIET, ALL_FAULTS, *sorted(took.keys() - {QUIET, ALL_FAULTS, AWAY, NO_DATABASE}), NO_DATABASE, AWAY]
    rows = [
        [where, f"{len(of):,}", *(f"{value:.0f}" for value in (percentile(of, 50), percentile(of, 99), max(of)))]
        for where in order
        if (of := took.get(where))
    ]
    return table(["when", "requests", "p50", "p99", "longest"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the least of the values that so many of a hundred do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0.0


def _meets(asked: Asked, span: Span | Injected) -> bool:
    return asked.began < span.ended and span.began < asked.ended
