"""What traces cost W1, where one instance of ten is traced: `python -m bench.traces [--rounds N] [--per-thousand N]`.

With and without in turn, on the processes of a server without its HTTP; the receiver is a process of its own, and takes
no part. CPU time is that of server and worker until the last span was sent.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.work import deployment
from stepwell.clock import SystemClock
from stepwell.otlp import OtlpExporter
from stepwell.trace_export import TraceExport, begin_traces
from stepwell.traces import ENDPOINTS, Tracing

INSTANCES, STEPS = 1_000, 10
_RECEIVER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


async def _measure(folder: Path, per_thousand: int) -> tuple[float, float]:
    """Return steps a second, and CPU microseconds a step."""
    tracing = Tracing.of(os.environ, per_thousand)
    async with deployment(folder) as deployed:
        exporter = OtlpExporter() if tracing.is_on else None
        export = TraceExport(deployed.engine.store, SystemClock(), tracing, exporter)
        await begin_traces(export.store, export.clock, tracing)
        sending = asyncio.create_task(export.run()) if tracing.is_on else None
        await asyncio.sleep(1)
        before = deployed.cpu_seconds()
        seconds = await deployed.run(INSTANCES, STEPS)
        await asyncio.sleep(3)
        used = deployed.cpu_seconds() - before
        if sending is not None:
            sending.cancel()
            await asyncio.wait([sending])
    return INSTANCES * STEPS / seconds, used * 1_000_000 / (INSTANCES * STEPS)


@contextmanager
def _receiving() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", _RECEIVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def main() -> None:
    """Measure, and print each round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-thousand", type=int, default=100)
    told = parser.parse_args()
    steps: list[float] = []
    cpu: list[float] = []
    with tempfile.TemporaryDirectory() as folder, _receiving() as url:
        for number in range(told.rounds):
            found = {}
            # Which is first changes, as does what the machine has to do beside.
            for is_on in (True, False) if number % 2 else (False, True):
                os.environ[ENDPOINTS[1]] = url if is_on else ""
                found[is_on] = asyncio.run(_measure(Path(folder) / f"{number}{is_on}", told.per_thousand))
            steps.append((found[True][0] / found[False][0] - 1) * 100)
            cpu.append((found[True][1] / found[False][1] - 1) * 100)
            print(f"steps/s {found[False][0]:,.0f} -> {found[True][0]:,.0f} ({steps[-1]:+.1f} %), ", end="")
            print(f"CPU us a step {found[False][1]:.0f} -> {found[True][1]:.0f} ({cpu[-1]:+.1f} %)")
    print(f"median of {told.rounds}: steps/s {statistics.median(steps):+.1f} %, CPU {statistics.median(cpu):+.1f} %")


if __name__ == "__main__":
    main()
