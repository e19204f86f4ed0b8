"""`examples/assistant.py` on a real server, with a model on loopback, also when its worker is killed."""

import os
import shutil
import signal
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.server import DevServer, wait_until
from tests.durable_agents.model_server import Answer, Asked, Call, Refusal, Text, by_place, model_server

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "assistant.py"
ANSWER = Text("Wells are as deep as the water lies, which is to say that nobody knows before the digging is done.")

pytestmark = pytest.mark.long


def _own(server: DevServer, path: str) -> Any:
    found = httpx.get(f"{server.url}/client/v4/accounts/local/stepwell/workflows/assistant/instances/talk{path}")
    return found.raise_for_status().json()["result"]


def _thoughts(server: DevServer) -> list[Any]:
    return [step for step in server.get("assistant", "talk")["steps"] if step.get("name", "").startswith("think")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example alone."""
    shutil.copy(EXAMPLE, tmp_path)
    return tmp_path


def test_no_answer_is_asked_for_twice_when_the_worker_dies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that which was in flight; the conversation and what it took are as if nobody had been killed."""
    killed, in_flight = threading.Event(), threading.Event()
    answers = by_place(Call("search", {"text": "wells"}), Call("send_mail", {"text": "wells"}), ANSWER)

    def model(asked: Asked) -> Answer:
        if asked.answered == 2 and not killed.is_set():
            in_flight.set()
            killed.wait(20)
        return answers(asked)

    with model_server(model) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        with DevServer(folder, EXAMPLE.name) as server:
            server.create("assistant", "talk", {"question": "How deep is a well?"})
            server.call("/assistant/instances/talk/events/approval", {"approved": True})
            assert in_flight.wait(30), server.log
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            killed.set()
            wait_until(lambda: len(_thoughts(server)) == 3 and _thoughts(server)[-1]["success"], lambda: server.log)

            assert Counter(asked.answered for asked in provider.asked) == {0: 1, 1: 1, 2: 2}
            assert [message["content"] for message in provider.asked[-1].messages if message["content"]] == [
                "How deep is a well?",
                "3 pages on wells",
                "sent: wells",
            ]
            assert _own(server, "/attributes")["totals"]["gen_ai.usage.output_tokens"] == 3 + 3 + 20


def test_answer_is_seen_as_it_comes_and_a_busy_provider_is_asked_again_when_it_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the beginning while the model still speaks; its `Retry-After` of a second is not ten."""
    refusals = iter([Refusal(429, {"retry-after": "1"})])
    all_is_seen = threading.Event()

    with model_server(lambda _: next(refusals, ANSWER)) as provider:
        provider.between = lambda: all_is_seen.wait(0.2)
        monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
        with DevServer(folder, EXAMPLE.name) as server:
            server.create("assistant", "talk", {"question": "How deep is a well?"})
            wait_until(lambda: "as deep" in str(_own(server, "/logs")), lambda: server.log)

            (thought,) = _thoughts(server)
            assert thought["success"] is None
            all_is_seen.set()
            wait_until(lambda: _thoughts(server)[0]["success"], lambda: server.log)

            printed = [line["text"] for line in _own(server, "/logs")["lines"] if line["level"] == "stdout"]
            assert " ".join(printed) == ANSWER.text
            refused, answered = _thoughts(server)[0]["attempts"]
            waited = datetime.fromisoformat(answered["start"]) - datetime.fromisoformat(refused["end"])
            assert timedelta(seconds=1) <= waited < timedelta(seconds=8)
