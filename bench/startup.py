"""How much CPU time a command takes from its start to its end: `python -m bench.startup`.

The least of some rounds: what else the machine does only adds to it.
"""

import json
import resource
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROUNDS = 20
STEPWELL = str(Path(sys.executable).parent / "stepwell")
INSTANCE = {
    "id": "a",
    "status": "complete",
    "created_on": "2026-11-23T10:00:00.000Z",
    "started_on": "2026-11-23T10:00:00.000Z",
    "ended_on": "2026-11-23T10:00:01.000Z",
    "version_id": "v",
    "labels": {},
}
ANSWER = json.dumps({"success": True, "result": [INSTANCE] * 50}).encode()


class Server(BaseHTTPRequestHandler):
    """Answers with a page of instances."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def cpu_ms(*command: str) -> float:
    """Return how much CPU time a command takes, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    """Measure, and print."""
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        listing = (STEPWELL, "instances", "list", "order", "--url", f"http://127.0.0.1:{server.server_port}")
        for name, command in {
            "python -c pass": (sys.executable, "-c", "pass"),
            "stepwell --version": (STEPWELL, "--version"),
            "stepwell instances list, 50 in a pipe": listing,
        }.items():
            print(f"{name}: {min(cpu_ms(*command) for _ in range(ROUNDS)):.0f} ms")
        server.shutdown()


if __name__ == "__main__":
    main()
