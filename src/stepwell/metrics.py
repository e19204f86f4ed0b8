"""Numbers for Prometheus: counters, gauges and histograms, and the text that they are told in.

Each is a *metric* with a name, a help text and labels; a *series* of it is one set of label values. A metric is changed
by one thread and told by another: what is told was so a moment ago, and nobody waits for anybody.

The format is so small that it takes no library: nobody who runs a server has to install one, and counting a step costs
a look into a dictionary.

Source: prometheus.io/docs/instrumenting/exposition_formats/ and prometheus.io/docs/practices/naming/
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# What has no series of its own. No workflow can be called so, and hardly a step is.
OTHER = "(other)"

# From a millisecond to three days, in seconds: steps may take either.
LONG_S = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200, 43_200, 259_200)
# What somebody waits for.
SHORT_S = (0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

Labels = tuple[str, ...]


class Metric(ABC):
    """What all kinds have in common."""

    kind: ClassVar[str]

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """Yield what is told of each series."""


class Number:
    """The one number of a series."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class _Numbers(Metric):
    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._series: dict[Labels, Number] = {}

    def __contains__(self, labels: Labels) -> bool:
        """Tell whether a series is there."""
        return labels in self._series

    def series(self, labels: Labels = ()) -> Number:
        """Return a series, to change it: whoever keeps it does not look it up again. It is told from now on."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Number()
        return series

    def lines(self) -> Iterator[str]:
        """Yield one number for each series."""
        for labels, series in list(self._series.items()):
            told = _told(self.labels, labels)
            yield f"{self.name}{{{told}}} {series.value}\n" if told else f"{self.name} {series.value}\n"


class Counter(_Numbers):
    """A number that only grows, until the process ends."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        if not labels:
            # A series that is there from the beginning shows its first change, too.
            self.series()

    def add(self, labels: Labels = (), more: float = 1) -> None:
        """Count so many more."""
        self.series(labels).value += more


class Gauge(_Numbers):
    """A number as it is now."""

    kind = "gauge"

    def set(self, value: float, labels: Labels = ()) -> None:
        """Say what it is."""
        self.series(labels).value = value

    def add(self, value: float, labels: Labels) -> None:
        """Say that it is so much more."""
        self.series(labels).value += value


class Observed:
    """What was observed of a series: how many numbers in each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one more number."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram(Metric):
    """How many of some numbers lie below each bound, and their sum."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels = (), bounds: Sequence[float] = LONG_S) -> None:
        super().__init__(name, meaning, labels)
        self.bounds = bounds
        self._told_bounds = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        self._series: dict[Labels, Observed] = {}
        if not labels:
            self.series()

    def series(self, labels: Labels = ()) -> Observed:
        """Return a series, to observe for it: whoever keeps it does not look it up again. It is told from now on."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Observed(self.bounds)
        return series

    def observe(self, value: float, labels: Labels = ()) -> None:
        """Count one more number."""
        self.series(labels).observe(value)

    def lines(self) -> Iterator[str]:
        """Yield the buckets of each series, each with all below it, the sum, and how many there were."""
        for labels, observed in list(self._series.items()):
            told = _told(self.labels, labels)
            count, more = 0, f"{told}," if told else ""
            for bound, below in zip(self._told_bounds, list(observed.counts), strict=True):
                count += below
                yield f'{self.name}_bucket{{{more}le="{bound}"}} {count}\n'
            braced = f"{{{told}}}" if told else ""
            yield f"{self.name}_sum{braced} {observed.total}\n{self.name}_count{braced} {count}\n"


class Bounded:
    """Which names have series of their own: those that came first, up to so many, and of each group up to so many."""

    def __init__(self, most: int, most_of_group: int | None = None) -> None:
        """Bound names, which are tuples; where groups are bounded, too, a name's group is all but its last part."""
        self._most = most
        self._most_of_group = most_of_group
        self._known: dict[Labels, Labels] = {}
        self._of_group: Counted[Labels] = Counted()

    def of(self, name: Labels) -> Labels:
        """Return what a name is told as: itself or, where there are too many, OTHER; a group stays what it is."""
        known = self._known.get(name)
        return known if known is not None else self._take(name)

    def _take(self, name: Labels) -> Labels:
        group = () if self._most_of_group is None else name[:-1]
        if len(self._known) >= self._most or self._of_group[group] >= (self._most_of_group or self._most):
            return group + (OTHER,) * (len(name) - len(group))
        self._of_group[group] += 1
        told = self._known[name] = tuple(map(_printable, name))
        return told


def text(metrics: Iterable[Metric]) -> str:
    """Return metrics as Prometheus reads them."""
    return "".join(_lines(metrics))


def _lines(metrics: Iterable[Metric]) -> Iterator[str]:
    for metric in metrics:
        yield f"# HELP {metric.name} {metric.meaning}\n# TYPE {metric.name} {metric.kind}\n"
        yield from metric.lines()


def _told(names: Labels, values: Labels) -> str:
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)])


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value:
        return value.replace("\\", "\\\\").replace('"', '\\"')
    return value


def _printable(name: str) -> str:
    """Return a name without what ends a line, moves a terminal, or is no character."""
    return name if name.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
