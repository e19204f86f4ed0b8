"""Put the last run's summary and plot into docs/capacity.md: `python -m bench.publish`."""

from pathlib import Path

import msgspec

from bench import table
from bench.rounds import Run

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "capacity.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def publish(page: str, run: Run) -> str:
    """Return a page with what is between its two marks written anew. Raises ValueError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between {BEGIN} and {END}")
    rounds = len({found.round for found in run.found})
    versions = {name: version for told in run.versions.values() for name, version in told.items()}
    machine = run.machine
    told = [
        f"Medians of {rounds} rounds in turn, {machine['date']}, {machine['processor']}, {machine['cores']} cores;",
        "[all tables](../bench/results/latest.md) have spread, CPU time, memory and sizes, and say what each work is.",
        "",
        table.summary(run),
        "",
        "![Each work, with the spread of the rounds](../bench/results/latest.svg)",
        "",
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
    ]
    return f"{before}{BEGIN}\n" + "\n".join(told) + f"\n{END}{after}"


def main() -> None:
    """Rewrite the page."""
    run = msgspec.json.decode((RESULTS / "latest.json").read_bytes(), type=Run)
    PAGE.write_text(publish(PAGE.read_text(encoding="utf-8"), run), encoding="utf-8")


if __name__ == "__main__":
    main()
