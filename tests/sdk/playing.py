"""Programs are played without IO: each effect is answered from a list."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stepwell.sdk.effects import Connect, Emit, Now, Open, Pause, Read, Send
from stepwell.sdk.messages import Answer, Request
from stepwell.sdk.retries import Retries

# Without chance.
STEADY = Retries(most=2, jitter=lambda: 0.0)


@dataclass
class Played:
    """What a program asked for, what it gave, and what it returned or raised."""

    sent: list[Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None


def play(program: Generator[Any, Any, Any], replies: Iterable[Any]) -> Played:
    """Play a program to its end. Send, Open, Connect and Read get a reply each; exceptions among these are thrown in.

    The clock goes on with the pauses, and with replies that are numbers: that is how long the next one takes.
    """
    played, left, now = Played(), list(replies), 0.0
    reply: Any = None
    try:
        while True:
            effect = program.throw(reply) if isinstance(reply, Exception) else program.send(reply)
            reply = None
            match effect:
                case Emit(value):
                    played.given.append(value)
                case Pause(seconds):
                    played.pauses.append(seconds)
                    now += seconds
                case Now():
                    reply = now
                case Send() | Open() | Connect() | Read():
                    if not isinstance(effect, Read):
                        played.sent.append(effect.request)
                    if isinstance(left[0], int | float):
                        now += left.pop(0)
                    reply = left.pop(0)
    except StopIteration as end:
        played.result = end.value
    except Exception as error:  # whatever it raises is what a test looks at
        played.error = error
    assert left == [], "the program has not asked for all that it was to be told"
    return played


def good(result: Any, info: Any = None, **headers: str) -> Answer:
    """Return the answer that carries a result; hyphens of a header are written as underscores."""
    body = {"success": True, "errors": [], "messages": [], "result": result}
    return _answer(200, body if info is None else {**body, "result_info": info}, headers)


def bad(status: int, code: int = 10001, message: str = "no", **headers: str) -> Answer:
    """Return the answer that is a refusal."""
    problem = {"code": code, "message": message}
    return _answer(status, {"success": False, "errors": [problem], "messages": [], "result": None}, headers)


def _answer(status: int, body: Any, headers: Mapping[str, str]) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"content-type": "application/json", **named}, msgspec.json.encode(body))
