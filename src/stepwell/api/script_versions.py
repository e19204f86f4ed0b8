"""Versions of scripts and their deployments, as Cloudflare's tools ask for them: each version is a snapshot of code.

The id of a version is made of the hash of its files, so the same files are the same version. Of each version the last
deployment is known.

Source: developers.cloudflare.com/api/resources/workers/subresources/scripts/subresources/versions/ and .../deployments/
"""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from stepwell.api import envelope, scripts, workers
from stepwell.api.identity import OWNER
from stepwell.api.paging import NumberedPage
from stepwell.api.refusals import ScriptVersionNotFound, invalid
from stepwell.api.request import ApiRequest
from stepwell.api.versions import MOST_PER_PAGE, PER_PAGE
from stepwell.core.steplog import iso
from stepwell.deployments import Said, to_said
from stepwell.engine import Engine
from stepwell.store.snapshot_operations import ListServed, ListUploads, ReadSnapshotFiles, Snapshot

# As many as Cloudflare lists.
_LISTED = 100
# More uploads of a script than anybody looks through.
_MOST = 10_000
_WHOLE = 100.0
# The digits of a hash that stand in front of the first that a UUID has for itself.
_PREFIX = 12
_ANNOTATIONS = {"message": "workers/message", "tag": "workers/tag", "triggered_by": "workers/triggered_by"}


class ScriptAnnotations(msgspec.Struct, rename=_ANNOTATIONS):
    """What was said of a version, or of a deployment."""

    message: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    triggered_by: str | UnsetType = UNSET


class ScriptVersionFacts(msgspec.Struct, rename={"has_preview": "hasPreview"}):
    """Who has uploaded a version, and when."""

    author_email: str
    created_on: str
    modified_on: str
    source: str
    has_preview: bool = False


class ScriptVersion(msgspec.Struct):
    """A version of a script."""

    id: str
    number: int
    metadata: ScriptVersionFacts
    annotations: ScriptAnnotations


class ScriptVersions(msgspec.Struct):
    """The versions of a script, the last first."""

    items: list[ScriptVersion]


class CodeOfScript(msgspec.Struct):
    """The code of a version."""

    etag: str
    last_deployed_from: str


class ScriptRuntime(msgspec.Struct):
    """What a version was written for."""

    compatibility_date: str | UnsetType = UNSET
    compatibility_flags: list[str] | UnsetType = UNSET


class ScriptResources(msgspec.Struct):
    """What a version is made of, and what it is bound to."""

    script: CodeOfScript
    script_runtime: ScriptRuntime
    bindings: list[dict[str, Any]]


class WholeScriptVersion(ScriptVersion):
    """A version of a script with what it is made of."""

    resources: ScriptResources


class UploadedVersion(WholeScriptVersion):
    """A version that was uploaded, and how long it took to load."""

    startup_time_ms: int


class VersionShare(msgspec.Struct):
    """Which part of what is asked a version answers."""

    version_id: str
    percentage: float


class ScriptDeployment(msgspec.Struct):
    """A deployment of a script."""

    id: str
    source: str
    strategy: Literal["percentage"]
    author_email: str
    created_on: str
    annotations: ScriptAnnotations
    versions: list[VersionShare]


class ScriptDeployments(msgspec.Struct):
    """The deployments of a script, the last first."""

    deployments: list[ScriptDeployment]


class DeploymentNotes(msgspec.Struct, rename=_ANNOTATIONS):
    """What is said of a deployment."""

    message: str | None = None


class DeploymentBody(msgspec.Struct):
    """Which version is to be deployed: one, and all of it."""

    versions: Annotated[list[VersionShare], Meta(min_length=1, max_length=2)]
    strategy: Literal["percentage"] = "percentage"
    annotations: DeploymentNotes | None = None


async def list_versions(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of the versions of a script, the last first."""
    page = NumberedPage.asked_by(request.query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    await workers.script_of(engine, request)
    found = await engine.store.run(ListUploads(request.account, request.path["script_name"], _MOST))
    shown = [ScriptVersion(*_version(one)) for one in found[page.offset : page.offset + page.per_page]]
    return envelope.success(ScriptVersions(shown), page.info(len(shown), len(found)))


async def get_version(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a version of a script, and with what it is bound to."""
    await workers.script_of(engine, request)
    snapshot = await _find(engine, request, request.path["script_version_id"])
    return envelope.success(WholeScriptVersion(*_version(snapshot), await _resources(engine, snapshot)))


async def upload_version(engine: Engine, request: ApiRequest) -> Response:
    """Keep a version of a script, if it can be loaded, and serve nothing of it."""
    deployments = scripts.deployments_of(request)
    kept = await deployments.keep(request.account, await scripts.read(request, scripts.name_of(request)))
    resources = await _resources(engine, kept.snapshot)
    return envelope.success(UploadedVersion(*_version(kept.snapshot), resources, kept.load_ms))


async def list_deployments(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the deployments of a script, the last first: up to 100."""
    await workers.script_of(engine, request)
    found = await engine.store.run(ListServed(request.account, _LISTED, request.path["script_name"]))
    return envelope.success(ScriptDeployments([_deployment(one) for one in found]))


async def deploy_version(engine: Engine, request: ApiRequest) -> Response:
    """Serve a version of a script that was uploaded before."""
    deployments = scripts.deployments_of(request)
    wanted = await request.decode(DeploymentBody)
    if len(wanted.versions) > 1 or wanted.versions[0].percentage != _WHOLE:
        raise invalid(
            "versions",
            f"versions: {len(wanted.versions)} versions with {wanted.versions[0].percentage:g} % of the first cannot "
            "be deployed side by side here; deploy one version with 100 %: instances that are running stay on theirs",
        )
    await workers.script_of(engine, request)
    snapshot = await _find(engine, request, wanted.versions[0].version_id)
    served = await engine.store.run(ListServed(request.account, 1, request.path["script_name"]))
    is_back = snapshot.served_at > 0 and served[:1] != [snapshot]
    message = None if wanted.annotations is None else wanted.annotations.message
    said = Said(scripts.tool_of(request), "rollback" if is_back else None, scripts.bounded(message))
    done = await deployments.serve(request.account, snapshot, said)
    return envelope.success(_deployment(done.snapshot))


async def _find(engine: Engine, request: ApiRequest, id: str) -> Snapshot:
    """Return the version of this id. Raises ScriptVersionNotFound."""
    script, digits = request.path["script_name"], id.replace("-", "").lower()[:_PREFIX]
    if len(digits) == _PREFIX and digits.isalnum():
        for found in await engine.store.run(ListUploads(request.account, script, _LISTED, digits)):
            if scripts.version_id(found) == id.lower():
                return found
    raise ScriptVersionNotFound(script, id)


def _version(snapshot: Snapshot) -> tuple[str, int, ScriptVersionFacts, ScriptAnnotations]:
    said, created = to_said(snapshot.annotations), iso(snapshot.created_at)
    annotations = ScriptAnnotations(said.message or UNSET, said.tag or UNSET, said.triggered_by or UNSET)
    id = scripts.version_id(snapshot)
    return id, snapshot.row, ScriptVersionFacts(OWNER, created, created, said.source), annotations


async def _resources(engine: Engine, snapshot: Snapshot) -> ScriptResources:
    files = await engine.store.run(ReadSnapshotFiles(snapshot.row))
    config = scripts.config_of({file.path: file.body for file in files})
    runtime = ScriptRuntime(config.get("compatibility_date", UNSET), config.get("compatibility_flags", UNSET))
    source = to_said(snapshot.annotations).source
    return ScriptResources(CodeOfScript(snapshot.sha256, source), runtime, _bindings(config))


def _bindings(config: scripts.Config) -> list[dict[str, Any]]:
    workflows: Sequence[dict[str, Any]] = config.get("workflows") or []
    return [
        *(_workflow_binding(entry) for entry in workflows if "binding" in entry),
        *(
            {"type": "plain_text", "name": name, "text": value}
            if isinstance(value, str)
            else {"type": "json", "name": name, "json": value}
            for name, value in (config.get("vars") or {}).items()
        ),
    ]


def _workflow_binding(entry: dict[str, Any]) -> dict[str, Any]:
    binding = {"type": "workflow", "name": entry["binding"], "workflow_name": entry.get("name")}
    return binding | {key: entry[key] for key in ("class_name", "script_name") if key in entry}


def _deployment(snapshot: Snapshot) -> ScriptDeployment:
    said, id = to_said(snapshot.deployed), scripts.version_id(snapshot)
    return ScriptDeployment(
        str(uuid.uuid5(uuid.UUID(id), str(snapshot.served_at))),
        said.source,
        "percentage",
        OWNER,
        iso(snapshot.served_at),
        ScriptAnnotations(said.message or UNSET, UNSET, said.triggered_by or UNSET),
        [VersionShare(id, _WHOLE)],
    )
