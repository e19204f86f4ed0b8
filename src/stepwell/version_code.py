"""What a version of a workflow is made of: its code's hash, schema and source, as our own routes show them."""

import re
from collections.abc import Mapping

import msgspec

from stepwell import graphs
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.graph.listing import MOST_BYTES, left_out
from stepwell.store.snapshot_operations import ReadSnapshotSources, Snapshot
from stepwell.store.workflow_operations import GetVersionCode

# So much of a snapshot is looked through for a class.
_MOST_READ = 4 * 2**20

_NOT_KEPT = (
    "its source was not kept: it was loaded by an earlier Stepwell, or by a test kit. Load the same code once more "
    "with this one, by `stepwell dev` or `stepwell serve`: that is the same version, and its source is here then"
)
_NOT_READ = (
    "its source was not kept: its steps cannot be read from it ({note}), and then `stepwell dev` keeps nothing of it. "
    "`stepwell serve` keeps all files of what it serves: the version that it makes of this code has its source"
)
_NO_SNAPSHOT = (
    "the store has no snapshot of it: `stepwell serve` and `stepwell deploy` make one of what they serve, "
    "`stepwell dev` makes none"
)
_TOO_LARGE = f"its source is too large to be shown: more than {MOST_BYTES:,} bytes"


class VersionCodeShown(msgspec.Struct):
    """What a version is made of. Snapshot, source and Python are None where the store has no snapshot of it."""

    version_id: str
    class_name: str
    script_name: str
    created_on: str
    sha256: str
    snapshot: int | None
    source: str | None
    python: str | None
    params_schema: msgspec.Raw | None


class SourceFile(msgspec.Struct):
    """A file of a version's code: its path in the script's folder, and its text."""

    path: str
    text: str


class VersionSourceShown(msgspec.Struct):
    """The files of a version's code, the script itself first: those that its graph lies in, else all of its folder."""

    version_id: str
    class_name: str
    files: list[SourceFile]
    left_out: list[str]
    note: str


async def show_code(engine: Engine, account: str, workflow: str, id: str) -> VersionCodeShown:
    """Show what a version is made of. Raises WorkflowNotFound or VersionNotFound."""
    code = await engine.store.run(GetVersionCode(account, workflow, id))
    version, snapshot, schema = code.version, code.snapshot, code.params_schema
    return VersionCodeShown(
        version.id,
        version.class_name,
        version.script,
        iso(version.created_at),
        code.sha256,
        None if snapshot is None else snapshot.row,
        None if snapshot is None else snapshot.source,
        None if snapshot is None else snapshot.python,
        None if schema is None else msgspec.Raw(schema.encode()),
    )


async def show_source(engine: Engine, account: str, workflow: str, id: str) -> VersionSourceShown:
    """Show the source of a version, as its graph was read from it; where there is no such, that of its snapshot.

    Raises WorkflowNotFound or VersionNotFound.
    """
    row, graph, note = await graphs.of_version(engine, account, workflow, id)
    if graph is not None and graph.sources is not None:
        files = [SourceFile(path, text) for path, text in graph.sources.items()]
        return VersionSourceShown(row.id, row.class_name, files, left_out(graph), "" if files else _TOO_LARGE)
    code = await engine.store.run(GetVersionCode(account, workflow, id))
    if code.snapshot is None:
        is_unreadable = graph is None and note != graphs.NOT_READ
        why = _NOT_READ.format(note=note) if is_unreadable else _NOT_KEPT
        return VersionSourceShown(row.id, row.class_name, [], [], why)
    return await _of_snapshot(engine, row.id, row.class_name, code.snapshot)


async def show_whole_source(engine: Engine, account: str, workflow: str, id: str) -> VersionSourceShown:
    """Show the source of a version as its snapshot has it: all Python files of the script's folder.

    Raises WorkflowNotFound or VersionNotFound.
    """
    code = await engine.store.run(GetVersionCode(account, workflow, id))
    if code.snapshot is None:
        return VersionSourceShown(code.version.id, code.version.class_name, [], [], _NO_SNAPSHOT)
    return await _of_snapshot(engine, code.version.id, code.version.class_name, code.snapshot)


async def _of_snapshot(engine: Engine, version: str, class_name: str, snapshot: Snapshot) -> VersionSourceShown:
    """Show the Python files of a snapshot that lie in the script's folder."""
    source = snapshot.source
    folder = source.rpartition("/")[0] if source.endswith(".py") else source
    prefix = "" if folder in {"", "."} else f"{folder}/"
    found = await engine.store.run(ReadSnapshotSources(snapshot.row, prefix, _MOST_READ))
    texts = {file.path.removeprefix(prefix): file.body.decode("utf-8", "replace") for file in found.files}
    first = source.removeprefix(prefix) if source.endswith(".py") else _file_of(class_name, texts)
    files: list[SourceFile] = []
    left, too_large = MOST_BYTES, [path.removeprefix(prefix) for path in found.left_out]
    for path in sorted(texts, key=lambda path: (path != first, path)):
        size = len(texts[path].encode())
        if size > left:
            too_large.append(path)
            continue
        left -= size
        files.append(SourceFile(path, texts[path]))
    return VersionSourceShown(version, class_name, files, sorted(too_large), "" if files else _TOO_LARGE)


def _file_of(class_name: str, texts: Mapping[str, str]) -> str:
    """Return the path of the file that declares a class, the nearest to the folder itself; "": none does."""
    declares = re.compile(rf"^class {re.escape(class_name)}\b", re.MULTILINE)
    found = [path for path, text in texts.items() if declares.search(text)]
    return min(found, key=lambda path: (path.count("/"), path), default="")
