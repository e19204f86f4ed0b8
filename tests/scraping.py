"""What `/metrics` told, read by Prometheus' own parser, and the few of its functions that tests of queries need."""

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True)
class Scrape:
    """All samples of one answer."""

    samples: list[Sample]
    names: list[str]

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """Read an answer. Raises ValueError if Prometheus could not."""
        families = list(text_string_to_metric_families(text))
        return cls([sample for family in families for sample in family.samples], [family.name for family in families])

    def sum(self, name: str, **labels: str) -> float:
        """Return what all series of a name with these labels come to; 0: there is none."""
        return sum(sample.value for sample in self.find(name, **labels))

    def find(self, name: str, **labels: str) -> list[Sample]:
        """Return the samples of a name with these labels."""
        return [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]


@dataclass(frozen=True)
class Stretch:
    """What lies between two scrapes, as a range of Prometheus does."""

    before: Scrape
    after: Scrape

    def increase(self, name: str, **labels: str) -> float:
        """Return by how much a counter has grown."""
        return self.after.sum(name, **labels) - self.before.sum(name, **labels)

    def quantile(self, q: float, name: str, **labels: str) -> float:
        """Return the upper bound of the bucket in which a quantile lies; nan: nothing was observed."""
        bounds = {sample.labels["le"] for sample in self.after.find(f"{name}_bucket", **labels)}
        counts = {float(le): self.increase(f"{name}_bucket", **labels, le=le) for le in bounds}
        wanted = q * counts.get(math.inf, 0)
        return min((bound for bound, count in counts.items() if wanted and count >= wanted), default=math.nan)
