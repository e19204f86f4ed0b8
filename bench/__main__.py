"""`make bench`: the limits of this machine and Stepwell on it, in one run, in turn, as medians and ratios.

    python -m bench [--rounds N] [--output FILE]

Everything runs on a real file in a temporary folder with `synchronous=FULL`, in the processes of `stepwell dev`: the
parent with the store, a worker with the author's code; then on a PostgreSQL server with its default settings, if one
can be started. The dashboard is looked at in Chromium, if there is one.
"""

import argparse
import asyncio
import platform
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from bench import dashboard, machine, postgres, server, work


def main() -> None:
    """Measure, print the table, and write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each work is measured (5)")
    parser.add_argument("--output", type=Path, default=Path("bench/results/latest.md"))
    options = parser.parse_args()

    figures: dict[str, list[float]] = defaultdict(list)
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        with tempfile.TemporaryDirectory(prefix="stepwell-bench-") as folder:
            for name, figure in measure(Path(folder)).items():
                figures[name].append(figure)
    table = render(figures)
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(table, encoding="utf-8")
    print(table)


def measure(folder: Path) -> dict[str, float]:
    """Return the figures of one round."""
    figures = machine.measure(folder)
    figures |= asyncio.run(work.w1(folder / "w1"))
    figures["W1: bytes a step in the file"] = _bytes(folder / "w1") / 10_000
    figures |= asyncio.run(work.w3(folder / "w3"))
    figures |= asyncio.run(work.w5(folder / "w5"))
    figures |= asyncio.run(server.measure(folder / "http"))
    figures |= asyncio.run(dashboard.measure(folder / "dashboard"))
    figures |= postgres.measure(folder / "postgres")
    # The bound that a step of one instance cannot beat is one commit.
    figures["W3: us a step, beyond one plain commit"] = (
        1e6 / figures["W3: steps/s"] - 1e6 / figures["machine: plain one-row commits/s"]
    )
    figures["W1: steps/s, share of batched rows/s"] = figures["W1: steps/s"] / figures["machine: batched rows/s"]
    return figures


def _bytes(folder: Path) -> int:
    """Return how large the file of a store in a folder is that has been closed."""
    return (folder / "stepwell.db").stat().st_size


def render(figures: dict[str, list[float]]) -> str:
    """Return the table as Markdown."""
    lines = [
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{len(next(iter(figures.values())))} rounds in turn",
        "",
        "| figure | median | lowest | highest |",
        "|---|---|---|---|",
    ]
    for name, values in figures.items():
        shown = [_shown(value) for value in (statistics.median(values), min(values), max(values))]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
