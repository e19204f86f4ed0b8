"""A client of the HTTP API: of a Stepwell server, or of Cloudflare for what exists there.

Built on the standard library alone, so that a command of one request starts fast.
"""

import contextlib
import http.client
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlencode

from stepwell.addresses import address_of, check_token
from stepwell.client_bytes import StepBytes, answers_from, decoded, id_of
from stepwell.errors import NotOfThisServer, RequestRefused, ServerUnreachable
from stepwell.limits import BATCH_INSTANCES
from stepwell.results import Result
from stepwell.upload_form import form_of

__all__ = ["Client", "Result", "StepBytes"]

_BASE = "/client/v4"
_PER_PAGE = 100
_LINES_PER_PAGE = 1_000
_OK = 200
# What a list of instances is asked for by Cloudflare's route.
_OF_CLOUDFLARE = frozenset(("status", "date_start", "date_end", "direction"))
# How Cloudflare says that it has no such route.
_NO_ROUTE = frozenset((7000, 7003))
_BYTES = "application/octet-stream"

_Query = Mapping[str, str | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Client:
    """Asks a server, for one account. `url` is the server's, with or without `/client/v4` behind it.

    Each method raises RequestRefused if the server says no, ServerUnreachable if it says nothing that can be read.
    """

    url: str
    account: str
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    # Is told of each request, and of each answer: lines without a token, and without what is in a body.
    told: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def workflows(self) -> Iterator[Result]:
        """Yield the workflows of the account, page by page as they are asked for."""
        return self._numbered(self._workflows(), {})

    def workflow(self, name: str) -> Result:
        """Return a workflow, with how many of its instances have which status."""
        return self._ask("GET", self._workflow(name))

    def versions(self, workflow: str) -> Iterator[Result]:
        """Yield the versions of a workflow, newest first, page by page as they are asked for."""
        return self._numbered(f"{self._workflow(workflow)}/versions", {})

    def delete_workflow(self, name: str) -> Result:
        """Delete a workflow with its instances; return the server's receipt."""
        return self._ask("DELETE", self._workflow(name))

    def whoami(self) -> Result:
        """Return who a Stepwell server takes the caller for, and which release it is."""
        return self._ask("GET", f"{self._own()}/whoami")

    def verify_token(self) -> Result:
        """Return what is known of the token, that of a user."""
        return self._ask("GET", "/user/tokens/verify")

    def verify_token_of_account(self) -> Result:
        """Return what Cloudflare knows of the token, that of an account."""
        return self._ask("GET", f"/accounts/{quote(self.account, safe='')}/tokens/verify")

    def create_instance(
        self,
        workflow: str,
        id: str | None,
        params: Any,
        labels: Mapping[str, str] | None = None,
        retention: Mapping[str, str] | None = None,
    ) -> Result:
        """Create an instance; return what the server says of it. One with labels is created by Stepwell's own route.

        `retention`: how long it is kept after its end, by the end's kind.
        """
        body = {"params": params} if id is None else {"params": params, "instance_id": id}
        if retention:
            body["instance_retention"] = retention
        if labels:
            return self._ask("POST", f"{self._own_workflow(workflow)}/instances", body={**body, "labels": labels})
        return self._ask("POST", f"{self._workflow(workflow)}/instances", body=body)

    def instance(self, workflow: str, id: str, *, simple: bool = False) -> Result:
        """Return logs and status of an instance."""
        query = {"simple": "true"} if simple else {}
        return self._ask("GET", self._instance(workflow, id), query)

    def instances(self, workflow: str, **query: str | None) -> Iterator[Result]:
        """Yield instances, newest first unless `direction` says "asc", page by page as they are asked for."""
        return self._pages(f"{self._workflow(workflow)}/instances", query)

    def search(self, workflow: str | None, query: "_Query") -> Iterator[Result]:
        """Yield instances that match, of a workflow or of all (None), newest first, page by page as they are asked for.

        `query` are the parameters of Stepwell's own route. A search that takes long is gone on with until its end.
        Where a server lacks the route, Cloudflare's is asked, if that knows all parameters.
        """
        of = self._own() if workflow is None else self._own_workflow(workflow)
        try:
            yield from self._pages(f"{of}/instances", query)
        except NotOfThisServer:
            given = {name: value for name, value in query.items() if value}
            given |= {name: value[0] for name, value in given.items() if not isinstance(value, str) and len(value) == 1}
            if workflow is None or not all(isinstance(given[n], str) and n in _OF_CLOUDFLARE for n in given):
                raise
            yield from self._pages(f"{self._workflow(workflow)}/instances", given)

    def labels(self, workflow: str, id: str) -> Mapping[str, str]:
        """Return the labels of an instance."""
        return dict(self._ask("GET", self._own_instance(workflow, id)).get("labels", {}))

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

    def start_job(self, asked: Mapping[str, Any]) -> Result:
        """Begin to change all instances that match, as the body asks; return the job."""
        return self._ask("POST", f"{self._own()}/jobs", body=asked)

    def jobs(self) -> Iterator[Result]:
        """Yield the jobs of the account, newest first, page by page as they are asked for."""
        return self._numbered(f"{self._own()}/jobs", {})

    def job(self, id: str) -> Result:
        """Return a job, with what has failed."""
        return self._ask("GET", f"{self._own()}/jobs/{quote(id, safe='')}")

    def cancel_job(self, id: str) -> Result:
        """End a job; return it as it is then."""
        return self._ask("POST", f"{self._own()}/jobs/{quote(id, safe='')}/cancel")

    def webhooks(self) -> Iterator[Result]:
        """Yield the webhooks of the account, oldest first."""
        yield from self._envelope("GET", f"{self._own()}/webhooks").objects_of("result")

    def webhook(self, method: str, *place: str, body: Any = ...) -> Result:
        """Ask for something of a webhook, by what follows the route of all of them; return what the server says."""
        path = "/".join(quote(part, safe="") for part in place)
        return self._ask(method, f"{self._own()}/webhooks{'/' if path else ''}{path}", body=body)

    def deliveries(self, webhook: str, outcome: str | None = None) -> Iterator[Result]:
        """Yield what a webhook was sent, or is to be, newest first, page by page as they are asked for."""
        return self._pages(f"{self._own()}/webhooks/{quote(webhook, safe='')}/deliveries", {"outcome": outcome})

    def schedules(self, workflow: str | None = None) -> Iterator[Result]:
        """Yield the schedules of the account, or of a workflow, page by page as they are asked for."""
        return self._numbered(f"{self._own()}/schedules", {"workflow": workflow})

    def change_schedule(self, workflow: str, cron: str, changes: Mapping[str, Any]) -> Result:
        """Change a schedule, as the body asks; return it as it is then."""
        return self._ask("PATCH", self._schedule(workflow, cron), body=changes)

    def run_schedule(self, workflow: str, cron: str) -> Result:
        """Create an instance of a schedule; return what the server says of it."""
        return self._ask("POST", f"{self._schedule(workflow, cron)}/run")

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
                yield self._checked(response).object_of("result")

    def version(self, workflow: str, id: str) -> Result:
        """Return a version of a workflow, with what is declared of it."""
        return self._ask("GET", f"{self._workflow(workflow)}/versions/{quote(id, safe='')}")

    def version_code(self, workflow: str, id: str) -> Result:
        """Return what a version is made of: the hash of its code, its snapshot, the schema of its params."""
        return self._ask("GET", f"{self._own_workflow(workflow)}/versions/{quote(id, safe='')}")

    def version_source(self, workflow: str, id: str, *, is_whole: bool) -> Result:
        """Return the source that a version's graph was read from; `is_whole`: all files of its snapshot instead."""
        path = f"{self._own_workflow(workflow)}/versions/{quote(id, safe='')}/source"
        return self._ask("GET", path, {"whole": "true" if is_whole else None})

    def newest_version(self, workflow: str) -> str:
        """Return the id of a workflow's newest version."""
        page = self._envelope("GET", f"{self._workflow(workflow)}/versions", {"per_page": "1"})
        return "".join(str(version["id"]) for version in page.objects_of("result")[:1])

    def graph(self, workflow: str, version: str) -> Result:
        """Return the graph of a version's code."""
        return self._ask("GET", f"{self._own_workflow(workflow)}/versions/{quote(version, safe='')}/graph")

    def plain_graph(self, workflow: str, version: str) -> Result:
        """Return the graph of a version's code in Cloudflare's form."""
        return self._ask("GET", f"{self._workflow(workflow)}/versions/{quote(version, safe='')}/graph")

    def instance_graph(self, workflow: str, id: str) -> Result:
        """Return the graph of an instance's version, and how its nodes stand."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/graph")

    def attributes(self, workflow: str, id: str, step: str | None = None) -> Result:
        """Return what the attempts of an instance, or of a step, have said of themselves, with the sums."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/attributes", {"step": step})

    def tree(self, workflow: str, id: str) -> Result:
        """Return an instance with those that it awaits, those that they await, and so on."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/tree")

    def limits(self) -> Result:
        """Return how many instances of the account may run, and how its workflows stand that have limits."""
        return self._ask("GET", f"{self._own()}/limits")

    def upload(self, script: str, metadata: Mapping[str, Any], files: Mapping[str, bytes]) -> Result:
        """Let the server serve files as a script; return what it says of that."""
        media_type, form = form_of(metadata, files)
        target = f"/accounts/{quote(self.account, safe='')}/workers/scripts/{quote(script, safe='')}"
        with self._answer_to("PUT", target, form, media_type) as response:
            return self._checked(response).object_of("result")

    def check(
        self, script: str, metadata: Mapping[str, Any], files: Mapping[str, bytes], workflow: str | None
    ) -> Iterator[Result]:
        """Yield what would become of instances, of a workflow or of all (None), on files, and how far that is.

        The last one says that it `is_done`. Raises ServerUnreachable where it does not come.
        """
        media_type, form = form_of(metadata, files)
        target = _target(f"{self._own()}/checks/{quote(script, safe='')}", {"workflow": workflow})
        with self._answer_to("POST", target, form, media_type) as response:
            if response.status != _OK:
                self._checked(response, is_own=True)
            found: Mapping[str, Any] = {}
            while line := self._line(response):
                found = decoded(response.status, line)
                if "error" in found:
                    raise ServerUnreachable(f"the check has ended before its end: {found['error']}")
                yield found
        if not found.get("is_done"):
            raise ServerUnreachable("the check has ended before its end: the server stops, or its answer was cut off")

    def move(self, workflow: str, ids: Sequence[str], version: str | None, *, is_forced: bool) -> Sequence[Result]:
        """Move up to 100 instances to a version, None: the newest; return what became of each."""
        asked = {"instances": list(ids), "version_id": version, "force": is_forced}
        return self._envelope("POST", f"{self._own_workflow(workflow)}/move", body=asked).objects_of("result")

    def fork(self, workflow: str, id: str, asked: Mapping[str, Any]) -> Result:
        """Make a new instance from a step of another one; return it."""
        return self._ask("POST", f"{self._own_instance(workflow, id)}/fork", body=asked)

    def served(self, script: str | None = None) -> Iterator[Result]:
        """Yield the code that was served, of all scripts or of one, the last first."""
        target = _target(f"{self._own()}/deployments", {"script": script})
        yield from self._envelope("GET", target).objects_of("result")

    def serve_earlier(self, snapshot: int | None, script: str | None = None) -> Result:
        """Let the server serve code again that was served before; None: the last but one of a script."""
        asked = {"snapshot": snapshot, **({} if script is None else {"script": script})}
        return self._ask("POST", f"{self._own()}/deployments", body=asked)

    def hosts(self) -> Result:
        """Return who has the store open, what waits for them, and what the store is kept in."""
        return self._ask("GET", f"{self._own()}/hosts")

    def audit(self, query: "_Query") -> Iterator[Result]:
        """Yield entries of the audit log, newest first, page by page as they are asked for."""
        return self._pages(f"{self._own()}/audit", query)

    def facts(self, query: "_Query") -> Iterator[Result]:
        """Yield what the logs of the servers have said, the latest first, page by page as it is asked for."""
        return self._pages(f"{self._own()}/facts", query)

    def limits_of(self, workflow: str) -> Result:
        """Return the limits of a workflow, and how they stand."""
        return self._ask("GET", f"{self._own_workflow(workflow)}/limits")

    def limit_account(self, concurrency: int | None) -> Result:
        """Let at most so many instances of the account run at a time, None: any number; return all its limits."""
        return self._ask("PATCH", f"{self._own()}/limits", body={"concurrency": concurrency})

    def share_limit(self, name: str, concurrency: int | None, rate: tuple[int, int] | None) -> Result:
        """Set a limit that steps share, which it returns; `rate` is how many may begin in how many milliseconds."""
        shown = None if rate is None else {"limit": rate[0], "period_ms": rate[1]}
        return self._ask("PUT", self._shared_limit(name), body={"concurrency": concurrency, "rate": shown})

    def unshare_limit(self, name: str) -> Result:
        """Take back what was set of a limit that steps share; return all limits of the account."""
        return self._ask("DELETE", self._shared_limit(name))

    def _shared_limit(self, name: str) -> str:
        return f"{self._own()}/limits/steps/{quote(name, safe='')}"

    def retention(self, workflow: str, id: str) -> Result:
        """Return how long an instance is kept."""
        return self._ask("GET", f"{self._own_instance(workflow, id)}/retention")

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
                self._checked(response, is_own=True)
            while line := self._line(response):
                # An empty one shows that the server lives.
                if line.strip():
                    yield decoded(response.status, line)

    def _pages(self, path: str, query: "_Query") -> Iterator[Result]:
        cursor: str | None = None
        while True:
            asked = {"per_page": str(_PER_PAGE), **query, "cursor": cursor}
            envelope = self._envelope("GET", path, asked)
            yield from envelope.objects_of("result")
            cursor = (envelope.get("result_info") or {}).get("cursor")
            if not cursor:
                return

    def _numbered(self, path: str, query: "_Query") -> Iterator[Result]:
        for number in itertools.count(1):
            asked = {"page": str(number), "per_page": str(_PER_PAGE), **query}
            page = self._envelope("GET", path, asked).objects_of("result")
            yield from page
            if len(page) < _PER_PAGE:
                return

    def _workflows(self) -> str:
        return f"/accounts/{quote(self.account, safe='')}/workflows"

    def _workflow(self, name: str) -> str:
        return f"{self._workflows()}/{quote(name, safe='')}"

    def _instance(self, workflow: str, id: str) -> str:
        return f"{self._workflow(workflow)}/instances/{quote(id, safe='')}"

    def _own(self) -> str:
        return f"/accounts/{quote(self.account, safe='')}/stepwell"

    def _schedule(self, workflow: str, cron: str) -> str:
        return f"{self._own()}/schedules/{quote(workflow, safe='')}/{quote(cron, safe='')}"

    def _own_workflow(self, name: str) -> str:
        return f"{self._own()}/workflows/{quote(name, safe='')}"

    def _own_instance(self, workflow: str, id: str) -> str:
        return f"{self._own_workflow(workflow)}/instances/{quote(id, safe='')}"

    def _log(self, workflow: str, id: str) -> str:
        return f"{self._own_instance(workflow, id)}/logs"

    def _ask(self, method: str, path: str, query: _Query | None = None, body: Any = ...) -> Result:
        return self._envelope(method, path, query, body).object_of("result")

    def _envelope(self, method: str, path: str, query: _Query | None = None, body: Any = ...) -> Result:
        with self._answer_to(method, _target(path, query), None if body is ... else json.dumps(body)) as response:
            return self._checked(response, is_own=path.startswith(self._own()))

    def _checked(self, response: http.client.HTTPResponse, *, is_own: bool = False) -> Result:
        """Return the envelope of an answer. Raises RequestRefused if it says no."""
        envelope = decoded(response.status, self._whole(response))
        if envelope.get("success"):
            return envelope
        error = next(iter(envelope.objects_of("errors")), Result(None, "null"))
        number, message = error.get("code"), str(error.get("message", "no reason was given"))
        # Something else than this API may answer.
        code = number if isinstance(number, int) else 0
        if is_own and code in _NO_ROUTE:
            raise NotOfThisServer(response.status, code, f"{self.url} does not have this: {message}", id_of(response))
        raise RequestRefused(response.status, code, message, id_of(response))

    def _whole(self, response: http.client.HTTPResponse) -> bytes:
        with answers_from(self.url):
            return response.read()

    def _line(self, response: http.client.HTTPResponse) -> bytes:
        with answers_from(self.url):
            return response.readline()

    @contextlib.contextmanager
    def _answer_to(
        self, method: str, target: str, body: str | bytes | None, media_type: str = "application/json"
    ) -> Iterator[http.client.HTTPResponse]:
        """Give the answer to a request, which is still to be read."""
        parts = self._address()
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        base = parts.path.rstrip("/").removesuffix(_BASE) + _BASE
        headers = {"accept": "application/json", "user-agent": "stepwell"}
        if body is not None:
            headers["content-type"] = media_type
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout_s)
        try:
            said = f"{method} {parts.scheme}://{parts.netloc}{base}{target}"
            self._tell_of_request(said, body, media_type.partition(";")[0])
            with answers_from(self.url):
                connection.request(method, base + target, body, headers)
                response = connection.getresponse()
            self._tell_of_answer(response)
            with response:
                yield response
        finally:
            connection.close()

    def _address(self) -> SplitResult:
        """Return where it goes. Raises ServerUnreachable also for a token that cannot be sent."""
        try:
            if self.token:
                check_token(self.token)
            return address_of(self.url)
        except ValueError as error:
            raise ServerUnreachable(str(error)) from error

    def _tell_of_request(self, line: str, body: str | bytes | None, media_type: str) -> None:
        if self.told is None:
            return
        self.told(f"> {line}")
        if self.token:
            self.told("> authorization: Bearer ...")
        if body is not None:
            size = len(body if isinstance(body, bytes) else body.encode())
            self.told(f"> {media_type}  {size:,} bytes")

    def _tell_of_answer(self, response: http.client.HTTPResponse) -> None:
        if self.told is None:
            return
        type, size = response.headers.get("content-type", "-"), response.headers.get("content-length", "-")
        self.told(f"< {response.status} {response.reason}  {type}  {size} bytes  request {id_of(response) or '-'}")


def _target(path: str, query: _Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path
