"""What `make run` shows: the server on `examples/`, and an order that fails, retries, sleeps and waits for approval.

The server is an ordinary `stepwell dev`; this program is its client and prints what happens to one instance. Stopped in
the middle and started again, it finds the unfinished order and goes on with it. PORT chooses the port.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READY = "Stepwell is ready: "
FINAL = {"complete", "errored", "terminated"}


def main() -> int:
    """Run the demo until the server ends; return the server's exit code."""
    port = os.environ.get("PORT", "8787")
    server = subprocess.Popen(
        [sys.executable, "-m", "stepwell", "dev", "examples", "--port", port],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    # Ctrl-C reaches the server too; it stops politely, and we end with it.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    url, data = _await_ready(server)
    if url:
        print(f"{READY}{url}\n{data}", flush=True)
        threading.Thread(target=_follow, args=(url,), daemon=True).start()
    for line in server.stdout or ():
        print(line, end="", flush=True)
    code = server.wait()
    if code == -signal.SIGKILL:
        print("The server was killed. `make run` goes on where it was.")
    return code if code >= 0 else 1


def _await_ready(server: subprocess.Popen[str]) -> tuple[str, str]:
    data = ""
    for line in server.stdout or ():
        if line.startswith(READY):
            return line.removeprefix(READY).strip(), data
        if line.startswith("Data: "):
            data = line.strip()
    return "", data


def _follow(url: str) -> None:
    """Find or create the demo's order and print what happens to it, until it has ended or the server is gone."""
    workflow = f"{url}/client/v4/accounts/local/workflows/order"
    with contextlib.suppress(OSError):
        order, is_new = _find_or_create(workflow)
        print(f"Demo: order/{order} " + ("is on its way" if is_new else "goes on where it was"), flush=True)
        seen = _Seen(f"{workflow}/instances/{order}")
        while not seen.look():
            time.sleep(0.1)


def _find_or_create(workflow: str) -> tuple[str, bool]:
    for found in _ask(f"{workflow}/instances?per_page=100")["result"]:
        if found["id"].startswith("demo-") and found["status"] not in FINAL:
            return found["id"], False
    created = _ask(f"{workflow}/instances", {"instance_id": f"demo-{int(time.time())}", "params": {"cents": 4200}})
    return created["result"]["id"], True


def _ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
        return json.load(answer)


class _Seen:
    """Prints each fact of an instance once."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._said: set[str] = set()

    def look(self) -> bool:
        """Print what is new; tell whether the instance has ended."""
        result = _ask(self._instance)["result"]
        for entry in result["steps"]:
            self._tell_entry(entry)
        if result["status"] not in FINAL:
            return False
        shown = result["output"] if result["error"] is None else result["error"]["message"]
        self._say(f"  {result['status']}: {shown}")
        return True

    def _tell_entry(self, entry: dict[str, Any]) -> None:
        name = entry["name"]
        if entry["type"] == "step":
            for number, attempt in enumerate(entry["attempts"], 1):
                if attempt["error"]:
                    self._say(f"  {name}: attempt {number} failed, {attempt['error']['message']}")
            if entry["success"]:
                self._say(f"  {name}: {entry['output']}")
        elif entry["type"] == "sleep":
            self._say(f"  {name}: sleeps until {entry['end'][11:19]} UTC")
        elif entry["finished"]:
            self._say(f"  {name}: {entry['output']}")
        else:
            self._say(f"  {name}: waits for the event {entry['event_type']!r}")
            self._say_how()

    def _say_how(self) -> None:
        self._say(f'Approve it:    curl -d \'{{"by":"me"}}\' {self._instance}/events/approved')
        self._say(f"Status, logs:  curl {self._instance}")
        self._say("Ctrl-C stops; `make run` goes on where it was, even after kill -9.")

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
