"""Write docs/reference/metrics.md from the metrics themselves: `make reference`."""

from pathlib import Path

from stepwell.api.metrics import own_metrics
from stepwell.api.traffic import Traffic
from stepwell.host_metrics import described
from stepwell.metrics import Histogram, Metric

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "metrics.md"

_HEAD = """\
# Metrics

Made by `make reference` from the metrics themselves. What they are good for, and how to ask them:
[operating.md](../operating.md). Times are in seconds, sizes in bytes. What is told of the store as a whole says so;
all others are of one process, and are summed over hosts.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def metrics() -> list[Metric]:
    """Return all metrics of a server."""
    return [*described(), *own_metrics(Traffic(), 0)]


def reference() -> str:
    """Return the page."""
    return _HEAD + "".join(map(_row, metrics()))


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def _row(metric: Metric) -> str:
    bounds = ""
    if isinstance(metric, Histogram):
        bounds = f" Buckets: {', '.join(f'{bound:g}' for bound in metric.bounds)}."
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning}{bounds} |\n"


if __name__ == "__main__":
    write()
