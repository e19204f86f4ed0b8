"""`make bench`: Stepwell, this machine with nothing round it, and other engines, in turn, as a table and a plot.

    python -m bench [--rounds N] [--short] [--only ENGINE,...] [--works W1,W2,...] [--output FOLDER]

`python -m bench.peers.install` brings the other engines; one that is not there is named as not measured. All is written
below the folder for temporary files (TMPDIR), which should lie on the disk that is meant.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench import plot, table
from bench.driver import WORKS
from bench.engines import ENGINES, LARGE, Engine
from bench.rounds import Found, Run, measure, this_machine

_SHORT_ROUNDS, _SHORT_SCALE = 2, 0.2
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure what is asked for."""
    # Whoever ends this run ends what it has started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help=f"how often each work is measured (3; short: {_SHORT_ROUNDS})")
    parser.add_argument("--short", action="store_true", help="a fifth of the sizes, and not the large ones")
    parser.add_argument("--scale", type=float, help="this part of the sizes")
    parser.add_argument("--only", default="", help="these engines, by name: " + ", ".join(one.name for one in ENGINES))
    parser.add_argument("--works", default=",".join((*WORKS, "large")), help="these works")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where latest.json, .md and .svg are written")
    told = parser.parse_args()
    rounds = told.rounds or (_SHORT_ROUNDS if told.short else 3)
    scale = told.scale or (_SHORT_SCALE if told.short else 1.0)
    only, works = told.only.split(","), told.works.split(",")
    engines = [one for one in ENGINES if told.only == "" or one.name in only]
    turns = list(in_turn(engines, rounds, [work for work in works if work in WORKS]))
    if "large" in works and not told.short:
        turns += [(1, one, ["large"]) for one in engines if one.is_own and (told.only or one.name == LARGE)]
    measure_all(turns, scale, told.output)


Turn = tuple[int, Engine, Sequence[str]]


def in_turn(engines: Sequence[Engine], rounds: int, works: Sequence[str]) -> Iterator[Turn]:
    """Yield rounds of engines, with what is measured of each."""
    for number in range(1, rounds + 1) if works else ():
        for engine in engines:
            yield number, engine, ["machine"] if engine.name == "machine" else works


def measure_all(turns: Sequence[Turn], scale: float, output: Path) -> Run:
    """Measure what is there, and write down what was found after each turn."""
    begun = time.monotonic()
    run = Run(this_machine())
    for number, engine, asked in turns:
        if missing := engine.what_is_missing():
            run.missing[engine.name] = missing
            continue
        for found in measure(run, engine, number, asked, scale):
            run.found.append(found)
            print(_line(found, time.monotonic() - begun), flush=True)
        run.seconds = time.monotonic() - begun
        write(run, output)
    return run


def write(run: Run, folder: Path) -> None:
    """Write all that was found so far: as it is, as a table and as a plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    (folder / "latest.md").write_text(f"![Each work]({PLOT})\n\n{table.render(run)}", encoding="utf-8")
    (folder / PLOT).write_text(plot.render(run), encoding="utf-8")


PLOT = "latest.svg"


def _line(found: Found, seconds: float) -> str:
    shown = ", ".join(f"{name} {value:.4g}" for name, value in found.figures.items())
    return f"{seconds:5.0f} s  round {found.round}  {found.engine:18} {found.work:7} {found.failed or shown}"


if __name__ == "__main__":
    main()
