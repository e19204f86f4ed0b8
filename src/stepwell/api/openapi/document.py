"""The document itself: what is known of each route, put together."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from stepwell import __version__, models
from stepwell.api.openapi import (
    of_accounts,
    of_audit,
    of_deployments,
    of_instances,
    of_jobs,
    of_schedules,
    of_scripts,
    of_stepwell,
    of_webhooks,
    of_workflows,
)
from stepwell.api.openapi.effective import effective
from stepwell.api.openapi.examples import example_of
from stepwell.api.openapi.operation import (
    BAD_REQUEST,
    BROKEN,
    NO_TOKEN,
    NOT_ALLOWED,
    Answer,
    Body,
    Operation,
    Refused,
    key_of,
)
from stepwell.api.openapi.parameters import parameters_of
from stepwell.api.openapi.schemas import Schema, Schemas, ref
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.tokens import AUDITING, MEASURING, NOTIFYING, READING, READING_CODE, WRITING

if TYPE_CHECKING:
    from stepwell.api.routes import Route

OPERATIONS = {
    **of_workflows.OPERATIONS,
    **of_instances.OPERATIONS,
    **of_accounts.OPERATIONS,
    **of_stepwell.OPERATIONS,
    **of_schedules.OPERATIONS,
    **of_jobs.OPERATIONS,
    **of_audit.OPERATIONS,
    **of_webhooks.OPERATIONS,
    **of_deployments.OPERATIONS,
    **of_scripts.OPERATIONS,
}

_SOURCE = "https://developers.cloudflare.com/api/resources/"
_ABOUT = (
    "Stepwell runs durable workflows written in Python and speaks the HTTP API of Cloudflare Workflows. What "
    "Cloudflare does not have is marked `x-stepwell-extension`."
)
_TAGS = {
    of_workflows.WORKFLOWS: "A workflow is a class of the author's, by name.",
    of_instances.INSTANCES: "An instance is one execution of a workflow, by id.",
    of_workflows.VERSIONS: "A version is one immutable snapshot of a workflow's code and settings.",
    of_accounts.TRIGGERS: "An event trigger says which events start a workflow.",
    of_scripts.SCRIPTS: "A script is code that was uploaded, by name; a version of it is what was uploaded at a time.",
    of_accounts.ACCOUNT_TAG: "Who calls, and what holds for all workflows of an account.",
    of_stepwell.STEPWELL: "What Cloudflare does not have.",
}
_SECURITY = {
    "api_token": {"type": "http", "scheme": "bearer", "description": "A token; `stepwell token create` makes one."},
    "api_email": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Email",
        "description": "The address that the token was made with, together with X-Auth-Key.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Key",
        "description": "The token, together with X-Auth-Email.",
    },
}
_STATUSES = {
    400: "The request breaks a rule",
    401: "Who asks is not known",
    403: "Who asks may not",
    404: "What is asked for is not there",
    413: "The request is too large",
    426: "The route is a WebSocket",
    429: "There are too many requests",
    500: "The server is at fault",
    503: "It took too long",
}


@cache
def document(settings: Settings = DEFAULT_SETTINGS, base: str = "") -> bytes:
    """Return the document of a server that has been told these settings, and lies below the path `base`, as JSON."""
    return msgspec.json.encode({**build(settings), "servers": [{"url": base or "/"}]})


@cache
def build(settings: Settings = DEFAULT_SETTINGS) -> Mapping[str, Any]:
    """Return the document of a server that has been told these settings; its address is where it was read.

    Raises KeyError for a route, or a parameter, of which the tables say nothing.
    """
    # Imported here: the routes lead to the handler that serves this document.
    from stepwell.api.routes import ROUTES  # noqa: PLC0415 - see above

    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for route in _in_order(ROUTES):
        paths.setdefault(route.pattern, {})[route.method.lower()] = _operation(route, schemas)
    schemas.of_answer(models.Failure)
    used = {operation["tags"][0] for methods in paths.values() for operation in methods.values()}
    whole = {
        "openapi": "3.1.1",
        "info": {
            "title": "Stepwell",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "externalDocs": {"description": "Cloudflare's reference", "url": f"{_SOURCE}workflows/"},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items() if name in used],
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.components.items())), "securitySchemes": _SECURITY},
    }
    found: Mapping[str, Any] = effective(whole, settings)
    return found


def _in_order(routes: Iterable["Route"]) -> list["Route"]:
    """Return routes in the order of the tables, which is one for readers."""
    places = {key: place for place, key in enumerate(OPERATIONS)}
    return sorted(routes, key=lambda route: places[key_of(route)])


def _operation(route: "Route", schemas: Schemas) -> Schema:
    known = OPERATIONS[key_of(route)]
    described: Schema = {
        "operationId": known.id,
        "tags": [known.tag],
        "summary": route.summary,
        "description": known.description,
        **_permission(route),
        "parameters": _with_components(parameters_of(route), schemas),
        "responses": {**_answers(known.answer, schemas), **_refusals(known)},
    }
    if known.body is not None:
        described["requestBody"] = _body(known.body, schemas)
    return {**described, **_clients(known)}


def _permission(route: "Route") -> Schema:
    """Return who may ask, and with which credentials."""
    from stepwell.api.auth import Need, need_of  # noqa: PLC0415 - it needs the routes, see above

    need = need_of(route)
    by_need = {
        Need.READ: READING,
        Need.READ_CODE: READING_CODE,
        Need.WRITE: WRITING,
        Need.AUDIT: AUDITING,
        Need.WEBHOOKS: NOTIFYING,
        Need.METRICS: MEASURING,
    }
    accepted = by_need.get(need, frozenset())
    schemes: list[Schema] = [] if need is Need.NOTHING else [{"api_token": []}, {"api_email": [], "api_key": []}]
    return {"security": schemes, "x-permissions": sorted(accepted)}


def _with_components(parameters: Iterable[Schema], schemas: Schemas) -> list[Schema]:
    """Return parameters, after the schemas that they refer to have become part of the document."""
    found = list(parameters)
    for parameter in found:
        schemas.add_named(parameter["schema"])
    return found


def _clients(known: Operation) -> Schema:
    """Return how else the same is done, and where Cloudflare describes it."""
    more: Schema = {}
    if known.tag == of_stepwell.STEPWELL:
        more["x-stepwell-extension"] = True
    if known.cli:
        more["x-cli"] = list(known.cli)
    if known.sdk is not None:
        *resources, method = known.sdk.split(".")
        more["x-cloudflare-sdk"] = known.sdk
        more["externalDocs"] = {"url": f"{_SOURCE}{'/subresources/'.join(resources)}/methods/{method}/"}
    return more


def _body(body: Body, schemas: Schemas) -> Schema:
    schema = {} if body.kind is None else schemas.of_body(body.kind)
    content = _form(schema, body) if body.is_form else {"application/json": {"schema": schema, "example": body.example}}
    return {"description": body.description, "required": body.is_needed, "content": content}


def _form(schema: Schema, body: Body) -> Schema:
    files = {"type": "string", "format": "binary", "description": "A file, by its path."}
    form = {"type": "object", "required": ["metadata"], "properties": {"metadata": schema}}
    encoding = {"metadata": {"contentType": "application/json"}}
    whole = {**form, "additionalProperties": files}
    return {"multipart/form-data": {"schema": whole, "encoding": encoding, "example": body.example}}


# ---- answers


def _answers(answer: Answer, schemas: Schemas) -> Schema:
    others = {str(status): {"description": about} for status, about in answer.others}
    return {str(answer.status): _answer(answer, schemas), **others}


def _answer(answer: Answer, schemas: Schemas) -> Schema:
    content = {
        kind: _content(schema if isinstance(schema, dict) else schemas.of_answer(schema), schemas)
        for kind, schema in answer.media
    }
    if answer.result is not None:
        content = {"application/json": _content(_envelope(answer, schemas), schemas), **content}
    return {"description": "What was asked for", "content": content}


def _content(schema: Schema, schemas: Schemas) -> Schema:
    if schema == {"type": "string"}:
        return {"schema": schema}
    return {"schema": schema, "example": _counted(example_of(schema, schemas.components))}


def _counted(example: Any) -> Any:
    """Return an example of an answer whose `result_info` counts what is in it."""
    if "result_info" not in example:
        return example
    result = example["result"]
    # Of an object, the page is its one list.
    entries = (
        result if isinstance(result, list) else next(result[name] for name in ("steps", "items") if name in result)
    )
    counts = {name: len(entries) for name in ("count", "total_count") if name in example["result_info"]}
    return {**example, "result_info": {**example["result_info"], **counts}}


def _envelope(answer: Answer, schemas: Schemas) -> Schema:
    problems = {"type": "array", "items": schemas.of_answer(models.Problem), "examples": [[]]}
    properties: Schema = {
        "success": {"type": "boolean", "const": True, "description": "Whether the request was done."},
        "errors": {**problems, "description": "What is wrong: nothing.", "maxItems": 0},
        "messages": {**problems, "description": "What the caller should know besides."},
        "result": schemas.of_answer(answer.result),
    }
    if answer.info:
        info = schemas.of_answer(answer.info_kind)
        properties["result_info"] = {
            **info,
            "required": list(answer.info),
            "description": "Where this page stands in the whole.",
        }
    return {"type": "object", "properties": properties, "required": list(properties)}


# ---- refusals


def _refusals(known: Operation) -> Schema:
    rows = [BAD_REQUEST, *known.refused, NO_TOKEN, NOT_ALLOWED, BROKEN]
    statuses = sorted({row.error.http_status for row in rows})
    return {
        str(status): _refusal(status, [row for row in rows if row.error.http_status == status]) for status in statuses
    }


def _refusal(status: int, rows: list[Refused]) -> Schema:
    codes = sorted({row.error.code for row in rows})
    narrowed = {"properties": {"errors": {"items": {"properties": {"code": {"enum": codes}}}}}}
    return {
        "description": _STATUSES[status],
        "content": {"application/json": {"schema": {**ref("Failure"), **narrowed}}},
        "x-errors": [_row(row) for row in rows],
    }


def _row(row: Refused) -> Schema:
    key = {} if row.key is None else {"key": f"workflows.api.error.{row.key}"}
    return {"code": row.error.code, **key, "when": row.when}
