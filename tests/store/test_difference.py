"""SQLite and PostgreSQL do the same, whatever is asked of them."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from stepwell import errors
from stepwell.store import Store, once
from stepwell.store import account_operations as accounts
from stepwell.store import audit_operations as audit
from stepwell.store import child_operations as children
from stepwell.store import control_operations as control
from stepwell.store import fact_operations as facts
from stepwell.store import flow_operations as flows
from stepwell.store import job_operations as jobs
from stepwell.store import label_operations as labels
from stepwell.store import note_operations as said
from stepwell.store import operations as ops
from stepwell.store import retention_operations as retention
from stepwell.store import schedule_operations as schedules
from stepwell.store import session_operations as sessions
from stepwell.store import snapshot_operations as snapshots
from stepwell.store import stream_operations as streams
from stepwell.store import token_operations as tokens
from stepwell.store import trace_operations as traces
from stepwell.store import transfer_operations as transfers
from stepwell.store import upkeep_operations as upkeep
from stepwell.store import webhook_operations as webhooks
from stepwell.store import workflow_operations as workflows
from stepwell.store.catalogue import OPERATIONS
from stepwell.store.encryption_operations import Reencrypt
from stepwell.store.forcing_operations import ForceStep, ListDecisions
from stepwell.store.host_operations import ListHosts
from stepwell.store.operations import Operation
from stepwell.store.search_operations import SearchInstances
from stepwell.store.situation_operations import NoteBlocked, ReadSituation
from stepwell.store.sql.reads import READS
from stepwell.store.sql.rows import every
from stepwell.store.sqlite import SqliteStore
from stepwell.store.sqlite.file import open_reader
from tests import postgres
from tests.store.difference import (
    CREATIONS,
    Step,
    Told,
    both,
    comparable,
    differing_tables,
    miscounted,
    open_postgres,
    open_sqlite,
    shortest,
)
from tests.store.operations_by_lot import LOTS, Lots
from tests.store.scenes import outcomes

HAS_POSTGRES = postgres.is_there()
STEPS = 250
_COUNTED_STEPS = 1_000
# The first eight see together all that is asked for; the rest is for when something is drawn otherwise.
_SEEDS = (666, 697, 561, 400, 566, 583, 680, 557, *range(540, 560))
_FEWEST_SEEDS = 8
# The tables are compared after so many steps: what once differs is there for longer. And at length.
LOOK_EVERY, _LOOK_OFTEN = 25, 5
_NUMBERS = "select seq, name from sqlite_sequence where name in ('instances', 'idempotency_keys') order by name"

# A writer goes on with what these leave, or begins them, whenever it has nothing else to do.
_IN_PAUSES = (workflows.DeleteWorkflow, control.DeleteInstance, retention.DeleteExpired)

Errors = set[type[errors.StepwellError]]
_OF_WORKFLOW: Errors = {errors.WorkflowNotFound}
_OF_INSTANCE: Errors = {errors.WorkflowNotFound, errors.InstanceNotFound}
_OF_TURN: Errors = {errors.TurnLost}

# What each operation raises: all of it, by its contract. StoreDamaged: of a value that is not there.
RAISES: dict[type[Operation[Any]], Errors] = {
    ops.GetParamsSchema: _OF_WORKFLOW,
    ops.GetWorkflow: _OF_WORKFLOW,
    ops.CreateInstance: {
        errors.WorkflowNotFound,
        errors.InstanceAlreadyExists,
        errors.VersionChanged,
        errors.QueueFull,
    },
    ops.AppendEvent: {*_OF_INSTANCE, errors.InstanceFinished},
    ops.GetInstance: _OF_INSTANCE,
    ops.ListInstances: _OF_WORKFLOW,
    ops.ReadPayload: {errors.TurnLost, errors.StoreDamaged},
    ops.Commit: {errors.TurnLost, errors.OutOfOrder},
    ops.Release: {errors.TurnLost, errors.OutOfOrder},
    said.WriteNotes: _OF_TURN,
    labels.SetLabels: _OF_TURN,
    SearchInstances: _OF_WORKFLOW,
    said.ReadLog: _OF_INSTANCE,
    accounts.ReplaceTriggers: {errors.InvalidInput},
    accounts.MergeTriggers: {errors.InvalidInput},
    children.StartChild: {errors.WorkflowNotFound, errors.VersionChanged, errors.TurnLost, errors.QueueFull},
    schedules.GetSchedule: {errors.WorkflowNotFound, errors.ScheduleNotFound},
    schedules.ChangeSchedule: {errors.WorkflowNotFound, errors.ScheduleNotFound},
    schedules.RunSchedule: {errors.WorkflowNotFound, errors.ScheduleNotFound, errors.InstanceAlreadyExists},
    flows.ListGates: _OF_WORKFLOW,
    snapshots.ServeSnapshot: {errors.WorkflowBelongs},
    flows.AskSlot: _OF_TURN,
    flows.ShareLimit: {errors.LimitNotFound},
    children.AwaitChild: _OF_TURN,
    control.PauseInstance: {*_OF_INSTANCE, errors.InstanceFinished},
    control.ResumeInstance: _OF_INSTANCE,
    control.TerminateInstance: {*_OF_INSTANCE, errors.InstanceFinished},
    control.ResumeRollback: {*_OF_INSTANCE, errors.RestartedMeanwhile},
    control.MoveInstance: {
        *_OF_INSTANCE,
        errors.InstanceFinished,
        errors.RestartedMeanwhile,
        errors.VersionNotFound,
    },
    control.RestartInstance: {*_OF_INSTANCE, errors.RestartedMeanwhile},
    control.DeleteInstance: _OF_INSTANCE,
    control.StartTermination: _OF_WORKFLOW,
    control.TerminateSome: _OF_WORKFLOW,
    control.IsTerminating: _OF_WORKFLOW,
    jobs.StartJob: _OF_WORKFLOW,
    jobs.CancelJob: {errors.JobNotFound},
    jobs.GetJob: {errors.JobNotFound},
    webhooks.AddWebhook: {errors.InvalidInput},
    webhooks.GetWebhook: {errors.WebhookNotFound},
    webhooks.ChangeWebhook: {errors.WebhookNotFound},
    webhooks.RotateWebhookSecret: {errors.WebhookNotFound},
    webhooks.DeleteWebhook: {errors.WebhookNotFound},
    webhooks.TryWebhook: {errors.WebhookNotFound},
    webhooks.ListDeliveries: {errors.WebhookNotFound},
    webhooks.Redeliver: {errors.WebhookNotFound, errors.DeliveryNotFound},
    ForceStep: {*_OF_INSTANCE, errors.RestartedMeanwhile, errors.InstanceFinished},
    once.FindOnce: {errors.IdempotencyKeyReused},
    audit.Audited: {*_OF_INSTANCE, errors.InstanceFinished, errors.RestartedMeanwhile},
    once.Once: {
        *_OF_INSTANCE,
        errors.IdempotencyKeyReused,
        errors.InstanceAlreadyExists,
        errors.InstanceFinished,
        errors.VersionChanged,
        errors.QueueFull,
    },
    ReadSituation: _OF_INSTANCE,
    retention.GetRetention: _OF_INSTANCE,
    streams.BeginStream: _OF_TURN,
    streams.WritePiece: _OF_TURN,
    streams.ReadPiece: {errors.TurnLost, errors.StreamDropped, errors.StoreDamaged},
    workflows.PutWorkflow: {errors.UnknownScript, errors.WorkflowBelongs, errors.InvalidInput},
    workflows.DeleteWorkflow: _OF_WORKFLOW,
    workflows.GetVersion: {errors.WorkflowNotFound, errors.VersionNotFound},
    workflows.GetGraph: {errors.WorkflowNotFound, errors.VersionNotFound},
    workflows.GetVersionCode: {errors.WorkflowNotFound, errors.VersionNotFound},
    workflows.ListVersions: _OF_WORKFLOW,
    transfers.ExportInstance: _OF_INSTANCE,
    transfers.TellExport: _OF_INSTANCE,
    transfers.BeginImport: {errors.WorkflowNotFound, errors.InstanceAlreadyExists},
    transfers.FinishImport: {errors.WorkflowNotFound, errors.InstanceAlreadyExists, errors.StoreError},
}
# What cannot fail by its contract, but say no, or that there is nothing.
SAYS_NO: dict[type[Operation[Any]], str] = {
    ops.RenewLease: "False if its lease has been ended",
    ops.EndLease: "answers how many instances it held",
    ops.AbandonUnknown: "answer how many",
    flows.SweepSlots: "answers how many there were",
    flows.ForgetLimits: "answers how many there were",
    flows.ForgetQueues: "None: these were the last",
    ops.ListHoldings: "instances that a worker holds",
    ops.ReadHistory: "if it has been lost there are none",
    labels.ListKeptLabels: "the labels of an instance as they are kept",
    said.ReadNote: "the value of an instance's note, or None",
    accounts.GetTriggers: "empty if there are none",
    accounts.DeleteTriggers: "answer how many there were",
    children.ReadFamily: "an instance, its children, their children",
    control.ListTerminations: "the workflows whose instances are being terminated",
    jobs.AdvanceJob: "None, and nothing is done",
    jobs.ListOpenJobs: "the jobs that have not ended",
    ListDecisions: "the records of decisions",
    audit.ForgetAudit: "answer how many are gone",
    retention.DeleteExpired: "answer how many are gone",
    snapshots.DropSnapshots: "Answer how many",
    snapshots.GetSnapshot: "None: there is none such",
    snapshots.FindServed: "None: it has served none",
    snapshots.ListServed: "up to `limit` snapshots that an account has served",
    snapshots.ListUploads: "snapshots that were uploaded as a script",
    snapshots.ReadSnapshotFiles: "the files of a snapshot",
    snapshots.ListSnapshotsDue: "snapshots of which instances wait for a worker",
    tokens.FindToken: "None: there is none of this id",
    tokens.ListTokens: "all tokens",
    transfers.ReadRecords: "one at least, as long as there is one",
    transfers.ListStreams: "the streams of an instance that have not been dropped",
    transfers.ReadNotes: "all notes of an instance",
    sessions.FindSession: "None: there is none of this id",
    sessions.EndSessions: "False if there was none",
    sessions.ForgetSessions: "answer how many are gone",
    tokens.RevokeToken: "False if it was so before, or there is none of this id",
    webhooks.AreDeliveriesDue: "whether deliveries of a webhook that is not disabled are due",
    webhooks.TakeDeliveries: "of each webhook those due longest",
    webhooks.EndAttempt: "False if it is not the last one",
    webhooks.ForgetDeliveries: "answer how many",
    upkeep.RepairInstance: "it was not if the instance has gone on meanwhile",
}
# What finds nothing where the stores make no mistake, and are not encrypted.
FINDS_NOTHING: dict[type[Operation[Any]], str] = {
    upkeep.FindMiscounts: "what is counted as what it is not",
    upkeep.Recount: "how many counts were wrong",
    Reencrypt: "None: the store has no keys",
}
# What always has an answer, or something to do.
CANNOT_FAIL: dict[type[Operation[Any]], str] = {
    ops.RegisterWorkflow: "make a workflow known: a new one, a new version, or none",
    schedules.ListSchedules: "a page of schedules, and how many there are",
    schedules.FireSchedules: "say what became of what was due, and when the next one is",
    ops.ListWorkflows: "a page of workflows, and how many there are",
    ops.RegisterWorker: "add a worker",
    flows.GiveSlots: "somebody waits and there is room",
    ops.ClaimDue: "take up to `limit` instances; the answer also says when the next is due",
    accounts.GetAccountSettings: "one that nobody has changed has the defaults",
    accounts.ChangeAccountSettings: "answer all of them as they are then",
    flows.LeaveSlot: "give back the slot of a step, or its place among those that wait",
    jobs.ListJobs: "a page of the jobs of an account",
    facts.NoteFacts: "add facts",
    facts.ListFacts: "up to `limit` facts",
    ListHosts: "up to `limit` hosts of the store, and what waits",
    flows.LimitAccount: "let at most so many instances of an account run",
    retention.FindExpired: "those that have expired; or when the next one does",
    children.ListRelatives: "parents and children, up to `limit` of each",
    snapshots.SaveSnapshot: "answer its number; that of this hash, if the account has it already",
    snapshots.ReadSnapshotSources: "the Python files of a snapshot",
    sessions.BeginSession: "its id is one that none has had",
    sessions.ListSessions: "all sessions",
    sessions.SeeSession: "keep when a session was last used",
    tokens.AddToken: "its id is one that no token has had",
    NoteBlocked: "keep, on a worker's row, since when it does not answer",
    labels.ReadLabels: "none, if it is gone; the answer also says how many calls are stored",
    transfers.ImportRecords: "add records to an instance that comes in",
    transfers.ImportNotes: "add log lines and notes to an instance that comes in",
    transfers.AbandonImport: "let what has come in be deleted; what is there stays",
    upkeep.ListAccounts: "the accounts that have workflows",
    webhooks.ListWebhooks: "all webhooks of an account",
    traces.TakeTraces: "take up to `limit` instances that have ended",
    traces.ReadEnded: "instances with their histories, by row",
    traces.DropTraces: "forget instances, by row",
    audit.ListAudit: "up to `limit` entries of an account",
    workflows.CountEnds: "how many instances of some workflows have ended since a moment",
    workflows.ListOutcomes: "by the names of workflows, the statuses",
    workflows.PurgeDeleted: "delete a bounded part; here it is asked again until there is no more",
}


@pytest.fixture
def url(require: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database, in which no row number is reserved that is not used: see `difference`."""
    require(postgres.REASON, "the other store", HAS_POSTGRES)
    monkeypatch.setattr("stepwell.store.postgres.creations.RESERVED", 1)
    # A transaction that this machine kept waiting would be done again, and its row numbers left out.
    monkeypatch.setattr("stepwell.store.postgres.ledger.KEPT_MS", 60_000)
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


def test_every_operation_is_drawn() -> None:
    """What is added to the catalogue is compared, too, and its contract says how it may fail."""
    assert set(LOTS) == set(OPERATIONS)
    assert set(OPERATIONS) == {*RAISES, *SAYS_NO, *FINDS_NOTHING, *CANNOT_FAIL}


def test_both_schemas_have_the_same_columns(url: str) -> None:
    """Nothing is kept by one store alone, but for the hosts of the one and the numbers of transactions of the other."""
    of_sqlite = """
        select t.name, c.name
        from sqlite_schema as t, pragma_table_info(t.name) as c
        where t.type = 'table'
            and t.name <> 'sqlite_sequence'
        """
    of_postgres = """
        select c.table_name, c.column_name
        from information_schema.columns as c
        join information_schema.tables as t using (table_schema, table_name)
        where c.table_schema = 'public'
            and t.table_type = 'BASE TABLE'
        """

    with both(url) as (comparison, _):
        here, there = {*comparison.sqlite.look(of_sqlite)}, {*comparison.postgres.look(of_postgres)}

    assert here - there == {("commits", "reserved")}
    assert there - here == {
        ("hosts", "row"),
        ("hosts", "name"),
        ("hosts", "lease_until"),
        ("hosts", "version"),
        ("hosts", "opened_at"),
        ("hosts", "renewed_at"),
        ("workers", "host"),
    }


# On a busy machine it takes longer than tests usually may.
@pytest.mark.timeout(240)
def test_both_stores_do_the_same(url: str) -> None:
    """Answers, errors and tables are the same, and each operation was done, and failed in every way that it can."""
    told: Told = Counter()

    for count, seed in enumerate(_SEEDS, 1):
        _compare(seed, url, told, LOOK_EVERY)
        if count >= _FEWEST_SEEDS and not _missing(told):
            break

    assert _missing(told) == []


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_both_stores_do_the_same_at_length(url: str) -> None:
    """The same for many more orders of operations."""
    told: Told = Counter()

    for seed in range(540, 576):
        _compare(seed, url, told, _LOOK_OFTEN)

    assert _missing(told) == []


@pytest.mark.parametrize("seed", [0, 1, 2, 4])
def test_what_has_ended_is_what_is_counted(seed: int) -> None:
    """After whatever is asked of a store, each workflow counts what of it has ended, and nothing that is gone."""
    sqlite, connection = open_sqlite()
    lots, counted = Lots(seed, connection), set()

    for _ in range(_COUNTED_STEPS):
        step = lots.step()
        sqlite.do(step)
        assert miscounted(sqlite.look) == [], step
        counted |= {status for (status,) in sqlite.look("select status from ended_counts where n > 0")}

    assert counted == {"complete", "errored", "terminated"}
    sqlite.close()


async def test_both_stores_do_the_same_in_batches(url: str, tmp_path: Path) -> None:
    """However many operations wait at once, and however they are written together, what becomes of them is the same."""
    from stepwell.store.postgres import PostgresStore

    asked = _drawn(seed=14, steps=600)
    async with AsyncExitStack() as opened:
        file = await asyncio.to_thread(SqliteStore.open, tmp_path / "store.db")
        opened.push_async_callback(file.close)
        database = await asyncio.to_thread(PostgresStore.open, url)
        opened.push_async_callback(database.close)

        answers = [[comparable(answer) for answer in await _all_at_once(store, asked)] for store in (file, database)]

        assert [each for each in zip(asked, *answers, strict=True) if each[1] != each[2]] == []
        reader = open_reader(tmp_path / "store.db")
        opened.callback(reader.close)
        # PostgreSQL gives up what is half in when it is opened, a day later.
        coming = every(reader, "select row from instances where workflow = -1")
        for store in (file, database):
            await _all_at_once(store, [transfers.AbandonImport(row) for (row,) in coming])
        looking = open_postgres(url)
        opened.callback(looking.close)
        assert differing_tables(lambda sql: every(reader, sql), looking.look) == []
        assert (miscounted(lambda sql: every(reader, sql)), miscounted(looking.look)) == ([], [])


def _drawn(seed: int, steps: int) -> list[Operation[Any]]:
    """Draw operations that write, without those that would let PostgreSQL leave out a number: see `difference`."""
    sqlite, connection = open_sqlite()
    lots, drawn = Lots(seed, connection, with_limits=False), []
    for operation in (operation for _ in range(steps) for operation in lots.step()):
        before = every(connection, _NUMBERS)
        if type(operation) not in READS:
            (outcome,) = sqlite.write([operation]).outcomes
            is_refused = isinstance(outcome, Exception) or before == every(connection, _NUMBERS)
            is_gap = isinstance(operation, CREATIONS) and is_refused
            if is_gap:
                connection.executemany("update sqlite_sequence set seq = :seq where name = :name", before)
            # A store purges by itself, and sooner or later.
            if not is_gap and not isinstance(operation, workflows.PurgeDeleted):
                drawn.append(operation)
    sqlite.close()
    return drawn


async def _all_at_once(store: Store, operations: Sequence[Operation[Any]]) -> list[object]:
    """Ask for operations, fifty at a time, without waiting for any; and for nothing to be left of what was deleted.

    That is asked at once: whether a turn of a deleted instance is refused already would be a question of time. So would
    be what sees that something has expired, as a writer deletes that in a pause: nothing is asked behind it.
    """
    answers: list[object] = []
    waiting: list[Operation[Any]] = []
    for place, operation in enumerate(operations, 1):
        waiting.append(operation)
        if len(waiting) == 50 or isinstance(operation, _IN_PAUSES) or place == len(operations):
            answers += await outcomes(store, waiting)
            waiting.clear()
            while await store.run(workflows.PurgeDeleted()):
                pass
    return answers


def _compare(seed: int, url: str, told: Told, look_every: int) -> None:
    """Do what a seed draws; where anything differs, say by which few operations that is seen."""
    steps: list[Step] = []
    with both(url) as (comparison, connection):
        lots = Lots(seed, connection)
        found: list[str] = []
        while len(steps) < STEPS and not found:
            steps.append(lots.step())
            found = comparison.do(steps[-1])
            if len(steps) % look_every == 0:
                found += comparison.look()
        told.update(comparison.told)
    postgres.query(url, postgres.EMPTY)
    if found:
        few = shortest(steps, lambda some: bool(_differences(some, url)))
        words = [*(repr(step) for step in few), "differ:", *_differences(few, url)]
        pytest.fail("\n".join([f"seed {seed}:", *map(_readable, words)]), pytrace=False)


def _differences(steps: Sequence[Step], url: str) -> list[str]:
    """Return what differs after steps, on empty stores."""
    try:
        with both(url) as (comparison, _):
            return next((found for step in steps if (found := comparison.do(step))), []) or comparison.look()
    finally:
        postgres.query(url, postgres.EMPTY)


def _readable(text: str) -> str:
    """Return a text with less of what comes again and again."""
    return re.sub(r"(.)\1{40,}", r"\1...", text)


def _missing(told: Told) -> list[tuple[str, str]]:
    """Return what no operation of a kind came to, and what one came to against its contract."""
    happened = {(kind.__name__, what) for kind, what in told if what not in ("done", "no")}
    happened |= {
        (kind.__name__, "done") for kind, what in told if what == "done" or (what == "no" and kind not in FINDS_NOTHING)
    }
    says_no = {*SAYS_NO, *FINDS_NOTHING}
    happened |= {(kind.__name__, "no") for kind, what in told if what == "no" and kind in says_no}
    expected = {(kind.__name__, "done") for kind in OPERATIONS if kind not in FINDS_NOTHING}
    expected |= {(kind.__name__, "no") for kind in says_no}
    expected |= {(kind.__name__, error.__name__) for kind, found in RAISES.items() for error in found}
    return sorted(expected ^ happened)
