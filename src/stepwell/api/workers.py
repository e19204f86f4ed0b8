"""What Cloudflare's tools ask of a script beside its code, before and behind a deployment.

Stepwell has no domain `workers.dev`, no cron triggers of scripts, no log push and no tags: the answers say so. Secrets
are the variables that the server was given for all code.

Source: developers.cloudflare.com/api/resources/workers/
"""

import re
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import limits
from stepwell.api import body, envelope
from stepwell.api.refusals import ScriptNotFound, ServiceNotFound, invalid
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.deployments import to_said
from stepwell.engine import Engine
from stepwell.store.snapshot_operations import ListServed, ListUploads, Snapshot

_ENVIRONMENT: Literal["production"] = "production"


class ScriptFacts(msgspec.Struct):
    """A script, as a service has it."""

    id: str
    tag: str
    tags: list[str]
    etag: str
    created_on: str
    modified_on: str
    last_deployed_from: str


class ServiceEnvironment(msgspec.Struct):
    """The one environment of a service."""

    environment: Literal["production"]
    script: ScriptFacts
    created_on: str
    modified_on: str


class Service(msgspec.Struct):
    """A script as its tools ask for it before they upload."""

    id: str
    default_environment: ServiceEnvironment
    created_on: str
    modified_on: str


class OnOff(msgspec.Struct, frozen=True):
    """Whether something is on."""

    enabled: bool = False


class WorkerAddress(msgspec.Struct):
    """Where a script would be served below `workers.dev`: nowhere."""

    url: str
    enabled: bool = False
    previews_enabled: bool = False


class Worker(msgspec.Struct):
    """A script, in the form of Cloudflare's newer routes."""

    id: str
    name: str
    created_on: str
    updated_on: str
    subdomain: WorkerAddress
    logpush: bool = False
    observability: OnOff = OnOff()
    tags: list[str] = []
    tail_consumers: list[str] = []


class SecretName(msgspec.Struct):
    """A variable of the server's that code is given; its value is told nobody."""

    name: str
    type: Literal["secret_text"] = "secret_text"


class ScriptSettings(msgspec.Struct):
    """Settings of a script that Stepwell has none of."""

    logpush: bool = False
    observability: OnOff = OnOff()
    tags: list[str] = []
    tail_consumers: list[str] = []


class ScriptSettingsBody(msgspec.Struct):
    """What is to change of the settings of a script; nothing does."""

    logpush: bool | None = None
    observability: dict[str, Any] | None = None
    tags: list[str] | None = None
    tail_consumers: list[dict[str, Any]] | None = None


class Subdomain(msgspec.Struct):
    """The name that an account would have below `workers.dev`."""

    subdomain: str


class ScriptSubdomain(msgspec.Struct):
    """Whether a script is served below `workers.dev`."""

    enabled: bool = False
    previews_enabled: bool = False


class SubdomainBody(msgspec.Struct):
    """Whether a script is to be served below `workers.dev`."""

    enabled: bool
    previews_enabled: bool = False


class CronTrigger(msgspec.Struct):
    """A cron trigger of a script."""

    cron: str


class CronTriggers(msgspec.Struct):
    """The cron triggers of a script."""

    schedules: list[CronTrigger]


CronTriggersBody = Annotated[list[CronTrigger], Meta(max_length=limits.SCHEDULES_PER_ACCOUNT)]


async def get_service(engine: Engine, request: ApiRequest) -> Response:
    """Answer whether a script was uploaded, and with what."""
    name = request.path["script_name"]
    snapshot = await _newest(engine, request.account, name)
    if snapshot is None:
        raise ServiceNotFound(name)
    created, modified = iso(snapshot.created_at), iso(snapshot.served_at or snapshot.created_at)
    said = to_said(snapshot.deployed if snapshot.served_at else snapshot.annotations)
    tag = uuid.uuid5(uuid.NAMESPACE_URL, f"stepwell/script/{request.account}/{name}").hex
    facts = ScriptFacts(name, tag, [], snapshot.sha256, created, modified, said.source)
    return envelope.success(
        Service(name, ServiceEnvironment(_ENVIRONMENT, facts, created, modified), created, modified)
    )


async def get_worker(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a script, and with the host of this server as the place that it would be at."""
    snapshot = await script_of(engine, request)
    name, http = request.path["script_name"], request.http
    url = f"{http.scope.get('scheme', 'http')}://{http.headers.get('host', 'localhost')}"
    created, updated = iso(snapshot.created_at), iso(snapshot.served_at or snapshot.created_at)
    return envelope.success(Worker(name, name, created, updated, WorkerAddress(url)))


async def list_secrets(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the names of the variables that this server gives to code."""
    await script_of(engine, request)
    deployments = request.served.deployments
    return envelope.success([SecretName(name) for name in sorted(deployments.variables if deployments else ())])


async def change_settings(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the settings that hold, whatever is asked for: there is none that could be changed."""
    await request.decode(ScriptSettingsBody)
    await script_of(engine, request)
    return envelope.success(ScriptSettings())


async def get_subdomain(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - all handlers take both
    """Answer with the name that the account would have: tools want one before they make workflows known."""
    return envelope.success(Subdomain(re.sub(r"[^a-z0-9]+", "-", request.account.lower()).strip("-") or "local"))


async def set_subdomain(engine: Engine, request: ApiRequest) -> Response:
    """Answer that a script is not served below `workers.dev`, whatever is asked for."""
    await request.decode(SubdomainBody)
    await script_of(engine, request)
    return envelope.success(ScriptSubdomain())


async def replace_cron_triggers(engine: Engine, request: ApiRequest) -> Response:
    """Answer that there are no cron triggers. Raises InvalidInput if some are asked for."""
    wanted = body.decode(await request.body(), CronTriggersBody)
    await script_of(engine, request)
    if wanted:
        raise invalid(
            "body",
            f"the cron trigger {wanted[0].cron!r:.100} would call `scheduled` of the script, which Stepwell does not "
            "call; give a workflow `schedules` in the wrangler file instead, and take it out of `triggers`",
        )
    return envelope.success(CronTriggers([]))


async def script_of(engine: Engine, request: ApiRequest) -> Snapshot:
    """Return what a script was deployed with last, or uploaded with, if it never was. Raises ScriptNotFound."""
    name = request.path["script_name"]
    found = await _newest(engine, request.account, name)
    if found is None:
        raise ScriptNotFound(name)
    return found


async def _newest(engine: Engine, account: str, script: str) -> Snapshot | None:
    if not limits.is_workflow_name(script):
        # No upload has such a name, and no database would have to take it.
        return None
    for operation in (ListServed(account, 1, script), ListUploads(account, script, 1)):
        for found in await engine.store.run(operation):
            return found
    return None
