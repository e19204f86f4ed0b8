"""Snapshots of the author's code in the file, each file with a checksum."""

from zlib import crc32

from stepwell.errors import WorkflowBelongs
from stepwell.store.operations import Registered
from stepwell.store.snapshot_operations import (
    DropSnapshots,
    FindServed,
    GetSnapshot,
    ListServed,
    ListSnapshotsDue,
    ListUploads,
    ReadSnapshotFiles,
    ReadSnapshotSources,
    SaveSnapshot,
    ServeSnapshot,
    Snapshot,
    SnapshotDue,
    SnapshotFile,
    SnapshotSources,
)
from stepwell.store.sql.named import find_workflow_or_none
from stepwell.store.sql.rows import Connection, Damaged, every, first, of_leases, only
from stepwell.store.sql.transaction import Transaction
from stepwell.store.sql.workflows import register_workflow

_FIND = """
    select row
    from snapshots
    where account = :account
        and sha256 = :sha256
    """
_SERVED = """
    update snapshots
    set served_at = :now,
        deployed = :deployed
    where row = :row
    """
_INSERT = """
    insert into snapshots (
        account, sha256, source, python, packages, created_at, served_at, kept_until, script, annotations
    )
    values (:account, :sha256, :source, :python, :packages, :now, 0, :kept_until, :script, :annotations)
    returning row
    """
# Whoever tries the same code meanwhile keeps it by this: a moment that is later holds.
_KEEP = """
    update snapshots
    set kept_until = case when kept_until < :kept_until then :kept_until else kept_until end
    where row = :row
    """
_SAY = """
    update snapshots
    set script = :script,
        annotations = :annotations
    where row = :row
    """
_UNUSED = """
    select s.row
    from snapshots as s
    where s.served_at = 0
        and s.kept_until <= :until
        and (cast(:row as bigint) = 0 or s.row = :row)
        and not exists (
            select 1
            from versions as v
            where v.snapshot = s.row
        )
        and not exists (
            select 1
            from workflows as w
            where w.snapshot = s.row
        )
        and not exists (
            select 1
            from scripts as c
            where c.snapshot = s.row
        )
    order by s.row
    limit 100
    """
_DELETE_FILES = """
    delete from snapshot_files
    where snapshot = :row
    """
_DELETE = """
    delete from snapshots
    where row = :row
    """
_INSERT_FILE = """
    insert into snapshot_files (snapshot, path, body, crc)
    values (:snapshot, :path, :body, :crc)
    """
_COLUMNS = "row, sha256, source, python, packages, created_at, served_at, script, annotations, deployed"
_SNAPSHOT = f"""
    select {_COLUMNS}
    from snapshots
    where row = :row
    """
_SERVED_LAST = f"""
    select {_COLUMNS}
    from snapshots
    where account = :account
        and served_at > 0
        and (cast(:row as bigint) = 0 or row = :row)
    order by served_at desc, row desc
    limit 1
    """
_LIST = f"""
    select {_COLUMNS}
    from snapshots
    where account = :account
        and served_at > 0
        and (:script = '' or script = :script)
    order by served_at desc, row desc
    limit :limit
    """
_UPLOADS = f"""
    select {_COLUMNS}
    from snapshots
    where account = :account
        and script = :script
        and substr(sha256, 1, length(cast(:sha256 as text))) = :sha256
    order by row desc
    limit :limit
    """
_FILES = """
    select path, body, crc
    from snapshot_files
    where snapshot = :row
    order by path
    """
_SOURCE_SIZES = """
    select path, length(body)
    from snapshot_files
    where snapshot = :row
        and substr(path, 1, length(cast(:folder as text))) = :folder
        and substr(path, length(path) - 2) = '.py'
    order by length(body), path
    """
_FILE = """
    select path, body, crc
    from snapshot_files
    where snapshot = :row
        and path = :path
    """
# The workflows are few: they say whether there can be instances to move, of which there may be millions.
_ARE_ON_NONE = """
    select 1
    from workflows
    where account = :account
        and snapshot = 0
    limit 1
    """
_ARE_ON_SOME = """
    select 1
    from workflows
    where account = :account
        and snapshot <> 0
    limit 1
    """
_MOVE_WORKFLOWS = """
    update workflows
    set snapshot = :snapshot
    where account = :account
        and (snapshot = 0) = (:snapshot <> 0)
    """
_MOVE_INSTANCES = """
    update instances
    set snapshot = :snapshot
    where account = :account
        and (snapshot = 0) = (:snapshot <> 0)
    """
_DUE = of_leases(
    """
    select snapshot, min(since)
    from (
        select s.row as snapshot,
            (
                select i.due_at
                from instances as i
                where i.snapshot = s.row
                    and i.due_at is not null
                order by i.due_at
                limit 1
            ) as since
        from snapshots as s
        where s.account = :account
            and s.row <> :but
        union all
        select held.snapshot, :now
        from workers as holder
        cross join instances as held on held.owner = holder.row
        where holder.lease_until <= :now
            and held.account = :account
            and held.snapshot not in (0, :but)
    ) as due
    where since is not null
    group by snapshot
    order by 2, 1
    """
)


def save_snapshot(transaction: Transaction, operation: SaveSnapshot) -> int:
    """Do SaveSnapshot."""
    said = (operation.script, operation.annotations)
    found = first(transaction.connection, _FIND, (operation.account, operation.sha256))
    if found is not None:
        transaction.execute(_KEEP, (operation.kept_until, *found))
        if operation.script:
            transaction.execute(_SAY, (*said, *found))
        return int(found[0])
    made_with = (operation.source, operation.python, operation.packages, operation.now, operation.kept_until)
    (row,) = only(transaction.connection, _INSERT, (operation.account, operation.sha256, *made_with, *said))
    for file in operation.files:
        transaction.execute(_INSERT_FILE, (row, file.path, file.body, crc32(file.body)))
    return int(row)


def drop_snapshots(transaction: Transaction, operation: DropSnapshots) -> int:
    """Do DropSnapshots."""
    unused = every(transaction.connection, _UNUSED, (operation.until, operation.row))
    for (row,) in unused:
        transaction.execute(_DELETE_FILES, (row,))
        transaction.execute(_DELETE, (row,))
    return len(unused)


def get_snapshot(connection: Connection, operation: GetSnapshot) -> Snapshot | None:
    """Do GetSnapshot."""
    found = first(connection, _SNAPSHOT, (operation.row,))
    return None if found is None else Snapshot(*found)


def find_served(connection: Connection, operation: FindServed) -> Snapshot | None:
    """Do FindServed."""
    found = first(connection, _SERVED_LAST, (operation.account, operation.row))
    return None if found is None else Snapshot(*found)


def list_served(connection: Connection, operation: ListServed) -> list[Snapshot]:
    """Do ListServed."""
    found = every(connection, _LIST, (operation.account, operation.script, operation.limit))
    return [Snapshot(*columns) for columns in found]


def list_uploads(connection: Connection, operation: ListUploads) -> list[Snapshot]:
    """Do ListUploads."""
    values = (operation.account, operation.script, operation.sha256, operation.limit)
    return [Snapshot(*columns) for columns in every(connection, _UPLOADS, values)]


def read_snapshot_files(connection: Connection, operation: ReadSnapshotFiles) -> list[SnapshotFile]:
    """Do ReadSnapshotFiles."""
    return [_checked(operation.row, *columns) for columns in every(connection, _FILES, (operation.row,))]


def read_snapshot_sources(connection: Connection, operation: ReadSnapshotSources) -> SnapshotSources:
    """Do ReadSnapshotSources."""
    row, left = operation.row, operation.most_bytes
    files, left_out = [], []
    for path, size in every(connection, _SOURCE_SIZES, (row, operation.folder)):
        left -= size
        if left < 0:
            left_out.append(path)
        else:
            files.append(_checked(row, *only(connection, _FILE, (row, path))))
    return SnapshotSources(sorted(files, key=lambda file: file.path), sorted(left_out))


def _checked(snapshot: int, path: str, body: bytes, crc: int) -> SnapshotFile:
    """Return a file as it was. Raises Damaged."""
    if crc != crc32(body):
        raise Damaged(f'the file "{path}" of the snapshot {snapshot} is damaged')
    return SnapshotFile(path, body)


def serve_snapshot(transaction: Transaction, operation: ServeSnapshot) -> list[Registered]:
    """Do ServeSnapshot."""
    account, snapshot = operation.account, operation.snapshot
    if not operation.takes_over:
        _refuse_what_belongs_to_others(transaction, operation)
    transaction.execute(_SERVED, (_served_at(transaction, operation), operation.deployed, snapshot))
    # Hosts that follow what is served look now.
    transaction.tidings.due(0)
    if first(transaction.connection, _ARE_ON_NONE if snapshot else _ARE_ON_SOME, (account,)) is not None:
        transaction.execute(_MOVE_WORKFLOWS, (snapshot, account))
        transaction.execute(_MOVE_INSTANCES, (snapshot, account))
    return [register_workflow(transaction, workflow) for workflow in operation.workflows]


def _served_at(transaction: Transaction, operation: ServeSnapshot) -> int:
    """Return since when a snapshot is served: a server that is started again goes on with what it had."""
    last = find_served(transaction.connection, FindServed(operation.account))
    is_started_again = operation.takes_over and last is not None and last.row == operation.snapshot
    return last.served_at if last is not None and is_started_again else operation.now


def _refuse_what_belongs_to_others(transaction: Transaction, operation: ServeSnapshot) -> None:
    for asked in operation.workflows:
        workflow = find_workflow_or_none(transaction.connection, asked.account, asked.name)
        if workflow is not None and workflow.script != asked.script:
            raise WorkflowBelongs(asked.name, workflow.script, asked.script)


def list_snapshots_due(connection: Connection, operation: ListSnapshotsDue) -> list[SnapshotDue]:
    """Do ListSnapshotsDue."""
    values = (operation.account, operation.but, operation.now)
    return [SnapshotDue(*columns) for columns in every(connection, _DUE, values)]
