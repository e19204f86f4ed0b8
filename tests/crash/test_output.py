"""What code prints, logs and warns of in a real worker process, and the switch that keeps it out of the store."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import DEADLINE_S, DevServer

SOURCE = """
import logging
import warnings

from stepwell import WorkflowEntrypoint


class Talk(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do
        async def talk():
            print("printed")
            logging.getLogger("shop").info("logged")
            warnings.warn("warned")

        await talk()
        step.log("said")
        await step.set_progress(1)
"""


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        pytest.param([], ["printed", "logged", "warned", "said"], id="kept"),
        pytest.param(["--no-output"], ["said"], id="not kept"),
    ],
)
def test_output_is_shown_and_kept_as_asked(tmp_path: Path, options: list[str], kept: list[str]) -> None:
    """Output of a step is on the terminal and in the instance's log; with `--no-output` only on the terminal."""
    (tmp_path / "flows.py").write_text(SOURCE)

    with DevServer(tmp_path, "flows.py", *options) as server:
        server.create("talk", "a")
        server.wait_for_status("talk", "a", "complete")
        log = _log(server)
        for word in ("printed", "logged", "warned"):
            server.wait_for_line(word)

    # A warning is two lines: what it says, and the line of code.
    heard = [line["text"] for line in log["lines"] if "warnings.warn" not in line["text"]]
    assert [next(word for word in kept if word in text) for text in heard] == kept
    assert log["progress"]["value"] == 1


def _log(server: DevServer) -> Any:
    url = f"{server.url}/client/v4/accounts/local/stepwell/workflows/talk/instances/a/logs"
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        return json.load(answer)["result"]
