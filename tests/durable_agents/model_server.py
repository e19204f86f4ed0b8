"""A model's provider on loopback: OpenAI's chat completions and responses, whole or streamed, with tools and refusals.

A test says what the model answers, as a function of what it is asked; every request is kept. A token is a word.
`OPENAI_BASE_URL=server.url` with any key takes a client here.

Source: platform.openai.com/docs/api-reference/chat and .../responses
"""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """The model says something."""

    text: str


@dataclass(frozen=True)
class Call:
    """The model wants a tool; `arguments` is what goes to it."""

    tool: str
    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """The model wants several tools at once."""

    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Refusal:
    """The provider refuses: `Refusal(429, {"retry-after": "2"})`."""

    status: int = 429
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Rate limit reached"


Answer = Text | Call | Calls | Refusal


@dataclass(frozen=True)
class Asked:
    """A request: its path below the base, and what it says."""

    path: str
    body: Json
    headers: Mapping[str, str]

    @property
    def messages(self) -> list[Json]:
        """The conversation so far, in the form of the API that was asked."""
        given: Any = self.body.get("messages") or self.body.get("input", [])
        return [{"role": "user", "content": given}] if isinstance(given, str) else given

    @property
    def answered(self) -> int:
        """How many answers of the model the conversation has; calls that it made at once are one."""
        own = [_is_of_the_model(message) for message in self.messages]
        return sum(now and not before for before, now in zip([False, *own], own, strict=False))


Model = Callable[[Asked], Answer]


def in_order(*answers: Answer) -> Model:
    """Give one answer after the other, whatever is asked; beyond the last one the last again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def by_place(*answers: Answer) -> Model:
    """Give the n-th answer to a conversation that has n - 1: the same question gets the same one every time."""
    return lambda asked: answers[min(asked.answered, len(answers) - 1)]


class ModelServer:
    """What the server was asked, and what its model answers; `model` may be changed at any time.

    `between` is called before each part of an answer that is streamed, and may let it wait. `cached` is how many tokens
    of each conversation were known.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.between: Callable[[], object] = lambda: None
        self.asked: list[Asked] = []
        self.url = ""
        self.cached = 0
        self._lock = threading.Lock()

    def take(self, asked: Asked) -> tuple[int, Answer]:
        """Keep a request; return its number, from 1, and the answer."""
        with self._lock:
            self.asked.append(asked)
            return len(self.asked), self.model(asked)


@contextmanager
def model_server(model: Model) -> Iterator[ModelServer]:
    """Serve a model on a port of this machine."""
    kept = ModelServer(model)

    class Handler(_Handler):
        server_kept = kept

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_kept: ModelServer
    protocol_version = "HTTP/1.1"
    # A client that is killed, or keeps its connection, holds no thread for long.
    timeout = 20

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked(self.path.removeprefix("/v1"), body, {k.lower(): v for k, v in self.headers.items()})
        forms = _FORMS.get(asked.path)
        if forms is None:
            self._say(404, _error(f"no route {asked.path}"))
            return
        number, answer = self.server_kept.take(asked)
        if isinstance(answer, Refusal):
            self._say(answer.status, _error(answer.message), answer.headers)
            return
        whole, streamed = forms
        reply = _Reply(asked, number, answer, self.server_kept.cached)
        if body.get("stream"):
            self._stream(streamed(reply))
        else:
            self._say(200, whole(reply), {"x-request-id": f"req_{number}"})

    def _say(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, events: Iterator[str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            self.server_kept.between()
            text = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class _Reply:
    """An answer on its way, with what it answers."""

    asked: Asked
    number: int
    answer: Text | Call | Calls
    cached: int

    @property
    def text(self) -> str | None:
        return self.answer.text if isinstance(self.answer, Text) else None

    @property
    def calls(self) -> list[tuple[str, Call]]:
        """The calls of tools, with the id of each."""
        if isinstance(self.answer, Text):
            return []
        calls = (self.answer,) if isinstance(self.answer, Call) else self.answer.calls
        return [(f"call_{self.number}_{n}", call) for n, call in enumerate(calls, 1)]

    @property
    def tokens(self) -> tuple[int, int]:
        """How many went in, and came out."""
        said = [self.text or "", *(f"{call.tool} {json.dumps(call.arguments)}" for _, call in self.calls)]
        return _words(self.asked.messages), len(" ".join(said).split())

    @property
    def model(self) -> str:
        return str(self.asked.body.get("model", "fake"))


def _chat(reply: _Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [_chat_call(id, call) for id, call in reply.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {**_chat_head(reply, "chat.completion"), "choices": [choice], "usage": _chat_usage(reply)}


def _chat_events(reply: _Reply) -> Iterator[str]:
    def chunk(delta: Json, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**_chat_head(reply, "chat.completion.chunk"), "choices": [choice]})

    yield chunk({"role": "assistant", "content": "" if reply.text is not None else None})
    for part in _parts(reply.text or ""):
        yield chunk({"content": part})
    for n, (id, call) in enumerate(reply.calls):
        begun = {**_chat_call(id, call), "index": n}
        arguments = begun["function"].pop("arguments")
        yield chunk({"tool_calls": [{**begun, "function": {**begun["function"], "arguments": ""}}]})
        for part in _parts(arguments):
            yield chunk({"tool_calls": [{"index": n, "function": {"arguments": part}}]})
    yield chunk({}, _finish(reply))
    if (reply.asked.body.get("stream_options") or {}).get("include_usage"):
        yield _event({**_chat_head(reply, "chat.completion.chunk"), "choices": [], "usage": _chat_usage(reply)})
    yield "data: [DONE]\n\n"


def _chat_head(reply: _Reply, kind: str) -> Json:
    return {"id": f"chatcmpl-{reply.number}", "object": kind, "created": 1_790_000_000, "model": reply.model}


def _chat_call(id: str, call: Call) -> Json:
    return {"id": id, "type": "function", "function": {"name": call.tool, "arguments": json.dumps(call.arguments)}}


def _chat_usage(reply: _Reply) -> Json:
    given, said = reply.tokens
    details = {"cached_tokens": min(reply.cached, given)}
    return {
        "prompt_tokens": given,
        "completion_tokens": said,
        "total_tokens": given + said,
        "prompt_tokens_details": details,
    }


def _finish(reply: _Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _response(reply: _Reply, *, is_done: bool = True) -> Json:
    given, said = reply.tokens
    usage = {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": min(reply.cached, given)},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + said,
    }
    return {
        "id": f"resp_{reply.number}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed" if is_done else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": reply.asked.body.get("instructions"),
        "metadata": {},
        "model": reply.model,
        "output": _items(reply) if is_done else [],
        "parallel_tool_calls": True,
        "tool_choice": reply.asked.body.get("tool_choice", "auto"),
        "tools": reply.asked.body.get("tools", []),
        "usage": usage if is_done else None,
    }


def _items(reply: _Reply) -> list[Json]:
    if reply.text is not None:
        return [_message(reply, "completed", [_text_part(reply.text)])]
    return [
        {
            "id": f"fc_{reply.number}_{n}",
            "type": "function_call",
            "status": "completed",
            "call_id": id,
            "name": call.tool,
            "arguments": json.dumps(call.arguments),
        }
        for n, (id, call) in enumerate(reply.calls)
    ]


def _message(reply: _Reply, status: str, content: Sequence[Json]) -> Json:
    return {"id": f"msg_{reply.number}", "type": "message", "role": "assistant", "status": status, "content": content}


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_events(reply: _Reply) -> Iterator[str]:
    events = [
        ("response.created", {"response": _response(reply, is_done=False)}),
        ("response.in_progress", {"response": _response(reply, is_done=False)}),
    ]
    for n, item in enumerate(_items(reply)):
        events += _text_events(reply, item) if reply.text is not None else _call_events(n, item)
    events.append(("response.completed", {"response": _response(reply)}))
    for number, (kind, body) in enumerate(events):
        yield f"event: {kind}\n{_event({'type': kind, 'sequence_number': number, **body})}"


def _text_events(reply: _Reply, item: Json) -> list[tuple[str, Json]]:
    text = reply.text or ""
    item_place: Json = {"output_index": 0}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    return [
        ("response.output_item.added", {**item_place, "item": _message(reply, "in_progress", [])}),
        ("response.content_part.added", {**place, "part": _text_part("")}),
        *(("response.output_text.delta", {**place, "delta": part, "logprobs": []}) for part in _parts(text)),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": _text_part(text)}),
        ("response.output_item.done", {**item_place, "item": item}),
    ]


def _call_events(n: int, item: Json) -> list[tuple[str, Json]]:
    place = {"item_id": item["id"], "output_index": n}
    begun = {**item, "status": "in_progress", "arguments": ""}
    arguments = item["arguments"]
    return [
        ("response.output_item.added", {"output_index": n, "item": begun}),
        *(("response.function_call_arguments.delta", {**place, "delta": part}) for part in _parts(arguments)),
        ("response.function_call_arguments.done", {**place, "arguments": arguments, "name": item["name"]}),
        ("response.output_item.done", {"output_index": n, "item": item}),
    ]


def _is_of_the_model(message: Json) -> bool:
    return message.get("role") == "assistant" or message.get("type") in ("function_call", "reasoning")


def _words(told: Any) -> int:
    """Count the words of every text in a conversation."""
    if isinstance(told, str):
        return len(told.split())
    if isinstance(told, dict):
        return sum(_words(part) for key, part in told.items() if key in ("content", "text", "output", "arguments"))
    return sum(map(_words, told)) if isinstance(told, list) else 0


def _parts(text: str) -> list[str]:
    """Cut a text into what comes at a time: words, each with the space before it."""
    words = text.split(" ")
    return [word if n == 0 else f" {word}" for n, word in enumerate(words)] if text else []


def _event(body: Json) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _error(message: str) -> Json:
    return {"error": {"message": message, "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


_FORMS: dict[str, tuple[Callable[[_Reply], Json], Callable[[_Reply], Iterator[str]]]] = {
    "/chat/completions": (_chat, _chat_events),
    "/responses": (_response, _response_events),
}
