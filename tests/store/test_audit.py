"""The contract of every store: the audit log, written with what it tells of, and only ever added to."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import msgspec
import pytest

from stepwell.clock import VirtualClock
from stepwell.core.failures import Failure
from stepwell.core.records import Action, Key, PauseAsked, Paused, StepForced, StepKind, Terminated
from stepwell.durations import DAY_MS
from stepwell.errors import InstanceFinished, InstanceNotFound, StepwellError, StoreError, WorkflowNotFound
from stepwell.expiry import Expiry
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store import Store, codec
from stepwell.store.account_operations import MergeTriggers, Trigger, TriggerTarget
from stepwell.store.acts import _ACTS, MOST_DETAIL, act_of
from stepwell.store.audit_operations import (
    AUDIT_ACTIONS,
    AUDITED,
    Asked,
    Audited,
    AuditEntry,
    ForgetAudit,
    ListAudit,
)
from stepwell.store.control_operations import PauseInstance, StartTermination, TerminateInstance
from stepwell.store.flow_operations import ShareLimit
from stepwell.store.forcing_operations import ForceStep
from stepwell.store.job_operations import StartJob
from stepwell.store.once import Once
from stepwell.store.operations import GetInstance, Operation
from stepwell.store.search_operations import Wanted
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot, SnapshotFile
from stepwell.store.sql.writes import WRITES
from stepwell.store.sqlite import SqliteStore
from stepwell.store.token_operations import AddToken, RevokeToken, TokenRow
from stepwell.store.transfer_operations import TellExport
from tests import postgres
from tests.store.copies import inside
from tests.store.scenes import NOW, create, register

ANN = Asked("token", "ann", NOW, "aa", "10.0.0.7", "curl/8")
TOKEN = TokenRow("tt", "acme", "ci", "SECRET", "SECRET@example.com", ["deploy"], NOW)
# What servers and workers do by themselves, creations, and what histories have; by the beginning of their names.
_NOT_AUDITED = {
    *("AbandonImport", "AbandonUnknown", "AdvanceJob", "AppendEvent", "AskSlot", "Audited", "AwaitChild"),
    *("DropTraces", "NoteFacts", "TakeTraces"),
    *("BeginImport", "BeginStream", "ClaimDue", "Commit", "CreateInstance", "DeleteExpired", "DropSnapshots"),
    *("EndLease", "FireSchedules", "ForgetAudit", "ForgetLimits", "ForgetQueues", "GiveSlots", "ImportNotes"),
    *("ImportRecords", "LeaveSlot", "NoteBlocked", "Once", "PurgeDeleted", "Recount", "Reencrypt", "RegisterWorker"),
    *("RegisterWorkflow", "Release", "RenewLease", "RepairInstance", "SeeSession", "SetLabels", "StartChild"),
    *("EndAttempt", "ForgetDeliveries", "ForgetSessions", "SweepSlots", "TakeDeliveries", "TerminateSome"),
    *("WriteNotes", "WritePiece"),
}


def pause(id: str = "a", workflow: str = "orders") -> PauseInstance:
    """Say that an instance is to be paused."""
    return PauseInstance("acme", workflow, id, codec.to_row(PauseAsked(NOW)), codec.to_row(Paused(NOW)))


def terminate(id: str = "a") -> TerminateInstance:
    """Say that an instance is to be terminated."""
    return TerminateInstance("acme", "orders", id, codec.to_row(Terminated(NOW, "api")))


async def entries(store: Store, **what: Any) -> list[AuditEntry]:
    """Return the entries of an account, newest first."""
    return await store.run(ListAudit("acme", 100, **what))


async def told(store: Store, **what: Any) -> list[tuple[str, str | None]]:
    """Return what was done to which instances, or things, newest first."""
    return [(entry.action, entry.instance or entry.thing) for entry in await entries(store, **what)]


def test_each_operation_that_writes_is_audited_or_not_on_purpose() -> None:
    """Whoever adds an operation says whether an operator has to know who asked for it."""
    audited = {kind.__name__ for kind in AUDITED}

    assert {kind.__name__ for kind in WRITES} == audited | _NOT_AUDITED
    assert audited & _NOT_AUDITED == set()
    assert set(_ACTS) == AUDITED


async def test_entry_says_who_what_when_and_from_where(store: Store) -> None:
    """And the answer is that of the operation alone."""
    await register(store)
    await create(store, "a")

    status = await store.run(Audited(pause(), ANN))

    (entry,) = await entries(store)
    assert status == "queued"
    assert msgspec.structs.replace(entry, row=0) == AuditEntry(
        *(0, NOW, "instance.pause", "token", "ann", "aa", "10.0.0.7", "curl/8", "orders", "a", None, "{}")
    )


async def test_refused_operation_has_no_entry(store: Store) -> None:
    """Also where it stands in one batch with others that are done."""
    await register(store)
    await create(store, "a", "b", "c")
    asked: list[Any] = [pause("a"), pause("none"), terminate("b"), terminate("b"), pause("c", "nothing"), pause("c")]

    answers = await asyncio.gather(*(store.run(Audited(each, ANN)) for each in asked), return_exceptions=True)

    refused = [type(answer) if isinstance(answer, Exception) else None for answer in answers]
    assert refused == [None, InstanceNotFound, None, InstanceFinished, WorkflowNotFound, None]
    assert sorted(await told(store)) == [("instance.pause", "a"), ("instance.pause", "c"), ("instance.terminate", "b")]


async def test_export_of_what_is_not_there_has_no_entry(store: Store) -> None:
    """One that is there has, though the store does nothing else for it."""
    await register(store)
    await create(store, "a")
    asked = [Audited(TellExport("acme", "orders", id), ANN) for id in ("a", "none")]

    answers = await asyncio.gather(*map(store.run, asked), return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), InstanceNotFound]
    assert await told(store) == [("instance.export", "a")]


async def test_operation_under_a_key_is_told_once(store: Store) -> None:
    """Sent again it does nothing, and says nothing."""
    await register(store)
    job = StartJob("acme", "j", "pause", "orders", Wanted(), NOW, "ann")
    again = msgspec.structs.replace(job, id="another")

    first, second = [await store.run(Audited(Once("acme", "key", "hash", NOW, each), ANN)) for each in (job, again)]

    assert second == first
    assert await told(store) == [("job.start", "j")]


async def test_what_does_nothing_has_no_entry(store: Store) -> None:
    """A token that is not there is not revoked, and a termination that goes on is not begun again."""
    await register(store)
    await store.run(Audited(AddToken(TOKEN), ANN))
    asked: list[Any] = [RevokeToken("tt", NOW), RevokeToken("tt", NOW), RevokeToken("none", NOW)]
    asked += [StartTermination("acme", "orders", ["queued"])] * 2

    answers = [await store.run(Audited(each, ANN)) for each in asked]

    assert answers == [True, False, False, True, False]
    assert await told(store) == [("workflow.terminate_all", None), ("token.revoke", "tt"), ("token.create", "tt")]


async def test_deployment_names_its_script(store: Store) -> None:
    """And going back to what was served is another action."""
    row = await store.run(SaveSnapshot("acme", "aa", ".", "3.11", "{}", [SnapshotFile("a.py", b"")], NOW, 0, "shop"))

    for deployed in ("{}", '{"triggered_by":"rollback"}'):
        await store.run(Audited(ServeSnapshot("acme", row, NOW, deployed=deployed), ANN))

    assert await told(store) == [("script.rollback", "shop"), ("script.deploy", "shop")]


async def test_entries_are_found_by_what_they_say(store: Store) -> None:
    """By action, token, workflow, instance and time, bounds included; and page by page."""
    await register(store)
    await create(store, "a", "b")
    ben = Asked("command", "ben", NOW + 5)
    for operation, asked in ((pause("a"), ANN), (pause("b"), ben), (terminate("a"), ben)):
        await store.run(Audited(operation, asked))
    everything = [("instance.terminate", "a"), ("instance.pause", "b"), ("instance.pause", "a")]

    assert await told(store) == everything
    assert await told(store, action="instance.pause") == everything[1:]
    assert await told(store, token="aa") == everything[2:]
    assert await told(store, workflow="orders", instance="a") == [everything[0], everything[2]]
    assert await told(store, workflow="none") == []
    assert await told(store, from_ms=NOW + 5) == everything[:2]
    assert await told(store, to_ms=NOW + 4) == everything[2:]
    assert await store.run(ListAudit("other", 100)) == []
    (first, second) = await store.run(ListAudit("acme", 2))
    assert await told(store, before=second.row) == everything[2:]
    assert first.row > second.row


async def test_entries_are_forgotten_by_age_alone(store: Store) -> None:
    """The oldest first, a bounded part at a time; none of those that are behind a younger one."""
    await register(store)
    await create(store, *"abcde")
    for id, at in zip("abcde", (1, 2, 3, 9, 4), strict=True):
        await store.run(Audited(pause(id), msgspec.structs.replace(ANN, at=NOW + at)))

    gone = [await store.run(ForgetAudit(NOW + 5, 2)) for _ in range(3)]

    assert gone == [2, 1, 0]
    assert await told(store) == [("instance.pause", "e"), ("instance.pause", "d")]


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        pytest.param(DEFAULT_SETTINGS.audit_retention, ["b"], id="default"),
        pytest.param(0, ["b", "a"], id="for ever"),
        pytest.param(1, [], id="a moment"),
    ],
)
async def test_expiry_forgets_what_is_older_than_the_setting_says(kept: int, left: list[str]) -> None:
    """Entries are kept for 400 days where nobody says otherwise; 0 keeps them for ever."""
    store = await asyncio.to_thread(SqliteStore.in_memory)
    await register(store)
    await create(store, *"ab")
    for id, at in (("a", NOW), ("b", NOW + DAY_MS)):
        await store.run(Audited(pause(id), msgspec.structs.replace(ANN, at=at)))
    clock = VirtualClock(NOW + 400 * DAY_MS + 1)

    await Expiry(store, clock, Settings(audit_retention=kept), pause_s=0).forget_audit()

    assert [entry.instance for entry in await entries(store)] == left
    await store.close()


_REFUSED = (
    ("update audit set who = 'nobody'", "never changed"),
    ("delete from audit where instance_id = 'b'", "by age alone"),
)


@pytest.fixture
def url(require: Callable[..., None]) -> Iterator[str]:
    """An empty database."""
    require(postgres.REASON, "its audit log", postgres.is_there())
    taken = postgres.databases.take()
    yield taken
    postgres.databases.give_back(taken)


async def _fill(store: Store) -> None:
    await register(store)
    await create(store, *"abc")
    for id in "abc":
        await store.run(Audited(pause(id), ANN))


@pytest.mark.sqlite
@pytest.mark.parametrize(("sql", "problem"), _REFUSED)
async def test_file_refuses_changes_of_entries(sql: str, problem: str) -> None:
    """Whoever writes SQL by mistake changes none, and takes none out of the middle."""
    store = await asyncio.to_thread(SqliteStore.in_memory)
    await _fill(store)

    with pytest.raises(apsw.ConstraintError, match=problem):
        inside(store).execute(sql)

    assert len(await told(store)) == 3
    inside(store).execute("delete from audit")
    await store.close()


@pytest.mark.parametrize(("sql", "problem"), [*_REFUSED, ("truncate audit", "never changed")])
async def test_database_refuses_changes_of_entries(url: str, sql: str, problem: str) -> None:
    """The same in PostgreSQL."""
    from stepwell.store.postgres import PostgresStore

    store = await asyncio.to_thread(PostgresStore.inline, url)
    await _fill(store)

    with pytest.raises(Exception, match=problem):
        await asyncio.to_thread(postgres.query, url, sql)

    assert len(await told(store)) == 3
    await asyncio.to_thread(postgres.query, url, "delete from audit")
    await store.close()


@pytest.mark.sqlite
async def test_file_does_nothing_that_it_cannot_tell() -> None:
    """The entry and what it tells of are one transaction: where the one cannot be written, the other is not done."""
    store = await asyncio.to_thread(SqliteStore.in_memory)
    await register(store)
    await create(store, "a")
    inside(store).execute("create trigger full before insert on audit begin select raise(abort, 'full'); end")

    with pytest.raises((StepwellError, apsw.Error)):
        await store.run(Audited(terminate(), ANN))

    assert (await store.run(GetInstance("acme", "orders", "a"))).row.status == "queued"
    await store.close()


async def test_database_does_nothing_that_it_cannot_tell(url: str) -> None:
    """The same in PostgreSQL."""
    from stepwell.store.postgres import PostgresStore

    store = await asyncio.to_thread(PostgresStore.inline, url)
    await register(store)
    await create(store, "a")
    await asyncio.to_thread(postgres.query, url, "alter table audit add constraint full_up check (false) not valid")

    try:
        with pytest.raises(StoreError):
            await store.run(Audited(terminate(), ANN))

        assert (await store.run(GetInstance("acme", "orders", "a"))).row.status == "queued"
    finally:
        await store.close()
        await asyncio.to_thread(postgres.query, url, "alter table audit drop constraint full_up")


_FORCED = StepForced(NOW, Key(StepKind.DO, "charge", 1), Action.COMPLETE, "ann", None, '"SECRET"')
_FAILED = StepForced(NOW, Key(StepKind.DO, "charge", 1), Action.FAIL, "ann", error=Failure("Error", "SECRET"))


@pytest.mark.parametrize(
    "operation",
    [
        ForceStep("acme", "orders", "a", codec.to_row(_FORCED), 1, 0),
        ForceStep("acme", "orders", "a", codec.to_row(_FAILED), 1, 0),
        StartJob("acme", "j", "delete", None, Wanted(error_text="SECRET"), NOW, "ann"),
        AddToken(TOKEN),
        SaveSnapshot("acme", "aa", ".", "3.11", "{}", [SnapshotFile("a.py", b"SECRET")], NOW, 0, "s", '{"a":"SECRET"}'),
        ServeSnapshot("acme", 1, NOW, deployed='{"message":"SECRET"}'),
    ],
    ids=["complete a step", "fail a step", "job", "token", "upload", "deployment"],
)
def test_entry_has_no_payload_and_no_secret(operation: Operation[Any]) -> None:
    """What people and programs hand over is in its own place, and not here."""
    assert "SECRET" not in repr(act_of(operation))  # type: ignore[arg-type]  # each is one that is audited


def test_detail_is_bounded_and_is_json() -> None:
    """However much was asked for at once."""
    triggers = [Trigger(type="t" * 100, targets=[TriggerTarget(type="a", workflow_name="w", script_name="s")])] * 100

    for operation in (MergeTriggers("acme", "s", triggers, NOW), ShareLimit("acme", "desk", '{"concurrency":3}', NOW)):
        text = act_of(operation).detail_text
        assert len(text) <= MOST_DETAIL
        assert isinstance(msgspec.json.decode(text), dict)


def test_each_action_is_somebodys() -> None:
    """The list of actions is closed: each is one of an operation, and of none that is not listed."""
    two = {"limit.set", "limit.unset", "script.deploy", "script.rollback"}

    assert len(AUDIT_ACTIONS) == len(set(AUDIT_ACTIONS)) == len(AUDITED) + len(two) // 2
