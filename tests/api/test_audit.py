"""The audit log: each request that changes something leaves its entry, or is one of those that do not."""

import csv
import io
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message

from stepwell import audit_log
from stepwell.api.app import create_app
from stepwell.api.denials import LINES, STRETCH_S, Denials
from stepwell.api.peers import Proxies
from stepwell.api.refusals import Unauthorized
from stepwell.api.routes import DASHBOARD, ROUTES
from stepwell.audit import AuditedStore
from stepwell.engine import Engine
from stepwell.hosts import READING
from stepwell.store.audit_operations import Asked, AuditEntry, ListAudit
from stepwell.store.sqlite import SqliteStore
from stepwell.tokens import Permission, Tokens
from stepwell.upload_form import form_of
from tests.api.histories import CRON, DELIVERY_ID, JOB_ID, WEBHOOK_ID, Histories

BASE = "http://stepwell.example"
ACCOUNT = "/client/v4/accounts/local"
ORDER = f"{ACCOUNT}/workflows/order"
ONE = f"{ORDER}/instances/a"
OWN = f"{ACCOUNT}/stepwell"
OWN_ONE = f"{OWN}/workflows/order/instances/a"
SCHEDULE = f"{OWN}/schedules/order/{quote(CRON, safe='')}"
WEBHOOK = f"{OWN}/webhooks/{WEBHOOK_ID}"
_TARGET = {"type": "workflow", "workflow_name": "order", "script_name": "shop"}
TRIGGER = [{"type": "cf.artifacts.repo.pushed", "targets": [_TARGET]}]
CODE = {"shop.py": b"from stepwell import WorkflowEntrypoint\n\n\nclass Order(WorkflowEntrypoint):\n    pass\n"}
AGENT = "curl/8.5.0"

Given = Callable[[Histories], Awaitable[object]]


async def _queued(histories: Histories) -> None:
    await histories.queued("order", "a")


async def _with_code(histories: Histories) -> None:
    await _queued(histories)
    await histories.serve("shop.py", {"shop.py": "pass"})


async def _uploaded_twice(histories: Histories) -> None:
    await histories.uploaded()
    await histories.serve("shop.py", {"shop.py": "pass"})


@dataclass(frozen=True)
class Case:
    """A request, what was there before, and what its entry says: the action, the workflow, the instance, the thing."""

    route: str
    path: str
    told: tuple[str, str | None, str | None, str | None]
    body: Any = None
    given: Given = _queued
    files: Mapping[str, bytes] = field(default_factory=dict)
    count: int = 1


def _of_instance(action: str) -> tuple[str, str, str, None]:
    return (f"instance.{action}", "order", "a", None)


_TRIGGER_CHANGES = (("PUT", "replace", TRIGGER), ("PATCH", "merge", TRIGGER), ("DELETE", "delete", None))
_STATUS = "PATCH {workflows}/{workflow_name}/instances/{instance_id}/status"
_REDELIVER = f"/deliveries/{DELIVERY_ID}/redeliver"
_WEBHOOK_CHANGES = (
    ("PATCH", "change", "", ""),
    ("DELETE", "delete", "", ""),
    ("POST", "rotate", "/secret", "/secret"),
    ("POST", "test", "/test", "/test"),
    ("POST", "redeliver", "/deliveries/{delivery_id}/redeliver", _REDELIVER),
)
_CASES = [
    Case(_STATUS, f"{ONE}/status", _of_instance("pause"), {"status": "pause"}),
    Case(_STATUS, f"{ONE}/status", _of_instance("resume"), {"status": "resume"}),
    Case(_STATUS, f"{ONE}/status", _of_instance("terminate"), {"status": "terminate"}),
    Case(_STATUS, f"{ONE}/status", _of_instance("restart"), {"status": "restart"}),
    Case("DELETE {workflows}/{workflow_name}/instances/{instance_id}", ONE, _of_instance("delete")),
    Case(
        "POST {workflows}/{workflow_name}/instances/batch/delete",
        f"{ORDER}/instances/batch/delete",
        _of_instance("delete"),
        {"instances": ["a", "a", "none"]},
    ),
    Case(
        "POST {workflows}/{workflow_name}/instances/batch/terminate",
        f"{ORDER}/instances/batch/terminate",
        _of_instance("terminate"),
        ["a", "none"],
    ),
    Case(
        "PUT {workflows}/{workflow_name}/instances/terminate",
        f"{ORDER}/instances/terminate",
        ("workflow.terminate_all", "order", None, None),
    ),
    Case(
        "POST {own_instance}/step",
        f"{OWN_ONE}/step",
        _of_instance("force_step"),
        {"action": "complete", "step": "charge-1", "value": "SECRET"},
        lambda histories: histories.running("order", "a"),
    ),
    Case(
        "POST {own_instance}/rollback",
        f"{OWN_ONE}/rollback",
        _of_instance("resume_rollback"),
        given=lambda histories: histories.rolled_back("order", "a"),
    ),
    Case(
        "POST {own_instance}/fork",
        f"{OWN_ONE}/fork",
        ("instance.fork", "order", "b", None),
        {"instance_id": "b", "params": "SECRET"},
    ),
    Case(
        "POST {own}/workflows/{workflow_name}/move",
        f"{OWN}/workflows/order/move",
        _of_instance("move"),
        {"instances": ["a", "none"], "force": True},
        _with_code,
    ),
    Case(
        "POST {own}/jobs",
        f"{OWN}/jobs",
        ("job.start", "order", None, "*"),
        {"action": "pause", "workflow_name": "order", "filter": {"error_text": "SECRET", "label": ["customer=ann"]}},
    ),
    Case(
        "POST {own}/jobs/{job_id}/cancel",
        f"{OWN}/jobs/{JOB_ID}/cancel",
        ("job.cancel", None, None, JOB_ID),
        given=lambda histories: histories.job("order"),
    ),
    Case(
        "PUT {workflows}/{workflow_name}",
        ORDER,
        ("workflow.put", "order", None, None),
        {"script_name": "shop", "class_name": "Order"},
    ),
    Case("DELETE {workflows}/{workflow_name}", ORDER, ("workflow.delete", "order", None, None)),
    Case(
        "PATCH {own}/schedules/{workflow_name}/{cron}",
        SCHEDULE,
        ("schedule.change", "order", None, CRON),
        {"paused": True},
        lambda histories: histories.schedule("order"),
    ),
    Case(
        "POST {own}/schedules/{workflow_name}/{cron}/run",
        f"{SCHEDULE}/run",
        ("schedule.run", "order", "*", CRON),
        given=lambda histories: histories.schedule("order"),
    ),
    Case(
        "PATCH {workflows}/settings",
        f"{ACCOUNT}/workflows/settings",
        ("account.change_settings", None, None, None),
        {"default_retention": {"success_retention": "1 day"}},
    ),
    Case(
        "POST {own}/webhooks",
        f"{OWN}/webhooks",
        ("webhook.create", None, None, "*"),
        {"url": "https://example.com/SECRET?token=SECRET", "events": ["errored"]},
    ),
    *(
        Case(
            f"{method} {{own}}/webhooks/{{webhook_id}}{pattern}",
            f"{WEBHOOK}{path}",
            (f"webhook.{action}", None, None, WEBHOOK_ID),
            {"url": "https://example.com/SECRET"} if method == "PATCH" else None,
            Histories.webhook,
        )
        for method, action, pattern, path in _WEBHOOK_CHANGES
    ),
    Case("PATCH {own}/limits", f"{OWN}/limits", ("account.limit", None, None, None), {"concurrency": 3}),
    Case(
        "PUT {own}/limits/steps/{limit_name}",
        f"{OWN}/limits/steps/desk",
        ("limit.set", None, None, "desk"),
        {"concurrency": 3},
    ),
    Case(
        "DELETE {own}/limits/steps/{limit_name}",
        f"{OWN}/limits/steps/desk",
        ("limit.unset", None, None, "desk"),
        given=lambda histories: histories.limited("order", "a"),
    ),
    *(
        Case(
            f"{method} {{account}}/triggers/{{script_name}}",
            f"{ACCOUNT}/triggers/shop",
            (f"triggers.{action}", None, None, "shop"),
            body,
        )
        for method, action, body in _TRIGGER_CHANGES
    ),
    Case(
        "PUT {account}/workers/scripts/{script_name}",
        f"{ACCOUNT}/workers/scripts/shop",
        ("script.deploy", None, None, "shop"),
        files=CODE,
    ),
    Case(
        "POST {own}/deployments",
        f"{OWN}/deployments",
        ("script.rollback", None, None, "shop"),
        {"snapshot": 1},
        _uploaded_twice,
    ),
]
# What changes something and has no entry, and why.
_NOT_AUDITED = {
    "POST {workflows}/{workflow_name}/instances": "creates: its history has it",
    "POST {workflows}/{workflow_name}/instances/batch": "creates",
    "POST {own}/workflows/{workflow_name}/instances": "creates",
    "POST {workflows}/{workflow_name}/instances/{instance_id}/events/{event_type}": "its history has it",
    "POST {own}/checks/{script_name}": "changes nothing",
    "PUT {account}/workers/scripts/{script_name}/schedules": "changes nothing",
    "PATCH {account}/workers/scripts/{script_name}/script-settings": "changes nothing",
    "POST {account}/workers/scripts/{script_name}/subdomain": "changes nothing",
    "POST /ui/session": "a session is a token's, and nothing is kept of it",
    "DELETE /ui/session": "as above",
}
# These try the code in a process of its own: tests/store/test_audit.py, tests/cli/test_audit.py.
_ELSEWHERE = {
    "POST {account}/workers/scripts/{script_name}/versions",
    "POST {account}/workers/scripts/{script_name}/deployments",
}


def _whole(route: str) -> str:
    parts = {
        "{own_instance}": "{own}/workflows/{workflow_name}/instances/{instance_id}",
        "{own}": "{account}/stepwell",
        "{workflows}": "{account}/workflows",
        "{account}": "/client/v4/accounts/{account_id}",
    }
    for name, pattern in parts.items():
        route = route.replace(name, pattern)
    return route


def test_each_route_that_changes_something_is_audited_or_not_on_purpose() -> None:
    """Whoever adds one says whether an operator has to know who has asked."""
    audited = {_whole(case.route) for case in _CASES} | {_whole(route) for route in _ELSEWHERE}
    excused = {_whole(route) for route in _NOT_AUDITED}

    changing = {f"{route.method} {route.pattern}" for route in (*ROUTES, *DASHBOARD) if route.method not in READING}
    assert changing == audited | excused
    assert audited & excused == set()


@pytest.fixture
async def secret(tokens: Tokens) -> str:
    """A token that may do everything, whose making nobody has asked for."""
    return await tokens.create("local", list(Permission), name="ann")


async def sent(app: ASGIApp, secret: str, method: str, path: str, **more: Any) -> httpx.Response:
    """Send a request from some machine."""
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        headers = {"authorization": f"Bearer {secret}", "user-agent": AGENT, **more.pop("headers", {})}
        return await client.request(method, path, headers=headers, **more)


async def entries(app: ASGIApp, secret: str, query: str = "") -> list[dict[str, Any]]:
    """Return a page of entries."""
    answer = await sent(app, secret, "GET", f"{OWN}/audit{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["result"]
    return found


def _body(case: Case) -> dict[str, Any]:
    if case.files:
        media_type, form = form_of({"main_module": "shop.py"}, case.files)
        return {"content": form, "headers": {"content-type": media_type}}
    return {} if case.body is None else {"json": case.body}


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.told[0]} {case.route.split()[0]} {case.path[-12:]}")
async def test_request_leaves_one_entry(guarded: ASGIApp, histories: Histories, secret: str, case: Case) -> None:
    """Who has asked, for what, when and from where; and none of what was handed over."""
    await case.given(histories)
    method = case.route.split()[0]

    answer = await sent(guarded, secret, method, case.path, **_body(case))

    assert answer.status_code == 200, answer.text
    (entry,) = await entries(guarded, secret)
    told = (entry["action"], entry["workflow_name"], entry["instance_id"], entry["thing"])
    assert all(expected in ("*", found) for found, expected in zip(told, case.told, strict=True)), told
    known = {name: entry[name] for name in ("who", "way", "token_id", "address", "agent")}
    assert known == {
        "who": "ann",
        "way": "token",
        "token_id": secret.split("_")[1],
        "address": "192.0.2.7",
        "agent": AGENT,
    }
    assert "SECRET" not in json.dumps(entry)
    assert secret not in json.dumps(entry)


@pytest.mark.parametrize(("trusted", "address"), [("192.0.2.7", "2001:db8::7"), ("192.0.2.8", "192.0.2.7")])
async def test_trusted_proxy_says_from_where(
    engine: Engine, tokens: Tokens, secret: str, trusted: str, address: str
) -> None:
    """In full, also where requests are counted by network; from anybody else it is the end of the connection."""
    app = create_app(engine, account=None, hosts=None, tokens=tokens, proxies=Proxies.of([trusted]))
    case = next(case for case in _CASES if case.told[0] == "account.change_settings")

    answer = await sent(
        app, secret, case.route.split()[0], case.path, headers={"x-forwarded-for": "2001:db8::7"}, **_body(case)
    )

    assert answer.status_code == 200, answer.text
    assert [entry["address"] for entry in await entries(app, secret)] == [address]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.told[0]} {case.route.split()[0]} {case.path[-12:]}")
async def test_refused_request_leaves_none(
    guarded: ASGIApp, histories: Histories, tokens: Tokens, secret: str, case: Case
) -> None:
    """Somebody who may only read changes nothing, and nothing is told of it."""
    await case.given(histories)
    reader = await tokens.create("local", [Permission.SCRIPTS_READ])

    answer = await sent(guarded, reader, case.route.split()[0], case.path, **_body(case))

    assert answer.status_code == 403
    assert await entries(guarded, secret) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("PATCH", f"{ORDER}/instances/none/status", {"status": "pause"}, id="nothing there"),
        pytest.param("PATCH", f"{ONE}/status", {"status": "explode"}, id="no such status"),
        pytest.param("PUT", ORDER, {"script_name": "none", "class_name": "Order"}, id="no such script"),
        pytest.param("DELETE", f"{OWN}/limits/steps/none", None, id="no such limit"),
        pytest.param("POST", f"{OWN_ONE}/rollback", None, id="no rollback"),
    ],
)
async def test_what_cannot_be_done_leaves_none(
    guarded: ASGIApp, histories: Histories, secret: str, *, method: str, path: str, body: Any
) -> None:
    """The log has what was done, and not what was tried."""
    await _queued(histories)

    answer = await sent(guarded, secret, method, path, **({} if body is None else {"json": body}))

    assert answer.status_code in {400, 404}, answer.text
    assert await entries(guarded, secret) == []


async def test_job_under_a_key_is_told_once(guarded: ASGIApp, histories: Histories, secret: str) -> None:
    """A client that sends it again as no answer came has begun one job."""
    await _queued(histories)
    body, headers = {"action": "pause", "workflow_name": "order"}, {"idempotency-key": "one"}

    for _ in range(2):
        assert (await sent(guarded, secret, "POST", f"{OWN}/jobs", json=body, headers=headers)).status_code == 200

    assert [entry["action"] for entry in await entries(guarded, secret)] == ["job.start"]


async def test_session_is_told_from_a_token(guarded: ASGIApp, histories: Histories, secret: str) -> None:
    """Somebody at the dashboard is known by the token that he has signed in with."""
    await _queued(histories)
    transport = httpx.ASGITransport(guarded, client=("192.0.2.8", 1))
    page = {"origin": BASE, "x-stepwell-page": "1"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as browser:
        await browser.post("/ui/session", json={"token": secret}, headers=page)
        await browser.patch(f"{ONE}/status", json={"status": "pause"}, headers=page)

    entry, signed_in = await entries(guarded, secret)

    assert (entry["way"], entry["who"], entry["address"]) == ("session", "ann", "192.0.2.8")
    assert (signed_in["action"], signed_in["way"], signed_in["who"]) == ("session.begin", "token", "ann")


async def test_server_without_tokens_tells_the_address(app: ASGIApp, histories: Histories) -> None:
    """Nobody is known there, but what was done, and from where."""
    await _queued(histories)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8787") as client:
        await client.delete(ONE)
        (entry,) = (await client.get(f"{OWN}/audit")).json()["result"]

    assert (entry["way"], entry["who"], entry["token_id"], entry["address"]) == ("open", "local", None, "127.0.0.1")


async def test_what_workers_and_code_do_is_nobodys(engine: Engine, histories: Histories) -> None:
    """Only what a request asks for is audited: not what the server, or the author's code, does by itself."""
    await _queued(histories)

    await engine.control.pause("local", "order", "a")

    assert [page async for page in audit_log.pages(engine.store, ListAudit("local", 500))] == []


async def test_entries_come_page_by_page(guarded: ASGIApp, histories: Histories, secret: str) -> None:
    """Newest first, by a cursor; and by what they say."""
    await _queued(histories)
    for status in ("pause", "resume", "terminate"):
        await sent(guarded, secret, "PATCH", f"{ONE}/status", json={"status": status})

    first = (await sent(guarded, secret, "GET", f"{OWN}/audit?per_page=2")).json()
    second = (await sent(guarded, secret, "GET", f"{OWN}/audit?cursor={first['result_info']['cursor']}")).json()

    assert [entry["action"] for entry in first["result"]] == ["instance.terminate", "instance.resume"]
    assert [entry["action"] for entry in second["result"]] == ["instance.pause"]
    assert (first["result_info"]["count"], second["result_info"]["cursor"]) == (2, "")
    assert len(await entries(guarded, secret, "?workflow=order&instance=a&date_start=2020-01-01T00:00:00Z")) == 3
    assert len(await entries(guarded, secret, "?action=instance.pause")) == 1
    assert await entries(guarded, secret, "?token=none") == []


@pytest.mark.parametrize("query", ["action=explode", "cursor=no", "date_start=soon", "format=xml", "per_page=501"])
async def test_query_that_makes_no_sense_is_refused(guarded: ASGIApp, secret: str, query: str) -> None:
    """With a reason, as everywhere."""
    answer = await sent(guarded, secret, "GET", f"{OWN}/audit?{query}")

    assert (answer.status_code, answer.json()["success"]) == (400, False)


_HOSTILE = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "\x1b]0;gone\x07\x9b31m", "<script>alert(1)</script>", 'a","b']


async def test_what_callers_say_is_harmless(guarded: ASGIApp, histories: Histories, secret: str) -> None:
    """Their programs' names are bounded and have nothing that a terminal or a spreadsheet would do something for."""
    for agent in (*_HOSTILE, "x" * 5_000):
        headers = {"user-agent": agent.encode("latin-1")}
        await sent(guarded, secret, "PATCH", f"{OWN}/limits", json={"concurrency": 1}, headers=headers)

    told = [entry["agent"] for entry in await entries(guarded, secret)]
    lines = (await sent(guarded, secret, "GET", f"{OWN}/audit?format=ndjson")).text.splitlines()
    file = await sent(guarded, secret, "GET", f"{OWN}/audit?format=csv")

    assert all(len(agent) <= 200 and agent.isprintable() for agent in told)
    assert [json.loads(line)["agent"] for line in lines] == told
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["agent"].removeprefix("'") for row in rows] == told
    assert not any(value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())
    assert file.headers["content-type"].startswith("text/csv")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["content-disposition"] == 'attachment; filename="audit.csv"'


def test_cell_that_begins_like_a_formula_does_not() -> None:
    """Whichever column it is in, and whichever of the signs a spreadsheet knows."""
    hostile = "=1+1"
    entry = AuditEntry(1, 0, "limit.set", "token", hostile, hostile, hostile, hostile, hostile, hostile, "\t=1", "{}")

    (row,) = csv.reader(io.StringIO(audit_log.as_csv(audit_log.members_of([audit_log.shown(entry)])).decode()))

    assert [cell for cell in row if cell.startswith(("=", "\t"))] == []


async def test_file_has_all_entries(guarded: ASGIApp, engine: Engine, tokens: Tokens, secret: str) -> None:
    """However many pages it takes, and in order."""
    from stepwell.audit import asking

    with asking(Asked("token", "ann", 1, "aa")):
        for _ in range(audit_log.AT_ONCE + 3):
            await engine.limit_account("local", 1)

    answer = await sent(guarded, secret, "GET", f"{OWN}/audit?format=ndjson")

    ids = [int(json.loads(line)["id"]) for line in answer.text.splitlines()]
    assert ids == list(range(audit_log.AT_ONCE + 3, 0, -1))


def _request(path: str) -> Request:
    scope = {"type": "http", "method": "GET", "raw_path": path.encode(), "client": ("192.0.2.9", 1), "headers": []}
    return Request(scope)


def test_those_who_are_refused_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A line for each, with nothing that a terminal does something for; and a count where there are too many."""
    now = [0.0]
    denials = Denials(lambda: now[0])

    with caplog.at_level(logging.WARNING):
        for _ in range(LINES + 5):
            denials.note(_request("/a\x1b[2J?token=SECRET"), "192.0.2.9", Unauthorized("no"), "ann")
        now[0] = STRETCH_S
        denials.note(_request("/b"), "192.0.2.9", Unauthorized("no"), "")

    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == "refused 401 GET /a\N{REPLACEMENT CHARACTER}[2J from 192.0.2.9 with the token of ann: " + (
        "Authentication error: no"
    )
    assert texts[LINES:] == [
        "5 more requests were refused in 60 seconds",
        "refused 401 GET /b from 192.0.2.9: Authentication error: no",
    ]


async def test_refused_permission_names_the_token(
    guarded: ASGIApp, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log knows whose token has asked for too much, and none of its secret."""
    reader = await tokens.create("local", [Permission.SCRIPTS_READ], name="ben")

    with caplog.at_level(logging.WARNING):
        await sent(guarded, reader, "GET", f"{OWN}/audit")

    (record,) = caplog.records
    assert record.getMessage().startswith("refused 403 GET /client/v4/accounts/local/stepwell/audit from 192.0.2.7 ")
    assert "with the token of ben" in record.getMessage()
    assert reader not in record.getMessage()


async def test_socket_that_is_refused_is_in_the_log_too(guarded: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks for a WebSocket without a token is told from the log as others are."""
    scope = {
        "type": "websocket",
        "path": f"{ONE}/subscribe",
        "raw_path": f"{ONE}/subscribe".encode(),
        "query_string": b"",
        "headers": [],
        "client": ("192.0.2.9", 1),
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        pass

    with caplog.at_level(logging.WARNING):
        await guarded(scope, receive, send)

    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [
        f"refused 401 GET {ONE}/subscribe from 192.0.2.9"
    ]


async def test_store_is_wrapped_and_says_the_same() -> None:
    """What is asked of it for nobody is asked as it is."""
    store = SqliteStore.in_memory()
    wrapped = AuditedStore(store)

    assert await Tokens(wrapped, Engine(store).clock).list() == []
    await wrapped.close()
