"""The demo of `make run`: what a newcomer sees, with a kill in the middle."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tests.crash.server import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent


class Demo:
    """`tools/demo.py` on a copy of the examples, so that the checkout's own data is left alone."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "tools/demo.py"],
            cwd=folder,
            env={**os.environ, "PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, pattern: str) -> str:
        """Return the first line that matches."""
        return wait_until(
            lambda: next((line for line in list(self.lines) if re.search(pattern, line)), None),
            lambda: "\n".join(self.lines),
        )

    def server_pid(self) -> int:
        """Return the process id of the server."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def end(self) -> None:
        """Leave no process behind."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._reader.join(30)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))


def test_demo_goes_on_where_a_kill_left_it(tmp_path: Path) -> None:
    """After a kill the second start goes on with the same order, which the shown curl line approves."""
    for name in ("examples", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    first = Demo(tmp_path)
    try:
        first.wait_for_line(r"charge-1: attempt 2 failed")
        order = first.wait_for_line(r"^Demo: ").split()[1]
        os.kill(first.server_pid(), signal.SIGKILL)
        first.wait_for_line("was killed")
    finally:
        first.end()

    second = Demo(tmp_path)
    try:
        assert second.wait_for_line(r"^Demo: ") == f"Demo: {order} goes on where it was"
        approve = second.wait_for_line("^Approve it:")
        second.wait_for_line("^Ctrl-C")
        url, payload = approve.split()[-1], re.findall(r"'(.*)'", approve)[0]
        urllib.request.urlopen(urllib.request.Request(url, payload.encode())).close()
        done = second.wait_for_line(r"complete: ")
        time.sleep(0.1)
        # Where the path is too long for a socket a warning says so.
        lines = [line for line in second.lines if " WARNING " not in line]
    finally:
        second.end()

    assert '"approved_by":"me"' in done
    assert len(lines) <= 15
