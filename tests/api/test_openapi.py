"""The OpenAPI document says what the program does."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest

from stepwell import __version__, limits
from stepwell.api import openapi
from stepwell.api.openapi.document import OPERATIONS
from stepwell.api.openapi.operation import key_of, names_in
from stepwell.api.openapi.parameters import PATH
from stepwell.api.routes import ROUTES, Route
from stepwell.upload_form import form_of
from tests.api.described import BY_ID, DOCUMENT, SCHEMAS
from tests.api.histories import CRON, DELIVERY_ID, JOB_ID, VERSION_ID, WEBHOOK_ID, Histories

ACCOUNT = "/client/v4/accounts/local"
OWN = f"{ACCOUNT}/stepwell/workflows/order/instances"
MISSING = "00000000-0000-4000-8000-000000000000"
BUILT = [*ROUTES]
# The streams of events have tests of their own: one goes on as long as its instance, the other is a WebSocket.
ANSWERED = [route for route in BUILT if route.method == "GET" and "filter" not in route.query]
STATUSES = ["queued", "running", "waiting", "complete", "errored"]


def described(route: Route) -> Any:
    """Return what the document says of a route."""
    return DOCUMENT["paths"][route.pattern][route.method.lower()]


def check(value: Any, schema: Any) -> None:
    """Hold a value against a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


def path_of(pattern: str, **parts: str) -> str:
    """Return a path with the parts that the fixtures know."""
    known = {
        "account_id": "local",
        "workflow_name": "order",
        "instance_id": "a",
        "event_type": "approved",
        "version_id": VERSION_ID,
        "script_name": "shop",
        "script_version_id": "11111111-1111-8111-a111-111111111111",
        "operation_id": "workflows-list",
        "cron": quote(CRON, safe=""),
        "limit_name": "desk",
        "job_id": JOB_ID,
        "webhook_id": WEBHOOK_ID,
        "delivery_id": DELIVERY_ID,
    }
    return pattern.format(**{**known, **parts})


def needed_query(operation: Any) -> dict[str, str]:
    """Return the query that an operation cannot do without."""
    return {
        given["name"]: given["example"]
        for given in operation["parameters"]
        if given["in"] == "query" and given.get("required")
    }


async def ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    """Send a request whose path begins at the root."""
    return await client.request(method, f"http://localhost:8787{path}", **more)


def id_of(route: Route) -> str:
    """Name a case."""
    return f"{route.method} {route.pattern}"


# ---- the document


def test_document_is_valid() -> None:
    """The document keeps the specification of OpenAPI 3.1."""
    from openapi_spec_validator import validate

    assert DOCUMENT["openapi"] == "3.1.1"
    validate(DOCUMENT)


def test_document_names_program_and_server() -> None:
    """It has the version of the package, its license, and for its server the one that it was read from."""
    assert DOCUMENT["info"]["version"] == __version__
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"
    assert DOCUMENT["servers"] == [{"url": "/"}]


def test_every_built_route_is_in_it_and_no_other() -> None:
    """Each route that has a handler is described, under an id of its own; others are not."""
    told = {(method, pattern) for method, pattern, _ in BY_ID.values()}

    assert told == {(route.method, route.pattern) for route in BUILT}
    assert len(BY_ID) == len(told)


@pytest.mark.parametrize("route", BUILT, ids=id_of)
def test_every_parameter_that_a_route_reads_is_in_it(route: Route) -> None:
    """The parts of the path and the parameters of the query are those that the route has, each with a meaning."""
    given = described(route)["parameters"]

    assert [one["name"] for one in given if one["in"] == "path"] == names_in(route.pattern)
    assert [one["name"] for one in given if one["in"] == "query"] == list(route.query)
    assert all(one["description"] and one["schema"] for one in given)


@pytest.mark.parametrize("route", BUILT, ids=id_of)
def test_routes_that_cloudflare_lacks_are_marked(route: Route) -> None:
    """A route is Stepwell's own, or Cloudflare's."""
    is_cloudflares = route.number is not None or described(route)["tags"] in (["Account"], ["Scripts"])

    assert described(route).get("x-stepwell-extension", False) is not is_cloudflares


def test_every_reference_leads_to_a_schema() -> None:
    """No `$ref` leads nowhere, and no schema is there for nothing."""
    named = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', openapi.document().decode()))

    assert named == set(SCHEMAS)


def test_every_member_has_a_meaning() -> None:
    """Each member of each answer and each body is described."""
    silent = [
        f"{name}.{member}"
        for name, schema in SCHEMAS.items()
        if name not in {"Counts", "Failure"}
        for member, said in schema.get("properties", {}).items()
        if not said.get("description") and "const" not in said and "$ref" not in said
    ]

    assert silent == []


@pytest.mark.parametrize("id", BY_ID)
def test_every_example_keeps_its_schema(id: str) -> None:
    """What the document gives as an example of a body, an answer or a parameter is one."""
    operation = BY_ID[id][2]
    answered = next(iter(operation["responses"].values()))
    forms = [*answered["content"].values()]
    forms += operation.get("requestBody", {}).get("content", {}).values()
    forms += [given for given in operation["parameters"] if "example" in given]

    for form in forms:
        if "example" in form:
            check(form["example"], form["schema"])


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("workflow_name", limits.is_workflow_name, id="workflow_name"),
        pytest.param("event_type", limits.is_event_type, id="event_type"),
        pytest.param("cron", limits.is_cron, id="cron"),
        pytest.param("limit_name", limits.is_limit_name, id="limit_name"),
        pytest.param("instance_id", limits.is_addressed_instance_id, id="instance_id"),
    ],
)
def test_pattern_of_a_path_parameter_is_the_programs_rule(name: str, rule: Any) -> None:
    """A name that the document allows is one that the program takes, and the other way round."""
    names = ["", "a", "-a", "_-9", "a.b", "a b", "*/5 * * * *-1", "é", "a\n", "a" * 64, "a" * 65]
    names += ["a" * 100, "a" * 101, "a" * 271, "a" * 272]
    schema = {**PATH[name]["schema"], "pattern": PATH[name]["schema"]["pattern"].replace("$", r"\Z")}

    allowed = [one for one in names if jsonschema.Draft202012Validator(schema).is_valid(one)]

    assert allowed == [one for one in names if rule(one)]


# ---- what the program does


def at_the_bounds(schema: Any) -> Iterator[tuple[str, bool]]:
    """Give values at the bounds of a schema and just beyond them, and whether they are allowed."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if "oneOf" in schema:
        yield from (("0", True), ("5 minutes", True), ("soon", False), ("", False))
    elif "enum" in schema:
        yield from ((value, True) for value in schema["enum"])
        yield "other", False
    elif schema["type"] == "integer":
        low, high = schema["minimum"], schema["maximum"]
        yield from ((str(low), True), (str(high), True), (str(low - 1), False), (str(high + 1), False), ("x", False))
    elif "maxLength" in schema:
        yield from (
            ("x", True),
            ("x" * schema["maxLength"], True),
            ("", False),
            ("x" * (schema["maxLength"] + 1), False),
        )
    elif schema.get("format") == "date-time":
        yield from (("2026-11-23T10:00:00Z", True), ("2026-11-23T10:00:00.123+02:00", True), ("yesterday", False))


@pytest.mark.parametrize(
    ("route", "name"),
    [(route, name) for route in BUILT for name in route.query],
    ids=[f"{id_of(route)} {name}" for route in BUILT for name in route.query],
)
async def test_bounds_are_those_of_the_program(
    client: httpx.AsyncClient, histories: Histories, route: Route, name: str
) -> None:
    """A value at the bounds that the document gives is taken, one beyond them is refused by name."""
    await histories.complete("order", "a")
    operation = described(route)
    schema = next(given["schema"] for given in operation["parameters"] if given["name"] == name)

    for value, is_allowed in at_the_bounds(schema):
        query = {**needed_query(operation), name: value}
        answer = await ask(client, route.method, path_of(route.pattern), params=query)

        is_refused = answer.status_code == 400 and f"parameter {name} must be" in answer.text
        assert is_refused is not is_allowed, value


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("route", ANSWERED, ids=id_of)
async def test_answer_keeps_its_schema(
    client: httpx.AsyncClient, histories: Histories, route: Route, status: str
) -> None:
    """What a route answers, with instances in each status, is what the document says."""
    await histories.schedule("order")
    await getattr(histories, status)("order", "a")
    await histories.job("order")
    await histories.webhook()
    if described(route)["tags"] == ["Scripts"]:
        await histories.uploaded()
    operation = described(route)

    answer = await ask(client, "GET", path_of(route.pattern), params=needed_query(operation))

    assert answer.status_code == 200 or needed_query(operation), answer.text
    form = operation["responses"][str(answer.status_code)]["content"][answer.headers["content-type"].partition(";")[0]]
    if answer.headers["content-type"] == "application/json":
        check(answer.json(), form["schema"])


@pytest.mark.parametrize("query", ["order=desc", "simple=true", "per_page=2"])
async def test_answer_keeps_its_schema_whatever_the_query(
    client: httpx.AsyncClient, histories: Histories, query: str
) -> None:
    """A part of a log is described as well as the whole."""
    await histories.complete("order", "a")
    method, pattern, operation = BY_ID["workflows-instances-get"]

    answer = await ask(client, method, f"{path_of(pattern)}?{query}")

    check(answer.json(), operation["responses"]["200"]["content"]["application/json"]["schema"])


async def test_followed_log_is_a_stream_of_lines(client: httpx.AsyncClient, histories: Histories) -> None:
    """The other form of an answer has the media type that the document gives it."""
    await histories.complete("order", "a")

    answer = await ask(client, "GET", f"{OWN}/a/logs?follow=true")

    content = BY_ID["stepwell-instances-logs"][2]["responses"]["200"]["content"]
    assert list(content) == ["application/json", "application/x-ndjson"]
    assert answer.headers["content-type"].partition(";")[0] == "application/x-ndjson"


@pytest.mark.parametrize("id", [id for id, (method, _, _) in BY_ID.items() if method != "GET"])
async def test_example_of_a_change_is_taken(client: httpx.AsyncClient, histories: Histories, id: str) -> None:
    """A request as the document shows it is done, and its answer keeps its schema."""
    await histories.schedule("order")
    method, pattern, operation = BY_ID[id]
    begin = {
        "stepwell-instances-rollback": histories.rolled_back,
        "stepwell-instances-step-force": histories.waiting,
        "stepwell-limits-unshare": histories.limited,
        "stepwell-deployments-serve": histories.served,
        "stepwell-instances-move": histories.served,
    }
    if operation["tags"] == ["Scripts"]:
        await histories.uploaded()
    await begin.get(id, histories.queued)("order", "a")
    await histories.job("order")
    await histories.webhook()
    content = operation.get("requestBody", {}).get("content", {})

    answer = await ask(client, method, path_of(pattern), **sent(content))

    assert answer.status_code == 200, answer.text
    described = operation["responses"]["200"]["content"]
    if "application/x-ndjson" in described:
        assert json.loads(answer.text.splitlines()[-1])["is_done"]
    else:
        check(answer.json(), described["application/json"]["schema"])


def sent(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the example of a body is sent."""
    if "multipart/form-data" not in content:
        return {"json": content.get("application/json", {}).get("example")}
    parts = dict(content["multipart/form-data"]["example"])
    metadata = parts.pop("metadata")
    media_type, form = form_of(metadata, {path: body.encode() for path, body in parts.items()})
    return {"content": form, "headers": {"content-type": media_type}}


# What is wrong with a request, by the operation's id: path, query, body, and status, code and key of the answer.
Case = tuple[str, Any, Any, tuple[int, int, str]]
NO_WORKFLOW = (404, 10200, "workflow.not_found")
NO_INSTANCE = (404, 10400, "instance.not_found")
NO_VERSION = (404, 10300, "version.not_found")
BODY = (400, 10002, "body")


def wrong(pattern: str, expected: tuple[int, int, str], body: Any = None, **parts: str) -> Case:
    """Return a case: a path with these parts."""
    return path_of(pattern, **parts), {}, body, expected


def missing_things(id: str) -> Iterator[Case]:
    """Give a case for each thing in the path of an operation that may be missing."""
    _, pattern, operation = BY_ID[id]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    codes = {(error["code"], error.get("key")) for error in operation["responses"].get("404", {}).get("x-errors", ())}
    absent = {
        (10200, "workflow.not_found"): {"workflow_name": "nothing"},
        (10400, "instance.not_found"): {"instance_id": "nothing"},
        (10300, "version.not_found"): {"version_id": MISSING},
        (10500, "schedule.not_found"): {"cron": "0%200%20*%20*%20*"},
        (10501, "limit.not_found"): {"limit_name": "nothing"},
        (10506, "job.not_found"): {"job_id": MISSING},
        (10503, "snapshot.not_found"): {},
        (10504, "webhook.not_found"): {"webhook_id": "ff"},
        (10505, "delivery.not_found"): {"delivery_id": "msg_ff_1"},
        (10400, "step.not_found"): {},
    }
    for (code, key), parts in absent.items():
        if (code, f"workflows.api.error.{key}") in codes:
            query = {**needed_query(operation), **({"name": "nothing-1"} if key == "step.not_found" else {})}
            if key == "workflow.not_found" and "{workflow_name}" not in pattern and body is None:
                query["workflow"] = "nothing"
            # A thing may be named in the body, too.
            given = (
                {**body, **{name: parts[name] for name in parts if name in body}} if isinstance(body, dict) else body
            )
            yield path_of(pattern, **parts), query, given, (404, code, key)


WRONG: list[tuple[str, Case]] = [
    *((id, case) for id in BY_ID for case in missing_things(id)),
    (
        "workflows-instances-create",
        wrong(BY_ID["workflows-instances-create"][1], (400, 10405, "instance.already_exists"), {"instance_id": "a"}),
    ),
    (
        "workflows-instances-create",
        wrong(BY_ID["workflows-instances-create"][1], (400, 10002, "instance.invalid_id"), {"instance_id": "-"}),
    ),
    (
        "workflows-instances-events-create",
        wrong(
            BY_ID["workflows-instances-events-create"][1],
            (400, 10002, "workflow.invalid_event_type"),
            {},
            event_type="a.b",
        ),
    ),
    (
        "workflows-instances-events-create",
        wrong(BY_ID["workflows-instances-events-create"][1], (400, 10401, "instance.finished"), {}, instance_id="done"),
    ),
    (
        "stepwell-instances-rollback",
        wrong(BY_ID["stepwell-instances-rollback"][1], (400, 10403, "instance.no_failed_rollback"), instance_id="done"),
    ),
    (
        "stepwell-instances-step-force",
        wrong(
            BY_ID["stepwell-instances-step-force"][1],
            (400, 10002, "step.cannot_force"),
            {"action": "skip", "step": "nap-1"},
        ),
    ),
    (
        "stepwell-instances-step-force",
        wrong(
            BY_ID["stepwell-instances-step-force"][1],
            (400, 10401, "instance.finished"),
            {"action": "skip", "step": "nap-1"},
            instance_id="done",
        ),
    ),
    *(
        (
            "workflows-instances-status-edit",
            wrong(
                BY_ID["workflows-instances-status-edit"][1],
                (400, 10401, f"instance.cannot_{status}"),
                {"status": status},
                instance_id="done",
            ),
        )
        for status in ("pause", "terminate")
    ),
    (
        "workflows-instances-status-edit",
        wrong(
            BY_ID["workflows-instances-status-edit"][1],
            (400, 10402, "instance.cannot_restart"),
            {"status": "restart", "from": {"name": "none"}},
        ),
    ),
    *(
        (id, wrong(pattern, BODY, 5))
        for id, (_, pattern, operation) in BY_ID.items()
        if operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {}) != {}
    ),
    *(
        (id, wrong(pattern, BODY, account_id="a.b"))
        for id, (_, pattern, _) in BY_ID.items()
        if "{account_id}" in pattern
    ),
]


@pytest.mark.parametrize(
    ("id", "case"), WRONG, ids=[f"{id} {case[3][2]} {number}" for number, (id, case) in enumerate(WRONG)]
)
async def test_error_is_one_of_the_table(client: httpx.AsyncClient, histories: Histories, id: str, case: Case) -> None:
    """What goes wrong has the status, the code and the key that the document gives, in the form that it gives."""
    await histories.webhook()
    await histories.complete("order", "done")
    await histories.queued("order", "a")
    method, _, operation = BY_ID[id]
    path, query, body, (status, code, key) = case

    answer = await ask(client, method, path, params=query, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code), answer.text
    assert answer.json()["errors"][0]["message"].startswith(f"workflows.api.error.{key}: ")
    response = operation["responses"][str(status)]
    assert (code, f"workflows.api.error.{key}") in {(row["code"], row.get("key")) for row in response["x-errors"]}
    check(answer.json(), response["content"]["application/json"]["schema"])


def test_every_404_of_the_table_has_a_case() -> None:
    """No row of a table of errors about what is missing is there without having been seen."""
    told = {
        (id, error["code"], error["key"].removeprefix("workflows.api.error."))
        for id, (_, _, operation) in BY_ID.items()
        for error in operation["responses"].get("404", {}).get("x-errors", ())
        if "key" in error
    }

    seen = {(id, case[3][1], case[3][2]) for id, case in WRONG if case[3][0] == 404}

    assert seen == told


def test_operations_without_a_route_are_none() -> None:
    """The tables describe no route that is not there, but for those of the reference itself."""
    keys = {key_of(route) for route in ROUTES} | {"GET /openapi.json", "GET /docs", "GET /docs/{operation_id}"}

    assert set(OPERATIONS) <= keys
