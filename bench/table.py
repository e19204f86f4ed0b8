"""What was found, as Markdown: a summary with a row for each engine, and a table for each work."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.engines import BASE, ENGINES, TITLES
from bench.rounds import Run


@dataclass(frozen=True, slots=True)
class Work:
    """A work: the figure that matters most, and what is told beside it."""

    title: str
    unit: str
    figure: str
    is_rate: bool
    beside: Mapping[str, str]


_COST = {"cpu_s": "CPU, s", "cpu_ms": "CPU ms each", "peak_mb": "memory, MB"}
_LATE = {"p99_ms": "p99, ms", **_COST}
WORKS: Mapping[str, Work] = {
    "W1": Work(
        "1,000 instances of 10 steps, all at once", "steps/s", "per_s", True, {**_COST, "bytes": "bytes a step"}
    ),
    "W2": Work("one instance of one step, from its creation until its end is seen", "p50, ms", "p50_ms", False, _LATE),
    "W3": Work(
        "one instance of many steps, one after the other",
        "steps/s",
        "per_s",
        True,
        {"growth": "last 200 steps, first 200 = 1", **_COST},
    ),
    "W4": Work("one instance of many steps at once", "steps/s", "per_s", True, _COST),
    "W5": Work(
        "sleepers, which are due one after the other: how late they run again",
        "p50, ms",
        "p50_ms",
        False,
        {"p99_ms": "p99, ms", "asleep_mb": "asleep, MB", "kb_each": "asleep, KB each", **_COST},
    ),
    "W6": Work(
        "reading an instance of 100 steps, by 8 clients",
        "reads/s",
        "per_s",
        True,
        {
            "changing_per_s": "while it changes",
            "constant_per_s": "a file as large",
            "cpu_s": "CPU, s",
            "peak_mb": "memory, MB",
        },
    ),
    "W7": Work(
        "an event, until the step behind the wait for it begins",
        "p50, ms",
        "p50_ms",
        False,
        {**_LATE, "hosts_p50_ms": "between two hosts, p50", "hosts_p99_ms": "p99"},
    ),
    "idle": Work(
        "nothing to do",
        "memory, MB",
        "idle_mb",
        False,
        {"core_percent": "% of a core", "start_s": "start until ready, s", "transactions_per_s": "transactions/s"},
    ),
}
_LARGE = {
    "sequence_per_s": "steps/s, one after the other",
    "sequence_growth": "of which the last 200, the first 200 = 1",
    "parallel_per_s": "steps/s, at once",
    "beside_p50_ms": "another request while the log of these steps is read again and again, ms, p50",
    "beside_p99_ms": "p99",
    "beside_longest_ms": "the longest",
    "replay_ms": "an event until the step behind these steps begins: their replay, ms",
    "asleep_mb": "all sleepers, MB",
    "kb_each": "KB each",
    "restart_s": "start of a server on them, s",
    "late_p50_ms": "how late the first of them run again, ms, p50",
    "late_p99_ms": "p99",
}
_MACHINE = {
    "syncs_per_s": "4 KiB appended and synced, a second",
    "commits_per_s": "SQLite: commits of one row a second",
    "rows_per_s": "SQLite: rows a second, a hundred in a commit",
    "postgres_commits_per_s": "PostgreSQL: commits of one row a second, one connection",
    "round_trips_per_s": "asyncio: round trips a second on a connection, both ends on one loop",
}
_NOTES = """\
Spread is the lowest and the highest round. CPU and memory are those of the engine's processes and its database, callers
apart; DBOS is a library, so its callers are in them. Memory is proportional (PSS). The ratio says how much better it is
than Stepwell on SQLite with one worker, which is 1: author code never runs in the server's own process, so `dev`, which
has a worker beside it, is the least that there can be. Slow engines do less of a work, as the size tells; each has the
shape that is fastest of those tried. Its driver in `bench/peers/` says which, and what reading an instance is there.
"""


def figures(run: Run, engine: str, work: str, figure: str) -> list[float]:
    """Return a figure of each round that has it."""
    return [
        found.figures[figure]
        for found in run.found
        if (found.engine, found.work) == (engine, work) and figure in found.figures
    ]


def measured(run: Run) -> list[str]:
    """Return the engines that this run is about, without the machine, in their order."""
    named = {found.engine for found in run.found} | set(run.missing)
    return [engine.name for engine in ENGINES if engine.name in named and engine.name != "machine"]


def render(run: Run) -> str:
    """Return all of it."""
    about = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    rounds = len({found.round for found in run.found})
    parts = [
        f"{about}. {rounds} {'round' if rounds == 1 else 'rounds in turn'}, in {run.seconds / 60:.0f} minutes; "
        f"others had at most {run.others_cores:.2f} cores meanwhile.",
        _NOTES.strip(),
        summary(run),
        *(f"## {work}: {WORKS[work].title}\n\n{table(run, work)}" for work in WORKS if _is_there(run, work)),
    ]
    if _is_there(run, "large"):
        parts.append(f"## {_sizes(run, 'large')}, once\n\n{_list(run, 'large', _LARGE)}")
    if _is_there(run, "machine"):
        parts.append(f"## The machine, with nothing round it\n\n{_list(run, 'machine', _MACHINE)}")
    parts.append("\n".join(["## Versions", "", *_versions(run)]))
    return "\n\n".join(parts) + "\n"


def summary(run: Run) -> str:
    """Return the median of each work's most important figure."""
    works = [work for work in WORKS if _is_there(run, work)]
    heads = [f"{work}, {WORKS[work].unit}" for work in works]
    rows = []
    for engine in measured(run):
        cells = [_shown(figures(run, engine, work, WORKS[work].figure)) for work in works]
        rows.append([TITLES[engine], *(cells if engine not in run.missing else ["not installed"] * len(works))])
    return _markdown([["", *heads], *rows])


def table(run: Run, work: str) -> str:
    """Return the table of one work; columns that nobody has are left out."""
    told = WORKS[work]
    beside = [name for name in told.beside if any(figures(run, engine, work, name) for engine in measured(run))]
    head = ["", "size", f"{told.unit}, median", "spread", "ratio", *(told.beside[name] for name in beside)]
    rows = [list(_row(run, engine, work, beside)) for engine in measured(run)]
    return _markdown([head, *rows])


def _row(run: Run, engine: str, work: str, beside: Sequence[str]) -> Iterator[str]:
    told = WORKS[work]
    yield TITLES[engine]
    found = figures(run, engine, work, told.figure)
    if not found:
        yield f"not measured: {_why(run, engine, work)}"
        yield from [""] * (3 + len(beside))
        return
    yield next(one.size for one in run.found if (one.engine, one.work) == (engine, work) and one.size)
    yield _shown(found)
    yield f"{_number(min(found))} to {_number(max(found))}"
    base = figures(run, BASE, work, told.figure)
    yield _number(ratio(found, base, told.is_rate)) if base else ""
    yield from (_shown(figures(run, engine, work, name)) for name in beside)


def ratio(found: Sequence[float], base: Sequence[float], is_rate: bool) -> float:
    """Return how many times as good the median is: of a rate, more is; of anything else, less."""
    one, other = statistics.median(found), statistics.median(base)
    return one / other if is_rate else other / one


def _why(run: Run, engine: str, work: str) -> str:
    failed = [one.failed for one in run.found if (one.engine, one.work) == (engine, work) and one.failed]
    return next(iter(failed), run.missing.get(engine, "not asked for"))


def _list(run: Run, work: str, names: Mapping[str, str]) -> str:
    there = [one for one in TITLES if any((found.engine, found.work) == (one, work) for found in run.found)]
    rows = [[title, *(_shown(figures(run, engine, work, name)) for engine in there)] for name, title in names.items()]
    return _markdown([["", *(TITLES[engine] for engine in there)], *(row for row in rows if any(row[1:]))])


def _versions(run: Run) -> Iterator[str]:
    for engine, versions in run.versions.items():
        yield f"- {TITLES[engine]}: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    for engine, why in run.missing.items():
        yield f"- {TITLES[engine]}: not measured, {why}"


def _is_there(run: Run, work: str) -> bool:
    return any(found.work == work for found in run.found)


def _sizes(run: Run, work: str) -> str:
    return next((found.size for found in run.found if found.work == work and found.size), work)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _shown(found: Sequence[float]) -> str:
    return _number(statistics.median(found)) if found else ""


def _number(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
