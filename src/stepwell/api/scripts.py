"""Code that is uploaded: Cloudflare's route for scripts, as its tools use it, and Stepwell's own of what was served.

Source: developers.cloudflare.com/api/resources/workers/subresources/scripts/methods/update/
"""

import uuid
from collections.abc import AsyncGenerator, Collection, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from stepwell import limits, wrangler
from stepwell.api import body, envelope
from stepwell.api.refusals import BodyTooLarge, Forbidden, invalid
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.deployments import Deployment, Deployments, Said, Upload
from stepwell.engine import Engine
from stepwell.errors import InvalidInput
from stepwell.store.snapshot_operations import FindServed, ListServed, Snapshot

_MOST_PARTS = 10_001
# What stands round the files of an upload, and what is said of them.
_ROUND_FILES = 8 * 2**20
_METADATA = "metadata"
# What a binding of an upload becomes in the wrangler file that is written; workflows aside.
_VALUES = {"plain_text": "text", "json": "json"}
_LISTED = 100
# As Cloudflare cuts them off, in bytes.
_MESSAGE_SIZE = 1_000

Config = Mapping[str, Any]


class ScriptMetadataBody(msgspec.Struct):
    """What a tool says of the files that it uploads; what Stepwell does not need is not read.

    `stepwell_source`: "." where all files of the folder are served, of which `main_module` is one.
    """

    main_module: str
    bindings: list[dict[str, Any]] = []
    annotations: dict[str, str | None] = {}
    compatibility_date: str | None = None
    compatibility_flags: list[str] = []
    stepwell_source: str | None = None


class UploadedScript(msgspec.Struct):
    """A script that was uploaded, as Cloudflare's tools expect it."""

    id: str
    etag: str
    handlers: list[str]
    has_assets: bool
    has_modules: bool
    created_on: str
    modified_on: str
    deployment_id: str
    startup_time_ms: int


class ServedCode(msgspec.Struct):
    """A snapshot of code that is served, or was."""

    snapshot: int
    sha256: str
    source: str
    python: str
    created_on: str
    served_on: str
    is_served: bool
    script: str


class ServeBody(msgspec.Struct):
    """Which snapshot is to be served again; None: the last but one, of a script, if that is named."""

    snapshot: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    script: Annotated[str, Meta(max_length=limits.SCRIPT_NAME_LENGTH)] | None = None


async def upload_script(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - whoever deploys has the store
    """Serve the code that is uploaded, if it can be."""
    deployments = deployments_of(request)
    script = name_of(request)
    done = await deployments.deploy(request.account, await read(request, script))
    return envelope.success(_uploaded(script, done))


async def list_served(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the code that was served, the last first."""
    script = _named(request.query.text("script", limits.SCRIPT_NAME_LENGTH))
    served = await engine.store.run(ListServed(request.account, _LISTED, script))
    now = await engine.store.run(FindServed(request.account))
    # Of each script its last deployment makes new instances.
    newest = {one.script: one.row for one in reversed(served) if one.script} | ({} if now is None else {"": now.row})
    return envelope.success([_shown(one, is_served=one.row in newest.values()) for one in served])


async def serve_earlier(engine: Engine, request: ApiRequest) -> Response:  # noqa: ARG001 - as above
    """Serve code again that was served before."""
    asked = await request.decode(ServeBody)
    done = await deployments_of(request).roll_back(request.account, asked.snapshot, _named(asked.script))
    return envelope.success(_shown(done.snapshot, is_served=True))


def name_of(request: ApiRequest) -> str:
    """Return the name of the script that is uploaded. Raises InvalidInput."""
    script = request.path["script_name"]
    if not limits.is_workflow_name(script):
        raise InvalidInput("script_name", f'path: "{script:.300}" cannot name a script: {limits.NAME_RULE}')
    return script


def _named(script: str | None) -> str:
    """Return the script that is meant; none: all of them. Raises InvalidInput for what no database takes."""
    if script is not None and not script.isprintable():
        raise invalid("script", f"script: {script!r:.300} cannot name a script; give printable characters")
    return script or ""


def deployments_of(request: ApiRequest) -> Deployments:
    """Return what takes code here. Raises Forbidden where nothing does."""
    deployments = request.served.deployments
    if deployments is None:
        raise Forbidden("this server takes no code; start it as `stepwell serve --allow-deploy`")
    return deployments


async def read(request: ApiRequest, script: str) -> Upload:
    """Read the parts of an upload. Raises InvalidInput, or BodyTooLarge."""
    fields, files = await _parts(request.http, request.served.engine.settings.snapshot_size + _ROUND_FILES)
    if _METADATA not in fields:
        raise invalid(_METADATA, "there is no part `metadata`, which says what is uploaded; send one with JSON")
    if nameless := sorted(fields.keys() - {_METADATA}):
        raise invalid("body", f"the part {nameless[0]!r:.300} is no file, as it has no `filename`; send one with it")
    metadata = body.decode(fields[_METADATA], ScriptMetadataBody, _METADATA)
    source = metadata.main_module if metadata.stepwell_source is None else metadata.stepwell_source
    files = {path: content for path, content in files.items() if not _is_note_of_vendoring(path)}
    message, tag = (bounded(metadata.annotations.get(f"workers/{key}")) for key in ("message", "tag"))
    given = request.served.deployments.variables if request.served.deployments else ()
    return Upload(
        script, files, source, _config(script, metadata, given), Said(tool_of(request), "upload", message, tag)
    )


def _is_note_of_vendoring(path: str) -> bool:
    """Tell whether a file is what pywrangler notes of the packages that it has put there: hidden, and no code."""
    top, *parts = path.split("/")
    return top == "python_modules" and any(part.startswith(".") and part not in {".", ".."} for part in parts)


def bounded(text: str | None) -> str | None:
    """Return what people say of an upload, cut off as Cloudflare does; nothing is None."""
    return (text or "").encode()[:_MESSAGE_SIZE].decode(errors="ignore") or None


def tool_of(request: ApiRequest) -> str:
    """Return which tool asks, in Cloudflare's words."""
    return "wrangler" if request.http.headers.get("user-agent", "").startswith("wrangler/") else "api"


async def _parts(http: Request, most: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the fields and the files of a form, by their names."""
    if not http.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise invalid("content-type", "an upload is multipart/form-data, with a part `metadata` and one for each file")
    try:
        form = await _WholeForm(http, most).parse()
    except (MultiPartException, ValueError, KeyError) as error:
        raise invalid("body", f"it is no multipart form: {error}") from error
    fields: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    try:
        for name, part in form.multi_items():
            kept = files if isinstance(part, UploadFile) and name != _METADATA else fields
            if name in kept:
                raise invalid("body", f"two parts are called {name!r:.300}; send each file once")
            kept[name] = await part.read() if isinstance(part, UploadFile) else _bytes_of(name, part)
    finally:
        await form.close()
    return fields, files


def _bytes_of(name: str, field: str) -> bytes:
    """Return a field as it was sent. Raises InvalidInput for what only the form's own encoding has."""
    try:
        return field.encode()
    except UnicodeEncodeError:
        raise invalid("body", f"the part {name!r:.300} is not UTF-8; send the form in it, without a charset") from None


class _WholeForm(MultiPartParser):
    """Reads a form that has to have its end: the parser would leave out a file that was cut off, and leave it open."""

    def __init__(self, http: Request, most: int) -> None:
        bounds = {"max_files": _MOST_PARTS, "max_fields": _MOST_PARTS}
        super().__init__(http.headers, self._bounded(http, most), **bounds, max_part_size=most)
        self._has_ended = False

    def on_end(self) -> None:
        """Hear that the last boundary was there."""
        self._has_ended = True

    async def _bounded(self, http: Request, most: int) -> AsyncGenerator[bytes, None]:
        size = 0
        async for part in body.pieces(http):
            size += len(part)
            if size > most:
                raise BodyTooLarge(most)
            yield part
        if not self._has_ended:
            raise MultiPartException("it ends before its last boundary")


def config_of(files: Mapping[str, bytes]) -> Config:
    """Return what the wrangler file of a snapshot says, which may have been written for an upload; {}: it has none."""
    name = next((name for name in wrangler.FILES if name in files), None)
    return {} if name is None else wrangler.parsed(files[name], name)


def _config(script: str, metadata: ScriptMetadataBody, given: Collection[str]) -> Config:
    """Return the wrangler file that says what an upload says; empty: its files say as much. Raises InvalidInput.

    `given` are the names of the variables that the server gives to code.
    """
    workflows: list[dict[str, Any]] = []
    values: dict[str, Any] = {}
    for binding in metadata.bindings:
        kind, name = binding.get("type"), binding.get("name")
        if not isinstance(kind, str) or not isinstance(name, str):
            raise invalid(
                _METADATA,
                "metadata: a binding has a `type` and a `name`, which are texts; got "
                f"type {kind!r:.100} and name {name!r:.100}",
            )
        if kind == "workflow":
            named = {"binding": name, "name": binding.get("workflow_name"), "class_name": binding.get("class_name")}
            of_another = {"script_name": binding["script_name"]} if "script_name" in binding else {}
            workflows.append({key: text for key, text in {**named, **of_another}.items() if text is not None})
        elif kind in _VALUES:
            values[name] = binding.get(_VALUES[kind])
        elif kind == "inherit" and name in given:
            # It is there already, as each server gives its variables to all code.
            continue
        elif kind in {"inherit", "secret_text"}:
            raise invalid(
                _METADATA,
                f"metadata: the binding {name!r:.100} is a secret, and code is kept as it is; give the server an "
                f"environment variable of that name, and --env {name:.100}",
            )
        else:
            raise invalid(
                _METADATA,
                f"metadata: the binding {name!r:.100} has the type {kind!r:.100}, which Stepwell does not have; take "
                "it out of the wrangler file, and reach a service of your own from a step",
            )
    # Each file of a folder is a script of its own, as it is where the folder is served from files.
    is_named = metadata.stepwell_source != "." and script != PurePosixPath(metadata.main_module).stem
    if not (is_named or workflows or values):
        return {}
    main = {} if metadata.stepwell_source == "." else {"name": script, "main": metadata.main_module}
    told = {"compatibility_date": metadata.compatibility_date, "compatibility_flags": metadata.compatibility_flags}
    said = {key: value for key, value in told.items() if value}
    return {**main, **said, "workflows": workflows, "vars": values}


def version_id(snapshot: Snapshot) -> str:
    """Return the id of the version that a snapshot is: a UUID of the kind that everybody makes as they like.

    Source: www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
    """
    digits = snapshot.sha256[:32]
    return str(uuid.UUID(f"{digits[:12]}8{digits[13:16]}a{digits[17:]}"))


def _uploaded(script: str, done: Deployment) -> UploadedScript:
    snapshot = done.snapshot
    created, modified = iso(snapshot.created_at), iso(snapshot.served_at)
    return UploadedScript(
        id=script,
        etag=snapshot.sha256,
        handlers=["fetch"] if done.serves_fetch else [],
        has_assets=False,
        has_modules=True,
        created_on=created,
        modified_on=modified,
        deployment_id=version_id(snapshot),
        startup_time_ms=done.load_ms,
    )


def _shown(snapshot: Snapshot, *, is_served: bool) -> ServedCode:
    return ServedCode(
        snapshot.row,
        snapshot.sha256,
        snapshot.source,
        snapshot.python,
        iso(snapshot.created_at),
        iso(snapshot.served_at),
        is_served,
        snapshot.script,
    )
