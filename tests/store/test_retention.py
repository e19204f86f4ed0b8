"""The contract of every store: what has ended expires when its retention is over, and nothing else ever does."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from stepwell.core.failures import Failure
from stepwell.core.records import Failed
from stepwell.errors import InstanceNotFound, StoreDamaged, StreamDropped
from stepwell.limits import MOST_RETENTION_MS
from stepwell.store import Store, codec
from stepwell.store.account_operations import AccountSettings, ChangeAccountSettings
from stepwell.store.child_operations import ChildLink, ListRelatives, Relatives, StartChild
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.migrations import known
from stepwell.store.note_operations import LogLine, Note, WriteNotes
from stepwell.store.once import FindOnce, Once
from stepwell.store.operations import (
    CreateInstance,
    GetInstance,
    GetWorkflow,
    ListInstances,
    Operation,
    ReadHistory,
    ReadPayload,
    RegisterWorkflow,
    Retention,
    VersionSettings,
)
from stepwell.store.retention_operations import DeleteExpired, Expired, FindExpired, GetRetention, InstanceRetention
from stepwell.store.sql import retention
from stepwell.store.sql.rows import every
from stepwell.store.sqlite.connections import open_ledger, read
from stepwell.store.sqlite.file import FileConnection, migrate, open_in_memory
from stepwell.store.stream_operations import BeginStream, ReadPiece, WritePiece
from stepwell.store.workflow_operations import DeleteWorkflow, PurgeDeleted, PutWorkflow
from tests.store.scenes import (
    NOW,
    claim,
    commit,
    control,
    create,
    creation,
    ending,
    held,
    instance,
    outcomes,
    register,
    release,
    started,
    succeeded,
    worker,
)

# The server's, the account's, the version's and the instance's own.
SERVER, ACCOUNT, VERSION, OWN = (80_000, 90_000), (60_000, 70_000), (40_000, 50_000), (20_000, 30_000)
ENDED = NOW + 1
LATE = ENDED + max(SERVER)
BIG = '"' + "x" * 9_000 + '"'


def _created(id: str = "a", own: tuple[int | None, int | None] | None = None) -> CreateInstance:
    return replace(creation(id), retention=None if own is None else Retention(*own))


def _end(turn: Any, kind: str) -> Operation[Any]:
    if kind == "complete":
        return ending(turn)
    failed = codec.to_row(Failed(ENDED, Failure("ValueError", "no")))
    return replace(ending(turn), records=[failed], status="errored")


async def _ended(
    store: Store, *ids: str, kind: str = "complete", own: tuple[int | None, int | None] | None = None
) -> None:
    """Let instances of `orders`, which is there, end so at ENDED."""
    await outcomes(store, [_created(id, own) for id in ids])
    turns = (await claim(store, await worker(store), limit=1_000)).turns
    if kind == "terminated":
        for id in ids:
            await store.run(replace(control("terminate", at=ENDED), id=id))
        return
    assert all(not isinstance(done, Exception) for done in await outcomes(store, [_end(turn, kind) for turn in turns]))


async def _find(store: Store, at: int) -> Expired:
    return await store.run(FindExpired(at, *SERVER))


async def _expire(store: Store, at: int, **bounds: int) -> int:
    found = await _find(store, at)
    return await store.run(DeleteExpired(found.instances, **bounds)) if found.instances else 0


async def _is_there(store: Store, id: str = "a") -> bool:
    try:
        await instance(store, id)
    except InstanceNotFound:
        return False
    return True


@pytest.mark.parametrize(("kind", "place"), [("complete", 0), ("errored", 1), ("terminated", 1)])
@pytest.mark.parametrize(
    ("says", "kept"),
    [
        pytest.param("server", SERVER, id="server"),
        pytest.param("account", ACCOUNT, id="account"),
        pytest.param("version", VERSION, id="version"),
        pytest.param("instance", OWN, id="instance"),
    ],
)
async def test_the_nearest_that_says_wins(
    store: Store, says: str, kept: tuple[int, int], kind: str, place: int
) -> None:
    """The instance wins over its version, that over the account, that over the server; each kind of end by itself."""
    await register(store)
    if says != "server":
        await store.run(ChangeAccountSettings("acme", AccountSettings(*ACCOUNT)))
    if says in ("version", "instance"):
        settings = VersionSettings(success_retention_ms=VERSION[0], error_retention_ms=VERSION[1])
        await store.run(PutWorkflow("acme", "orders", "shop", "Orders", "w", "v", settings, NOW))
    await _ended(store, "a", kind=kind, own=OWN if says == "instance" else None)
    expires_at = ENDED + kept[place]

    before, at = await _find(store, expires_at - 1), await _find(store, expires_at)

    assert before == Expired([], expires_at)
    assert [row for row, _ in at.instances] == [(await instance(store)).row.row]
    assert await store.run(GetRetention("acme", "orders", "a", *SERVER)) == InstanceRetention(*kept, expires_at)


async def test_half_of_what_is_said_is_said_by_others(store: Store) -> None:
    """What one that is nearer does not say, or says as 0, the next one says."""
    await register(store)
    settings = VersionSettings(success_retention_ms=0, error_retention_ms=VERSION[1])
    await store.run(PutWorkflow("acme", "orders", "shop", "Orders", "w", "v", settings, NOW))
    await store.run(ChangeAccountSettings("acme", AccountSettings(ACCOUNT[0])))
    await store.run(_created("a"))
    await store.run(_created("b", (OWN[0], None)))

    of_a, of_b = [await store.run(GetRetention("acme", "orders", id, *SERVER)) for id in ("a", "b")]

    assert of_a == InstanceRetention(ACCOUNT[0], VERSION[1], None)
    assert of_b == InstanceRetention(OWN[0], VERSION[1], None)


async def test_what_is_changed_later_holds(store: Store) -> None:
    """A retention of account or server that is changed holds also for what has ended before, shorter or longer."""
    await register(store)
    await _ended(store, "a")

    found = []
    for account in (5, 100):
        await store.run(ChangeAccountSettings("acme", AccountSettings(account)))
        found.append((await _find(store, ENDED + 5)).next_at)
    await store.run(ChangeAccountSettings("acme", AccountSettings(0)))

    assert found == [None, ENDED + 100]
    assert (await _find(store, ENDED + 5)).next_at == ENDED + SERVER[0]


async def test_expired_instance_leaves_nothing(store: Store) -> None:
    """State, history, values, lines, notes, streams and links are gone, the id is free, and nothing is counted."""
    turn = await held(store)
    await register(store, "mails")
    link = ChildLink(turn.row, turn.turn, "ended")
    await store.run(StartChild(creation("child", workflow="mails"), link))
    stream = await store.run(BeginStream(turn.row, turn.turn, "step", 1))
    await store.run(WritePiece(turn.row, turn.turn, stream, 1, b"piece"))
    line = LogLine(NOW, None, None, "info", "a line")
    await store.run(WriteNotes(turn.row, turn.turn, 0, [line], [Note("progress", NOW, "1")], 1))
    await store.run(commit(turn, started(), succeeded(value=BIG)))
    payload = next(record.payload for record in (await instance(store)).records if record.payload is not None)
    await store.run(ending(turn, n=3, seen=4))

    gone = await _expire(store, ENDED + SERVER[0])
    while await store.run(PurgeDeleted()):
        pass

    assert gone == 1
    assert not await _is_there(store)
    assert await store.run(ReadHistory(turn.row)) == []
    with pytest.raises(StoreDamaged):
        await store.run(ReadPayload(payload))
    with pytest.raises(StreamDropped):
        await store.run(ReadPiece(stream, 1))
    child = (await instance(store, "child", workflow="mails")).row
    assert child.status == "queued"
    assert await store.run(ListRelatives(child.row, 9)) == Relatives([], [])
    assert (await store.run(GetWorkflow("acme", "orders"))).counts == {}
    (again,) = await create(store, "a")
    assert again.row > turn.row


async def test_restart_takes_the_expiry_away(store: Store) -> None:
    """One that runs again does not expire, and its next end sets the expiry anew; what it says itself stays."""
    await register(store)
    await _ended(store, "a", own=OWN)
    await store.run(control("restart", at=ENDED + 5))
    running = await _find(store, ENDED + OWN[0])
    kept = await store.run(GetRetention("acme", "orders", "a", *SERVER))

    (turn,) = (await claim(store, await worker(store), at=ENDED + 5)).turns
    await store.run(replace(ending(turn, seen=turn.n + 4), ended_at=ENDED + 10))

    assert (running, kept) == (Expired([], None), InstanceRetention(*OWN, None))
    assert (await _find(store, ENDED)).next_at == ENDED + 10 + OWN[0]


async def test_restart_that_comes_first_is_not_undone(store: Store) -> None:
    """What was found as expired, and has been restarted since, stays; so does one that was restarted and has ended."""
    await register(store)
    await _ended(store, "a", "b")
    found = (await _find(store, ENDED + SERVER[0])).instances
    await store.run(control("restart"))

    gone = await store.run(DeleteExpired(found))

    assert gone == 1
    assert (await _is_there(store, "a"), await _is_there(store, "b")) == (True, False)
    await store.run(control("terminate"))
    assert await store.run(DeleteExpired(found)) == 0
    assert (await store.run(GetWorkflow("acme", "orders"))).counts == {"terminated": 1}


async def test_what_has_not_ended_never_expires(store: Store) -> None:
    """However old it is, and also if somebody names it: queued, running, waiting and paused ones stay."""
    turn = await held(store, "running")
    await create(store, "queued", "waiting", "paused")
    turns = {turn.id: turn for turn in (await claim(store, await worker(store))).turns}
    await store.run(release(turns["waiting"], due_at=NOW + 9))
    await store.run(release(turns["queued"], due_at=NOW + 9))
    await store.run(replace(control("pause"), id="waiting"))
    rows = [(await instance(store, id)).row for id in ("running", "queued", "waiting", "paused")]

    found = await store.run(FindExpired(NOW + 2 * MOST_RETENTION_MS, 0, 0))
    gone = await store.run(DeleteExpired([(row.row, row.seq) for row in rows]))

    assert (found, gone) == (Expired([], None), 0)
    assert turn.row == rows[0].row


async def test_others_of_other_accounts_and_workflows_keep_theirs(store: Store) -> None:
    """A short retention of an account is nobody else's."""
    await register(store, account="other")
    await store.run(replace(creation("o", account="other"), retention=None))
    (turn,) = (await claim(store, await worker(store))).turns
    await store.run(ending(turn))
    await register(store)
    await _ended(store, "a")

    await store.run(ChangeAccountSettings("acme", AccountSettings(1, 1)))

    assert await _expire(store, ENDED + 1) == 1
    assert (await store.run(GetInstance("other", "orders", "o"))).row.id == "o"


@pytest.mark.parametrize("delete", [DeleteInstance("acme", "orders", "a", NOW), DeleteWorkflow("acme", "orders", NOW)])
@pytest.mark.parametrize("own", [None, Retention(1, 1)])
def test_what_is_deleted_does_not_expire(own: Retention | None, delete: Operation[None]) -> None:
    """Rows that are still to be deleted are found by nobody as expired."""
    connection = open_in_memory()
    ledger = open_ledger(connection, "here")
    ledger.write([_workflow(), replace(creation(), retention=own), control("terminate")])
    before = read(connection, FindExpired(NOW + 9, 1, 1))

    ledger.write([delete])

    assert before == Expired([(1, 2)], None)
    assert read(connection, FindExpired(NOW + 9, 1, 1)) == Expired([], None)
    assert ledger.write([DeleteExpired([(1, 2)])]).outcomes == [0]
    assert every(connection, "select count(*) from instances") == [(1,)]


async def test_limit_bounds_what_is_found(store: Store) -> None:
    """A look finds as many as it asks for, and the next one the rest."""
    await register(store)
    await _ended(store, "a", "b", "c")
    await _ended(store, "d", "e", own=OWN)

    found = [len((await store.run(FindExpired(ENDED + SERVER[0], *SERVER, limit))).instances) for limit in (1, 2, 4, 9)]

    assert found == [1, 2, 4, 5]


async def test_idempotency_key_outlives_its_instance(store: Store) -> None:
    """A request that is sent again within the key's own time is answered as before, and creates nothing."""
    await register(store)
    once = Once("acme", "key", "request", NOW, creation("a"), 100_000)
    first = await store.run(once)
    await store.run(control("terminate", at=ENDED))

    assert await _expire(store, ENDED + SERVER[1]) == 1
    assert await store.run(replace(once, now=ENDED + SERVER[1])) == first
    assert await store.run(FindOnce("acme", "key", "request", ENDED + SERVER[1], 100_000)) == first
    assert not await _is_there(store)


async def test_parent_keeps_what_it_was_told(store: Store) -> None:
    """A parent that awaits an instance has heard of its end, and nothing more of its expiry."""
    turn = await held(store, "parent")
    await store.run(StartChild(_created("a", (1, 1)), ChildLink(turn.row, turn.turn, "ended")))
    await store.run(control("terminate", at=ENDED))
    before = await instance(store, "parent")

    assert await _expire(store, ENDED + 1) == 1

    assert await instance(store, "parent") == before
    assert [record.kind for record in before.records] == ["created", "running", "event_received"]


# ---- bounds


@pytest.mark.parametrize(
    ("bounds", "parts"),
    [
        pytest.param({"rows": 5}, [2, 2, 1], id="rows"),
        pytest.param({"size": 20_000}, [2, 2, 1], id="bytes"),
        pytest.param({}, [5], id="neither"),
    ],
)
async def test_each_part_is_bounded(store: Store, bounds: dict[str, int], parts: list[int]) -> None:
    """No more rows and bytes go at once than the bounds say; what is left is there, and goes when it is asked again."""
    await _large_ones(store)

    gone, left = [], []
    while (found := await _find(store, LATE)).instances:
        gone.append(await store.run(DeleteExpired(found.instances, **bounds)))
        left.append((await store.run(GetWorkflow("acme", "orders"))).counts.get("terminated", 0))

    assert gone == parts
    assert left == [5 - sum(parts[: n + 1]) for n in range(len(parts))]


@pytest.mark.parametrize("bounds", [pytest.param({"rows": 1}, id="rows"), pytest.param({"size": 8_000}, id="bytes")])
async def test_one_beyond_the_bounds_goes_bit_by_bit(store: Store, bounds: dict[str, int]) -> None:
    """An instance that is larger than the bounds by itself is found no more at once, and its rows go afterwards."""
    rows = await _large_ones(store)

    gone = await _expire(store, LATE, **bounds)

    assert gone == 5
    assert (await store.run(ListInstances("acme", "orders", 9))).total == 0
    (again,) = await create(store, "a")
    while await store.run(PurgeDeleted()):
        pass
    assert [await store.run(ReadHistory(row)) for row in rows] == [[]] * 5
    assert again.row > rows[-1]


async def _large_ones(store: Store) -> list[int]:
    """Let five instances end, each of two records and a value that lies apart; return their rows."""
    await register(store)
    rows = [(await store.run(creation(id, params=BIG))).row for id in "abcde"]
    for id in "abcde":
        await store.run(replace(control("terminate", at=ENDED), id=id))
    return rows


def test_look_goes_by_indexes() -> None:
    """Neither what is found nor when the next expires is looked for among all instances."""
    connection = open_in_memory()

    plans = [
        [row[3] for row in connection.execute(f"explain query plan {sql}", dict.fromkeys(names, 1))]
        for sql, names in (
            (retention.EXPIRED, ("success_ms", "error_ms", "now", "limit")),
            (retention.NEXT, ("success_ms", "error_ms")),
        )
    ]

    of_instances = [line for plan in plans for line in plan if re.search(r"\bi\b", line)]
    assert len(of_instances) == 4
    assert all("USING" in line and "instances_e" in line for line in of_instances)
    assert not any(line.startswith("SCAN i") for line in of_instances)


def test_what_has_ended_before_expires() -> None:
    """In a store of an earlier Stepwell what has ended expires as any, by what its version and account say."""
    connection = FileConnection(":memory:")
    migrate(connection, [migration for migration in known("sqlite") if migration.n < 17], "here")
    connection.execute(
        """
        insert into workflows (id, account, name, script, class_name, version, created_at, modified_at)
        values ('w', 'acme', 'orders', 'shop', 'Orders', 'v2', 1, 2);
        insert into versions (id, account, workflow, script, class_name, sha256, created_at, settings)
        values ('v1', 'acme', 1, 'shop', 'Orders', 'aa', 1, '{"success_retention_ms":10}'),
            ('v2', 'acme', 1, 'shop', 'Orders', 'aa', 1, '{}');
        insert into account_settings (account, error_retention_ms) values ('acme', 20);
        insert into instances (
            account, workflow, id, version, status, trigger, seq, created_at, modified_at, ended_at, tx
        )
        values ('acme', 1, 'a', 'v1', 'complete', 'api', 3, 1, 5, 5, 1),
            ('acme', 1, 'b', 'v2', 'terminated', 'api', 3, 1, 5, 5, 1),
            ('acme', 1, 'c', 'v2', 'complete', 'api', 3, 1, 5, 5, 1),
            ('acme', 1, 'd', 'v2', 'waiting', 'api', 3, 1, 5, null, 1);
        """
    )

    migrate(connection, known("sqlite"), "here")

    found = [read(connection, FindExpired(now, 30, 30)) for now in (14, 15, 25, 35, MOST_RETENTION_MS)]
    assert found == [Expired([], 15), *(Expired([(row, 3) for row in range(1, n)], None) for n in (2, 3, 4, 4))]


def _workflow() -> RegisterWorkflow:
    return RegisterWorkflow("acme", "orders", "shop", "Orders", "aa", "w", "v", NOW)
