"""The operations that take an instance out of the store, and bring one in.

What comes in belongs to the workflow -1 until it is complete. What a process has left unfinished is deleted when the
store is opened again; where others may have it open, a day later.
"""

from msgspec.structs import replace

from stepwell.core.instance import UNFINISHED, Status
from stepwell.errors import InstanceAlreadyExists, StoreError
from stepwell.store.label_operations import ListKeptLabels
from stepwell.store.note_operations import Note
from stepwell.store.operations import InstanceRow
from stepwell.store.sql.ended_errors import note_error
from stepwell.store.sql.labels import keep_labels, list_kept_labels
from stepwell.store.sql.named import Workflow, keep_workflow
from stepwell.store.sql.notes import insert_line, open_note, put_note
from stepwell.store.sql.records import end_of, in_turns, seal_for
from stepwell.store.sql.retention import say_retention
from stepwell.store.sql.rows import Connection, Statement, Values, every, first, only
from stepwell.store.sql.targets import INSTANCE, find_named
from stepwell.store.sql.transaction import Transaction
from stepwell.store.transfer_operations import (
    AbandonImport,
    BeginImport,
    ExportedInstance,
    ExportInstance,
    FinishImport,
    ImportedInstance,
    ImportNotes,
    ImportRecords,
    InstanceFacts,
    KeptStream,
    ListStreams,
    PlacedRecord,
    ReadNotes,
    ReadRecords,
    TellExport,
)

# Answers and requests of about this size keep others waiting for a moment only.
_SIZE_AT_ONCE = 2**20
_MOST_AT_ONCE = 1_000

_FACTS = """
    select i.row, i.version, coalesce(v.sha256, ''), coalesce(v.script, w.script),
        coalesce(v.class_name, w.class_name), i.trigger, i.status, i.step_count, i.seq, i.turn, i.due_at,
        i.owner is not null, i.lost_turns, i.logged, i.log_n, i.created_at, i.modified_at, i.started_at, i.ended_at,
        i.renewed_at, i.restarted_seq, i.has_rollbacks, i.success_retention_ms, i.error_retention_ms,
        i.labelled, i.key, i.bias
    from workflows as w
    join instances as i on i.workflow = w.row
    left join versions as v on v.id = i.version
    where w.account = :account
        and w.name = :workflow
        and i.id = :id
    """
_STREAMS = """
    select s.row, s.step, s.attempt, count(p.n)
    from streams as s
    left join pieces as p on p.stream = s.row
    where s.instance = :instance
    group by s.row
    order by s.row
    """
_NOTES = """
    select name, at, value
    from notes
    where instance = :instance
    order by name
    """
_BEGIN = """
    insert into instances (account, workflow, id, version, status, trigger, turn, seq, created_at, modified_at, tx)
    values (:account, -1, :token, '', 'queued', '', :turn, 0, :now, :now, :tx)
    returning row
    """
_IS_COMING = """
    select 1
    from instances
    where row = :row
        and workflow = -1
    """
_PRESENT = """
    select count(*), coalesce(max(seq), 0)
    from records
    where instance = :row
    """
# The versions of a workflow of this id or made of this, the one of this id first.
_VERSION = """
    select id, snapshot
    from versions
    where workflow = :workflow
        and (id = :version or (sha256 = :sha256 and script = :script and class_name = :class_name))
    order by id = :version desc, row desc
    limit 1
    """
# A worker that is dead: what it holds is taken up as what any dead worker held.
_DEAD_WORKER = Statement(
    """
    insert into workers (name, lease_until, created_at, snapshot)
    values ('import', 0, :now, :snapshot)
    returning row
    """,
    # Of no host.
    postgres="""
    insert into workers (name, lease_until, created_at, snapshot, host)
    values ('import', 0, :now, :snapshot, 0)
    returning row
    """,
)
_FINISH = """
    update instances
    set workflow = :workflow,
        id = :id,
        version = :version,
        snapshot = :snapshot,
        owner = :owner,
        trigger = :trigger,
        status = :status,
        step_count = :step_count,
        seq = :seq,
        due_at = :due_at,
        lost_turns = :lost_turns,
        logged = :logged,
        log_n = :log_n,
        created_at = :created_at,
        modified_at = :modified_at,
        started_at = :started_at,
        ended_at = :ended_at,
        renewed_at = :renewed_at,
        restarted_seq = :restarted_seq,
        has_rollbacks = :has_rollbacks,
        labelled = :labelled,
        key = :key,
        bias = :bias,
        tx = :tx
    where row = :row
        and workflow = -1
    """
_ABANDON = """
    update instances
    set workflow = 0
    where row = :row
        and workflow = -1
    """
_REMEMBER = """
    insert into deleted_workflows (row)
    values (0)
    on conflict do nothing
    """


def export_instance(connection: Connection, operation: ExportInstance) -> ExportedInstance:
    """Do ExportInstance."""
    row, *facts = find_named(connection, _FACTS, (operation.account, operation.workflow, operation.id))
    exported = InstanceFacts(*facts)
    is_held, has_rollbacks = bool(exported.is_held), bool(exported.has_rollbacks)
    labels = tuple(list_kept_labels(connection, ListKeptLabels(row)))
    return ExportedInstance(row, replace(exported, is_held=is_held, has_rollbacks=has_rollbacks, labels=labels))


def tell_export(transaction: Transaction, operation: TellExport) -> None:
    """Do TellExport."""
    find_named(transaction.connection, INSTANCE, (operation.account, operation.workflow, operation.id))


def read_records(connection: Connection, operation: ReadRecords) -> list[PlacedRecord]:
    """Do ReadRecords."""
    found, size = [], 0
    most = min(max(operation.upto - operation.after, 0), _MOST_AT_ONCE)
    for turn, n, record in in_turns(connection, operation.row, operation.after, most):
        found.append(PlacedRecord(turn, n, record))
        size += len(record.value or "") + len(record.body)
        if size >= _SIZE_AT_ONCE:
            break
    return found


def list_streams(connection: Connection, operation: ListStreams) -> list[KeptStream]:
    """Do ListStreams."""
    return [KeptStream(*columns) for columns in every(connection, _STREAMS, (operation.row,))]


def read_notes(connection: Connection, operation: ReadNotes) -> list[Note]:
    """Do ReadNotes."""
    row = operation.row
    return [open_note(connection, row, *columns) for columns in every(connection, _NOTES, (row,))]


def begin_import(transaction: Transaction, operation: BeginImport) -> int:
    """Do BeginImport."""
    _check_free(transaction, operation)
    values = (operation.account, operation.token, operation.turn, operation.now, transaction.tx)
    (row,) = only(transaction.connection, _BEGIN, values)
    return int(row)


def import_records(transaction: Transaction, operation: ImportRecords) -> None:
    """Do ImportRecords."""
    for placed in operation.records:
        place = (operation.row, placed.record.seq, placed.turn, placed.n)
        transaction.append_at(place, placed.record)


def import_notes(transaction: Transaction, operation: ImportNotes) -> None:
    """Do ImportNotes."""
    row = operation.row
    for line in operation.lines:
        insert_line(transaction.connection, row, line.n, line)
    for note in operation.notes:
        put_note(transaction.connection, row, note)


def finish_import(transaction: Transaction, operation: FinishImport) -> ImportedInstance:
    """Do FinishImport."""
    connection, facts, row = transaction.connection, operation.facts, operation.row
    workflow = _check_free(transaction, operation)
    transaction.flush()
    if first(connection, _IS_COMING, (row,)) is None:
        raise StoreError(f'the instance "{operation.id}" is not coming in any more: import it again')
    if facts.seq < 1 or only(connection, _PRESENT, (row,)) != (facts.seq, facts.seq):
        raise StoreError(f'the instance "{operation.id}" comes in with gaps in its history: export it again')
    version, snapshot, is_same = _version_of(connection, workflow, facts)
    owner = None
    if facts.is_held:
        (owner,) = only(connection, _DEAD_WORKER, (facts.modified_at, snapshot))
    code = (workflow.row, operation.id, version, snapshot, owner)
    due_at = _due_at(facts)
    seal_for(connection, row, operation.id)
    transaction.execute(_FINISH, (*code, *_columns(facts, due_at), transaction.tx, row))
    say_retention(transaction, row, facts.success_retention_ms, facts.error_retention_ms)
    transaction.count(workflow.row, facts.status, 1)
    keep_labels(connection, row, facts.labels, (workflow.row, facts.created_at))
    if facts.status == Status.ERRORED:
        note_error(connection, row, end_of(connection, row))
    transaction.tidings.changed.add(row)
    if facts.is_held or due_at is not None:
        transaction.tidings.due(due_at or 0)
    found = InstanceRow(*only(connection, INSTANCE, (operation.account, operation.workflow, operation.id)))
    return ImportedInstance(found, is_same)


def abandon_import(transaction: Transaction, operation: AbandonImport) -> None:
    """Do AbandonImport."""
    transaction.execute(_ABANDON, (operation.row,))
    transaction.execute(_REMEMBER)
    transaction.tidings.has_rubbish = True


def _check_free(transaction: Transaction, operation: BeginImport | FinishImport) -> Workflow:
    """Return the workflow that an instance comes into. Raises WorkflowNotFound or InstanceAlreadyExists."""
    named = (operation.account, operation.workflow, operation.id)
    workflow = keep_workflow(transaction, operation.account, operation.workflow)
    if first(transaction.connection, INSTANCE, named) is not None:
        raise InstanceAlreadyExists(operation.workflow, operation.id)
    return workflow


def _version_of(connection: Connection, workflow: Workflow, facts: InstanceFacts) -> tuple[str, int, bool]:
    """Return the version that an instance gets, the snapshot that it runs on, and whether it is of the same code."""
    wanted = (workflow.row, facts.version, facts.sha256, facts.script, facts.class_name)
    found = first(connection, _VERSION, wanted)
    if found is None:
        return workflow.version, workflow.snapshot, False
    version, snapshot = found
    # Where nothing stays on its code, nothing that comes in does.
    return version, snapshot if workflow.snapshot else 0, True


def _due_at(facts: InstanceFacts) -> int | None:
    """Return when an instance that comes in is due; None: a worker holds it, it is paused, or it has ended.

    What it waits for without a moment, a slot or another instance, knows nothing of it here: its next turn asks for it.
    """
    if facts.due_at is None and not facts.is_held and Status(facts.status) in UNFINISHED - {Status.PAUSED}:
        return facts.modified_at
    return facts.due_at


def _columns(facts: InstanceFacts, due_at: int | None) -> Values:
    return (
        facts.trigger,
        facts.status,
        facts.step_count,
        facts.seq,
        due_at,
        facts.lost_turns,
        facts.logged,
        facts.log_n,
        facts.created_at,
        facts.modified_at,
        facts.started_at,
        facts.ended_at,
        facts.renewed_at,
        facts.restarted_seq,
        int(facts.has_rollbacks),
        facts.labelled,
        facts.key,
        facts.bias_ms,
    )
