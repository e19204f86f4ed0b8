"""A client of the HTTP API: of a Stepwell server, or of Cloudflare for what exists there.

Built on the standard library alone, so that a command of one request starts fast.
"""

import contextlib
import http.client
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from stepwell.errors import RequestRefused, ServerUnreachable
from stepwell.limits import BATCH_INSTANCES

_BASE = "/client/v4"
_PER_PAGE = 100
_LINES_PER_PAGE = 1_000
_NOT_JSON_SHOWN = 200
_OK = 200
_BYTES = "application/octet-stream"
_PART_BYTES = 64 * 1024

_DECODER = json.JSONDecoder()
# What stands between the values of a JSON text.
_BETWEEN = re.compile(r"[\s,:]*")

_Query = Mapping[str, str | None]


class Result(dict[str, Any]):
    """An object that a server answers with. `text` is its JSON as the server wrote it, digit for digit."""

    def __init__(self, value: Any, text: str) -> None:
        super().__init__(value if isinstance(value, dict) else {})
        self.text = text

    def text_of(self, member: str) -> str:
        """Return the JSON of a member as the server wrote it. Raises KeyError."""
        return _members_in(self.text)[member]

    def object_of(self, member: str) -> "Result":
        """Return a member that is an object; an empty one if it is none."""
        return Result(self[member], self.text_of(member)) if member in self else Result(None, "null")

    def objects_of(self, member: str) -> "list[Result]":
        """Return the objects of a member that is an array; none if it is no array."""
        is_array = isinstance(self.get(member), list)
        return [Result(one, its_text) for one, its_text in _values_in(self.text_of(member))] if is_array else []


class StepBytes:
    """The output of a step that returned a stream: `size` bytes, given in parts as they come."""

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.size = int(response.headers.get("content-length", 0))
        self._url = url
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes, once. Raises ServerUnreachable where fewer come than were announced."""
        left = self.size
        while part := self._read():
            left -= len(part)
            yield part
        if left:
            raise ServerUnreachable(f"the answer ended {left:,} bytes before its end")

    def _read(self) -> bytes:
        with _from(self._url):
            return self._response.read(_PART_BYTES)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks a server, for one account. `url` is the server's, with or without `/client/v4` behind it.

    Each method raises RequestRefused if the server says no, ServerUnreachable if it says nothing that can be read.
    """

    url: str
    account: str
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0

    def create_instance(self, workflow: str, id: str | None, params: Any) -> Result:
        """Create an instance; return what the server says of it."""
        body = {"params": params} if id is None else {"params": params, "instance_id": id}
        return self._ask("POST", f"{self._workflow(workflow)}/instances", body=body)

    def instance(self, workflow: str, id: str, *, simple: bool = False) -> Result:
        """Return logs and status of an instance."""
        query = {"simple": "true"} if simple else {}
        return self._ask("GET", self._instance(workflow, id), query)

    def instances(self, workflow: str, **query: str | None) -> Iterator[Result]:
        """Yield instances, newest first unless `direction` says "asc", page by page as they are asked for."""
        cursor: str | None = None
        while True:
            asked = {"per_page": str(_PER_PAGE), **query, "cursor": cursor}
            envelope = self._envelope("GET", f"{self._workflow(workflow)}/instances", asked)
            yield from envelope.objects_of("result")
            cursor = (envelope.get("result_info") or {}).get("cursor")
            if not cursor:
                return

    def send_event(self, workflow: str, id: str, event_type: str, payload: Any) -> Result:
        """Send an event; return the server's receipt."""
        path = f"{self._instance(workflow, id)}/events/{quote(event_type, safe='')}"
        return self._ask("POST", path, body=payload)

    def change_status(self, workflow: str, id: str, asked: Mapping[str, Any]) -> Result:
        """Pause, resume, terminate or restart an instance, as the body asks; return its status then."""
        return self._ask("PATCH", f"{self._instance(workflow, id)}/status", body=asked)

    def resume_rollback(self, workflow: str, id: str) -> Result:
        """Go on with an instance's rollback, which has failed; return its status then."""
        return self._ask("POST", f"{self._own_instance(workflow, id)}/rollback")

    def delete_instance(self, workflow: str, id: str) -> Result:
        """Delete an instance; return the server's receipt."""
        return self._ask("DELETE", self._instance(workflow, id))

    def delete_instances(self, workflow: str, ids: Sequence[str]) -> Iterator[Result]:
        """Delete instances, in batches; yield which of each batch are `deleted`, and the `errors` of others."""
        # As many as Cloudflare takes, and a server whose setting `batch_instances` nobody has lowered.
        for first in range(0, len(ids), BATCH_INSTANCES):
            asked = {"instances": ids[first : first + BATCH_INSTANCES]}
            yield self._ask("POST", f"{self._workflow(workflow)}/instances/batch/delete", body=asked)

    def terminate_all(self, workflow: str, status: str | None = None) -> Result:
        """Begin to terminate all instances, or those of a status; return whether that began or was going on."""
        return self._ask("PUT", f"{self._workflow(workflow)}/instances/terminate", {"status": status})

    def termination(self, workflow: str) -> Result:
        """Return whether all instances are being terminated."""
        return self._ask("GET", f"{self._workflow(workflow)}/instances/terminate")

    @contextlib.contextmanager
    def step(
        self, workflow: str, id: str, step: tuple[str, str], attempt: int | None = None
    ) -> "Iterator[Result | StepBytes]":
        """Give how a step of a name and a type stands, or an attempt of it, with its whole output.

        The output of a step that returned a stream is still to be read.
        """
        name, type = step
        query = {"name": name, "type": type, "attempt": None if attempt is None else str(attempt)}
        with self._answer_to("GET", _target(f"{self._instance(workflow, id)}/step", query), None) as response:
            if response.headers.get_content_type() == _BYTES:
                yield StepBytes(self.url, response)
            else:
                yield _checked(response.status, self._whole(response)).object_of("result")

    def newest_version(self, workflow: str) -> str:
        """Return the id of a workflow's newest version."""
        page = self._envelope("GET", f"{self._workflow(workflow)}/versions", {"per_page": "1"})
        return "".join(str(version["id"]) for version in page.objects_of("result")[:1])

    def graph(self, workflow: str, version: str) -> Result:
        """Return the graph of a version's code."""
        return self._ask("GET", f"{self._own_workflow(workflow)}/versions/{quote(version, safe='')}/graph")

    def instance_graph(self, workflow: str, id: str) -> Result:
        """Return the graph of an instance's version, and how its nodes stand."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/graph")

    def tree(self, workflow: str, id: str) -> Result:
        """Return an instance with those that it awaits, those that they await, and so on."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/tree")

    def why(self, workflow: str, id: str) -> Result:
        """Return why an instance does not go on."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/why")

    def force_step(self, workflow: str, id: str, asked: Mapping[str, Any]) -> Result:
        """Decide what becomes of a step, as the body asks; return the server's receipt."""
        return self._ask("POST", f"{self._own_instance(workflow, id)}/step", body=asked)

    def log(self, workflow: str, id: str, after: int = 0) -> Iterator[Result]:
        """Yield the lines that an instance has said behind one of a number, page by page as they are asked for."""
        while True:
            # No line has the number 0, and servers take none lower than a line's.
            query = {"after": str(after) if after else None, "limit": str(_LINES_PER_PAGE)}
            page = self._ask("GET", self._log(workflow, id), query)
            lines = page.objects_of("lines")
            yield from lines
            if len(lines) < _LINES_PER_PAGE:
                return
            after = page["next"]

    def follow_log(self, workflow: str, id: str, after: int = 0) -> Iterator[Result]:
        """Yield the lines that an instance has said behind one of a number, and each new one.

        That ends with the instance; but also, without a word, with the connection or the server.
        """
        behind = f"&after={after}" if after else ""
        with self._answer_to("GET", f"{self._log(workflow, id)}?follow=true{behind}", None) as response:
            if response.status != _OK:
                _checked(response.status, self._whole(response))
            while line := self._line(response):
                # An empty one shows that the server lives.
                if line.strip():
                    yield _decoded(response.status, line)

    def _workflow(self, name: str) -> str:
        return f"/accounts/{quote(self.account, safe='')}/workflows/{quote(name, safe='')}"

    def _instance(self, workflow: str, id: str) -> str:
        return f"{self._workflow(workflow)}/instances/{quote(id, safe='')}"

    def _own_workflow(self, name: str) -> str:
        return f"/accounts/{quote(self.account, safe='')}/stepwell/workflows/{quote(name, safe='')}"

    def _own_instance(self, workflow: str, id: str) -> str:
        return f"{self._own_workflow(workflow)}/instances/{quote(id, safe='')}"

    def _log(self, workflow: str, id: str) -> str:
        return f"{self._own_instance(workflow, id)}/logs"

    def _ask(self, method: str, path: str, query: _Query | None = None, body: Any = ...) -> Result:
        return self._envelope(method, path, query, body).object_of("result")

    def _envelope(self, method: str, path: str, query: _Query | None = None, body: Any = ...) -> Result:
        with self._answer_to(method, _target(path, query), None if body is ... else json.dumps(body)) as response:
            status, content = response.status, self._whole(response)
        return _checked(status, content)

    def _whole(self, response: http.client.HTTPResponse) -> bytes:
        with _from(self.url):
            return response.read()

    def _line(self, response: http.client.HTTPResponse) -> bytes:
        with _from(self.url):
            return response.readline()

    @contextlib.contextmanager
    def _answer_to(self, method: str, target: str, body: str | None) -> Iterator[http.client.HTTPResponse]:
        """Give the answer to a request, which is still to be read."""
        parts = _address_of(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        base = parts.path.rstrip("/").removesuffix(_BASE) + _BASE
        headers = {"accept": "application/json", "user-agent": "stepwell"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.token:
            if not (self.token.isascii() and self.token.isprintable()):
                raise ServerUnreachable("the token has characters that no token has; was it copied as a whole?")
            headers["authorization"] = f"Bearer {self.token}"
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout_s)
        try:
            with _from(self.url):
                connection.request(method, base + target, body, headers)
                response = connection.getresponse()
            with response:
                yield response
        finally:
            connection.close()


@contextlib.contextmanager
def _from(url: str) -> Iterator[None]:
    """Say of what fails while a server is spoken to that the server does not answer; not of what is done with it."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise ServerUnreachable(f"{url} does not answer: {str(error) or type(error).__name__}") from error


def _target(path: str, query: _Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _address_of(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Asking for the port is what checks it.
        is_address = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        is_address = False
    # A blank or a control in it would be refused by http.client, with its own words.
    if not is_address or not (url.isascii() and url.isprintable() and " " not in url):
        raise ServerUnreachable(f'"{url:.200}" is no address of a server; give one such as http://127.0.0.1:8787')
    return urlsplit(url)


def _checked(status: int, content: bytes) -> Result:
    """Return the envelope of an answer. Raises RequestRefused if it says no."""
    envelope = _decoded(status, content)
    if not envelope.get("success"):
        error = (envelope.get("errors") or [{}])[0]
        raise RequestRefused(status, int(error.get("code", 0)), str(error.get("message", "no reason was given")))
    return envelope


def _decoded(status: int, content: bytes) -> Result:
    """Return the object that a server wrote. Raises ServerUnreachable if it is none."""
    try:
        text = content.decode().strip()
        value = json.loads(text)
    except (ValueError, RecursionError):
        text, value = "", None
    if not isinstance(value, dict):
        shown = content[:_NOT_JSON_SHOWN].decode(errors="replace")
        raise ServerUnreachable(f"the answer is not that of this API (status {status}): {shown!r}")
    return Result(value, text)


def _members_in(text: str) -> dict[str, str]:
    """Return the members of a JSON object: the text of each by its name."""
    parts = list(_values_in(text))
    return {name: member for (name, _), (_, member) in zip(parts[::2], parts[1::2], strict=True)}


def _values_in(text: str) -> Iterator[tuple[Any, str]]:
    """Yield what is in a JSON array, or the names and members of an object: each value with its text.

    The text is one of those, and has been decoded before.
    """
    at = text.index("[" if text.lstrip().startswith("[") else "{") + 1
    while text[at := at + len(_BETWEEN.match(text, at)[0])] not in "]}":  # type: ignore[index]  # it matches nothing, too
        value, end = _DECODER.raw_decode(text, at)
        yield value, text[at:end]
        at = end
