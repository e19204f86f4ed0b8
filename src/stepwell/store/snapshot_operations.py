"""What can be asked of a store about snapshots: the author's code as it was, which instances stay on."""

import msgspec

from stepwell.store.operations import Operation, Registered, RegisterWorkflow


class SnapshotFile(msgspec.Struct, frozen=True, array_like=True):
    """A file of a snapshot: its path below the snapshot's root, with `/` between the parts, and what is in it."""

    path: str
    body: bytes


class SaveSnapshot(Operation[int], frozen=True):
    """Keep a snapshot, and answer its number; that of this hash, if the account has it already.

    `source` is the path of the file or folder that is served, below the root. `packages` is JSON. `kept_until` is the
    moment until which it stays although it is not served; a later one that was said before holds. `script` is the one
    as which it was uploaded, and `annotations`, JSON, what was said of it then; what has none keeps what it had.
    """

    account: str
    sha256: str
    source: str
    python: str
    packages: str
    files: list[SnapshotFile]
    now: int
    kept_until: int = 0
    script: str = ""
    annotations: str = "{}"


class DropSnapshots(Operation[int], frozen=True):
    """Drop snapshots that were never served, are named by nothing, and were to be kept until a moment that is over.

    Up to 100 at a time; `row`: that one alone. Answer how many. No instance can be on one: it gets its snapshot from
    its workflow, which has that of what was served.
    """

    until: int
    row: int = 0


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot without its files. `served_at`: when it has become what is served last; 0: never.

    `deployed` is what was said then, as `annotations` of the snapshot: JSON.
    """

    row: int
    sha256: str
    source: str
    python: str
    packages: str
    created_at: int
    served_at: int
    script: str = ""
    annotations: str = "{}"
    deployed: str = "{}"


class GetSnapshot(Operation[Snapshot | None], frozen=True):
    """Return a snapshot by its number; None: there is none such."""

    row: int


class FindServed(Operation[Snapshot | None], frozen=True):
    """Return the snapshot that an account has served last; None: it has served none.

    `row`: the number of another one, to be returned if the account has ever served it; 0: the last.
    """

    account: str
    row: int = 0


class ListServed(Operation[list[Snapshot]], frozen=True):
    """Return up to `limit` snapshots that an account has served, the last first; `script`: those of this one."""

    account: str
    limit: int
    script: str = ""


class ListUploads(Operation[list[Snapshot]], frozen=True):
    """Return up to `limit` snapshots that were uploaded as a script, the last first, whether they were served or not.

    `sha256`: those whose hash begins with that.
    """

    account: str
    script: str
    limit: int
    sha256: str = ""


class ReadSnapshotFiles(Operation[list[SnapshotFile]], frozen=True):
    """Return the files of a snapshot, by path."""

    row: int


class SnapshotSources(msgspec.Struct, frozen=True, array_like=True):
    """Python files of a snapshot, by path; `left_out` are the paths of those for which there was no room."""

    files: list[SnapshotFile]
    left_out: list[str]


class ReadSnapshotSources(Operation[SnapshotSources], frozen=True):
    """Return the Python files of a snapshot whose path begins with `folder`: the small ones, up to `most_bytes`."""

    row: int
    folder: str
    most_bytes: int


class ServeSnapshot(Operation[list[Registered]], frozen=True):
    """Let what is on no snapshot run on this one: instances and workflows of an account. 0: let all run on none.

    To be asked when the code has been loaded: it is what was served last then, and the `workflows` that are in it are
    made known with it. Raises WorkflowBelongs where one is another script's, unless it is to be taken over; nothing is
    done then. `deployed` is what is said of it, JSON. A server that starts takes over, and what was served last before
    keeps the moment since when it is.
    """

    account: str
    snapshot: int
    now: int
    workflows: tuple[RegisterWorkflow, ...] = ()
    takes_over: bool = True
    deployed: str = "{}"


class SnapshotDue(msgspec.Struct, frozen=True, array_like=True):
    """When the next instance of a snapshot is due that nobody holds."""

    snapshot: int
    due_at: int


class ListSnapshotsDue(Operation[list[SnapshotDue]], frozen=True):
    """Return the snapshots of an account, but for one, of which instances wait for a worker; the earliest first.

    Those whose worker has died wait since `now`.
    """

    account: str
    but: int
    now: int
