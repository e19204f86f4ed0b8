"""The contract of every store: who has it open, and what waits to be claimed."""

from stepwell import __version__
from stepwell.store import Store
from stepwell.store.host_operations import HostRow, Hosts, ListHosts, Waiting
from stepwell.store.operations import ClaimDue, EndLease, RegisterWorker, RegisterWorkflow
from stepwell.store.situation_operations import NoteBlocked
from stepwell.store.snapshot_operations import SaveSnapshot
from stepwell.store.sql.hosts import host_name
from stepwell.store.workflow_operations import DeleteWorkflow
from tests.store.scenes import LEASE, NOW, create, creation, register


async def listed(store: Store, *, at: int = NOW, most: int = 10_000) -> Hosts:
    """Return the hosts of a store."""
    return await store.run(ListHosts(at, most=most))


async def mine(store: Store, *, at: int = NOW) -> HostRow:
    """Return the host that this store is."""
    return next(host for host in (await listed(store, at=at)).hosts if host.name == host_name())


async def test_store_that_is_open_has_a_host(store: Store) -> None:
    """It is this process, with its release and since when it has the store open; and it is alive."""
    host = await mine(store)

    assert (host.version, host.is_alive) == (__version__, True)
    assert host.opened_at is not None
    assert (host.workers, host.blocked_workers, host.held, host.oldest_due_at) == (0, 0, 0, None)


async def test_host_has_workers_and_what_they_hold(store: Store) -> None:
    """Those whose lease is over are not counted, and what they held is nobody's."""
    await register(store)
    await create(store, "a", "b", "c")
    first, second = [await store.run(RegisterWorker(name, LEASE, NOW)) for name in ("one", "two")]
    await store.run(ClaimDue(first, NOW, 2))
    await store.run(NoteBlocked(second, NOW))

    both = await mine(store)
    await store.run(EndLease(first))
    one = await mine(store)

    assert (both.workers, both.blocked_workers, both.held) == (2, 1, 2)
    assert (one.workers, one.blocked_workers, one.held) == (1, 1, 0)
    assert (await mine(store, at=LEASE)).workers == 0


async def test_what_is_due_is_what_the_host_lags_behind(store: Store) -> None:
    """Since when the first is due that its workers could claim; nothing later, and nothing of other code."""
    await register(store)
    snapshot = await store.run(SaveSnapshot("acme", "ff", "flows", "3.13", "{}", [], NOW))
    await store.run(
        RegisterWorkflow("acme", "served", "s", "Served", "aa", "workflow-1", "version-1", NOW, snapshot=snapshot)
    )
    await create(store, "a", at=NOW + 5)
    await create(store, "b", at=NOW + 7)
    await store.run(creation("c", workflow="served", at=NOW + 1))
    await store.run(RegisterWorker("one", LEASE, NOW))

    moments = [(await mine(store, at=NOW + at)).oldest_due_at for at in (4, 5, 9)]
    waiting = [(await listed(store, at=NOW + at)).waiting for at in (0, 1, 9)]

    assert moments == [None, NOW + 5, NOW + 5]
    counts = {"queued": 3}
    assert waiting == [Waiting(0, None, 0, counts), Waiting(1, NOW + 1, 0, counts), Waiting(3, NOW + 1, 0, counts)]
    assert (await listed(store, at=NOW + 9, most=2)).waiting == Waiting(2, NOW + 1, 0, {"queued": 2})


async def test_what_is_deleted_waits_for_nobody(store: Store) -> None:
    """Instances of a workflow that is gone are due to nobody."""
    await register(store)
    await create(store, "a")
    await store.run(RegisterWorker("one", LEASE, NOW))

    await store.run(DeleteWorkflow("acme", "orders", NOW))

    assert (await mine(store)).oldest_due_at is None
    assert (await listed(store)).waiting == Waiting(0, None, 0, {})


async def test_what_waits_for_a_slot_is_not_due(store: Store) -> None:
    """It is counted by itself, as no worker could claim it."""
    await store.run(RegisterWorkflow("acme", "mail", "post", "Mail", "aa", "w", "v", NOW, flow='{"limit":1}'))
    for id in ("a", "b", "c"):
        await store.run(creation(id, workflow="mail"))

    assert (await listed(store)).waiting == Waiting(1, NOW, 2, {"queued": 3})


async def test_account_is_told_of_its_own(store: Store) -> None:
    """Whoever asks for one account gets no number that another's instances have part in; who asks for all, the sums."""
    flow = '{"limit":1}'
    snapshots = [await store.run(SaveSnapshot(of, "ff", "flows", "3.13", "{}", [], NOW)) for of in ("acme", "other")]
    for account, snapshot in zip(("acme", "other"), snapshots, strict=True):
        served = RegisterWorkflow(
            account, "mail", "post", account, "aa", account, account, NOW, flow=flow, snapshot=snapshot
        )
        await store.run(served)
    for id in ("a", "b", "c"):
        await store.run(creation(id, workflow="mail", account="other"))
    await store.run(creation("a", workflow="mail", at=NOW + 3))
    worker = await store.run(RegisterWorker("one", LEASE, NOW, snapshots[1]))
    await store.run(NoteBlocked(worker, NOW))

    acme, other, both = [await store.run(ListHosts(NOW + 5, account)) for account in ("acme", "other", None)]
    await store.run(ClaimDue(worker, NOW + 5, 1, snapshots[1]))
    held = [(await store.run(ListHosts(NOW + 5, account))).hosts for account in ("acme", "other", None)]

    assert acme.waiting == Waiting(1, NOW + 3, 0, {"queued": 1})
    assert other.waiting == Waiting(1, NOW, 2, {"queued": 3})
    assert both.waiting == Waiting(2, NOW, 2, {"queued": 4})
    seen = [next(host for host in found.hosts if host.name == host_name()) for found in (acme, other, both)]
    assert [(host.workers, host.blocked_workers, host.oldest_due_at) for host in seen] == [
        (0, 0, None),
        (1, 1, NOW),
        (1, 1, NOW),
    ]
    assert [next(host.held for host in hosts if host.name == host_name()) for hosts in held] == [0, 1, 1]


async def test_database_is_told(store: Store) -> None:
    """What it is, in which version, and how large."""
    database = (await listed(store)).database

    assert database.kind in {"sqlite", "postgresql"}
    assert database.version[0].isdigit()
    assert database.size > 50_000
