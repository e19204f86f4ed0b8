"""How long the way to a first finished workflow is: `python -m bench.first [ENGINE ...]`.

What is typed lies in bench/quickstarts/: each engine's own first steps, in the versions that are named there, with a
workflow of two steps. It is typed by bash in an empty folder with an empty HOME, so packages come from PyPI and npm;
pip finds what is not there yet where PIP_FIND_LINKS says. `ready PORT` waits until somebody listens there, as a person
looks whether a server is up.
"""

import argparse
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import cpu_s, end

QUICKSTARTS = Path(__file__).parent / "quickstarts"
_READY = 'ready() { until (: < "/dev/tcp/127.0.0.1/$1") 2> /dev/null; do sleep 0.05; done; }\n'
_INSTALLS = ("python3 -m venv", "pip install", "npm install")
_SAID = "Hello, Ann!"
_LIMIT_S = 600
_END = "that was all"
# What this environment has, and a new user has not.
_LEFT_OUT = ("PYTHON", "VIRTUAL_", "STEPWELL")


@dataclass(frozen=True, slots=True)
class Effort:
    """What somebody has to do: commands to type, files to write, services that go on running."""

    commands: int
    files: int
    services: int


@dataclass(frozen=True, slots=True)
class Spent:
    """How long it took, how much of that to install it, the CPU seconds of it all, and the size of the folder."""

    total_s: float
    installing_s: float
    cpu_s: float
    megabytes: float


def effort(script: str) -> Effort:
    """Count what is typed: `ready` is a look, and what stands in a file is no command."""
    commands = [line for line in _commands(script) if not line.startswith("ready ")]
    files = [line for line in commands if line.endswith("<<'END'")]
    services = [line for line in commands if line.endswith(" &")]
    return Effort(len(commands) - len(files), len(files), len(services))


def _commands(script: str) -> Sequence[str]:
    found, is_in_file = [], False
    for line in script.splitlines():
        if not is_in_file:
            found.append(line)
        is_in_file = line != "END" if is_in_file else line.endswith("<<'END'")
    return found


def spend(script: str, folder: Path) -> Spent:
    """Type it in an empty folder, until the workflow has said its greeting, and end all that it has started."""
    home, work, log = folder / "home", folder / "work", folder / "log"
    home.mkdir()
    work.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    whole = f"{_READY}PS4='+ $EPOCHREALTIME '\nset -ex\n{script}\nset +x\necho {_END}\nread\n"
    began = time.time()
    typing = ["/bin/bash", "-c", whole]
    environment = kept | {"HOME": str(home)}
    with (
        log.open("wb") as told,
        subprocess.Popen(
            typing, cwd=work, env=environment, stdin=subprocess.PIPE, stdout=told, stderr=subprocess.STDOUT
        ) as typed,
    ):
        try:
            said = _wait(typed, log)
            total_s, cpu = time.time() - began, cpu_s([typed.pid])
        finally:
            end(typed)
    size = sum(path.lstat().st_size for path in work.rglob("*"))
    return Spent(total_s, _installing_s(said), cpu, size / 1e6)


def _wait(typed: "subprocess.Popen[bytes]", log: Path) -> str:
    """Return what was said by the time that all is typed."""
    until = time.monotonic() + _LIMIT_S
    said = ""
    while _END not in said.splitlines():
        if typed.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"it did not come to its end:\n{said}")
        time.sleep(0.05)
        said = log.read_text("utf-8", "replace")
    if _SAID not in said:
        raise RuntimeError(f"it did not say {_SAID}:\n{said}")
    return said


def _installing_s(log: str) -> float:
    """Return how long the commands took that install something: each until the next one began."""
    stamps = [line[2:].split(" ", 1) for line in log.splitlines() if line.startswith("+ ")]
    moments = [(float(moment), command) for moment, command in stamps]
    spans = itertools.pairwise(moments)
    return sum(after - began for (began, command), (after, _) in spans if command.startswith(_INSTALLS))


def main() -> None:
    """Measure those that are named, or all, one after the other, and print a table."""
    engines = sorted(path.stem for path in QUICKSTARTS.glob("*.sh"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=", ".join(engines))
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print("engine     commands files services  seconds installing CPU-s     MB  load")
    for engine in (options.engines or engines) * options.rounds:
        script = (QUICKSTARTS / f"{engine}.sh").read_text("utf-8")
        work = effort(script)
        with tempfile.TemporaryDirectory() as folder:
            took = spend(script, Path(folder))
        counts = f"{work.commands:8} {work.files:5} {work.services:8}"
        times = f"{took.total_s:8.1f} {took.installing_s:10.1f} {took.cpu_s:5.1f}"
        print(f"{engine:10} {counts} {times} {took.megabytes:6.0f} {os.getloadavg()[0]:5.1f}", flush=True)


if __name__ == "__main__":
    main()
