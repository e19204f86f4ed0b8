"""The contract of every store: snapshots of code, and on which of them instances run."""

import asyncio
from pathlib import Path

import apsw
import pytest

from stepwell.errors import StoreDamaged, WorkflowBelongs
from stepwell.store import Store
from stepwell.store.operations import NO_SETTINGS, ClaimDue, EndLease, GetWorkflow, RegisterWorkflow
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
    SnapshotDue,
    SnapshotFile,
)
from stepwell.store.sqlite import SqliteStore
from stepwell.store.workflow_operations import GetVersionCode, PutWorkflow
from tests.store.scenes import NOW, control, create, creation, register, release, worker

FILES = [SnapshotFile("data/a.bin", bytes(range(256))), SnapshotFile("flows.py", b"")]


async def _save(store: Store, sha256: str = "1" * 64, *, account: str = "acme", at: int = NOW) -> int:
    return await store.run(SaveSnapshot(account, sha256, "flows.py", "3.13.1", '{"a":"1"}', FILES, at))


async def _serve(store: Store, snapshot: int, sha256: str = "code") -> None:
    """Make code known as a worker does that is started with a snapshot."""
    await store.run(ServeSnapshot("acme", snapshot, NOW, (_orders(snapshot, sha256),)))


def _orders(snapshot: int, sha256: str = "code", script: str = "shop") -> RegisterWorkflow:
    ids = (f"w-{sha256}", f"v-{sha256}")
    return RegisterWorkflow("acme", "orders", script, "Orders", sha256, *ids, NOW, snapshot=snapshot)


async def _claimed(store: Store, snapshot: int) -> list[str]:
    claims = await store.run(ClaimDue(await worker(store), NOW + 5, 10, snapshot))
    return [turn.id for turn in claims.turns]


async def test_snapshot_is_kept_whole(store: Store) -> None:
    """Files as they were, and what they were served with."""
    number = await _save(store)

    found = await store.run(GetSnapshot(number))

    assert found is not None
    assert (found.sha256, found.source, found.python, found.packages) == ("1" * 64, "flows.py", "3.13.1", '{"a":"1"}')
    assert await store.run(ReadSnapshotFiles(number)) == FILES
    assert await store.run(GetSnapshot(number + 1)) is None


async def test_python_files_of_a_folder_are_read_as_far_as_there_is_room(store: Store) -> None:
    """The smaller ones; others are named, and what is no Python, or lies elsewhere, is not."""
    bodies = {"a.py": b"1" * 30, "b.PY": b"", "flows/big.py": b"2" * 20, "flows/x.py": b"3", "flowspy": b""}
    files = [SnapshotFile(path, body) for path, body in bodies.items()]
    number = await store.run(SaveSnapshot("acme", "4" * 64, ".", "3.13.1", "{}", files, NOW))

    every = await store.run(ReadSnapshotSources(number, "", 21))
    folder = await store.run(ReadSnapshotSources(number, "flows/", 99))

    assert ([file.path for file in every.files], every.left_out) == (["flows/big.py", "flows/x.py"], ["a.py"])
    assert folder.files == [files[2], files[3]]


async def test_version_knows_its_code(store: Store) -> None:
    """Its hash, and the snapshot that it was made with; without one there is none."""
    await store.run(_orders(0, "first"))
    number = await _save(store)
    await _serve(store, number, "second")

    first, second = [await store.run(GetVersionCode("acme", "orders", f"v-{code}")) for code in ("first", "second")]

    assert (first.sha256, first.snapshot, first.version.id) == ("first", None, "v-first")
    assert second.snapshot is not None
    assert (second.sha256, second.snapshot.row, second.params_schema) == ("second", number, None)


async def test_same_code_is_kept_once(store: Store) -> None:
    """Of each account."""
    first, second = await _save(store), await _save(store, "2" * 64)
    other = await _save(store, account="other")

    again = await _save(store, at=NOW + 1)

    assert (again, len({first, second, other})) == (first, 3)


async def test_what_was_served_last_is_found_again(store: Store) -> None:
    """Also where it is older; what was kept and never loaded was not served."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _save(store, "3" * 64)
    for number, at in ((first, NOW), (second, NOW + 1), (first, NOW + 2)):
        await store.run(ServeSnapshot("acme", number, at))

    found = [await store.run(FindServed(account)) for account in ("acme", "other")]
    asked = [await store.run(FindServed("acme", row)) for row in (second, second + 1)]
    listed = [await store.run(ListServed("acme", limit)) for limit in (1, 9)]

    assert [None if one is None else one.row for one in found] == [first, None]
    assert [None if one is None else one.served_at for one in asked] == [NOW + 1, None]
    assert [[one.row for one in page] for page in listed] == [[first], [first, second]]


async def test_server_that_starts_again_has_served_since_it_was_deployed(store: Store) -> None:
    """What is deployed once more, or again behind other code, is served since then."""
    first, second = await _save(store), await _save(store, "2" * 64)

    async def served_at(number: int, at: int, *, takes_over: bool = True) -> int:
        await store.run(ServeSnapshot("acme", number, at, takes_over=takes_over))
        served = await store.run(FindServed("acme"))
        return 0 if served is None else served.served_at

    started = [await served_at(first, NOW), await served_at(first, NOW + 1)]
    deployed = [await served_at(first, NOW + 2, takes_over=False), await served_at(second, NOW + 3)]

    assert (started, deployed) == ([NOW, NOW], [NOW + 2, NOW + 3])
    assert await served_at(first, NOW + 4) == NOW + 4


async def _upload(store: Store, sha256: str, script: str, *, until: int = NOW, said: str = "{}") -> int:
    files = (FILES, NOW, until, script, said)
    return await store.run(SaveSnapshot("acme", sha256, "flows.py", "3.13.1", "{}", *files))


async def test_uploads_of_a_script_are_listed_apart(store: Store) -> None:
    """The last first, served or not, with what was said of each; one is found by the beginning of its hash."""
    shop = [await _upload(store, sha256, "shop", said='{"n":1}') for sha256 in ("1" * 64, "2" * 64)]
    bills = await _upload(store, "3" * 64, "bills")
    for number in (shop[0], bills):
        await store.run(ServeSnapshot("acme", number, NOW, deployed='{"why":"rollback"}'))

    uploads = await store.run(ListUploads("acme", "shop", 9))
    found = [await store.run(ListUploads("acme", "shop", 9, start)) for start in ("11", "12", "3")]
    served = [await store.run(ListServed("acme", 9, script)) for script in ("shop", "bills", "none")]

    assert [(one.row, one.annotations, one.deployed) for one in uploads] == [
        (shop[1], '{"n":1}', "{}"),
        (shop[0], '{"n":1}', '{"why":"rollback"}'),
    ]
    assert [[one.row for one in page] for page in found] == [[shop[0]], [], []]
    assert [[one.row for one in page] for page in served] == [[shop[0]], [bills], []]
    assert await store.run(ListUploads("acme", "shop", 1)) == uploads[:1]


async def test_same_code_says_what_was_said_last(store: Store) -> None:
    """What is served from files says nothing of it, and so takes nothing away."""
    number = await _upload(store, "1" * 64, "shop", said='{"n":1}')
    await _save(store)
    first = await store.run(ListUploads("acme", "shop", 9))
    await _upload(store, "1" * 64, "shop", said='{"n":2}')

    second = await store.run(ListUploads("acme", "shop", 9))

    assert [(one.row, one.annotations) for one in (*first, *second)] == [(number, '{"n":1}'), (number, '{"n":2}')]


async def test_what_was_never_served_is_dropped(store: Store) -> None:
    """With its files, as soon as it need not be kept; what was served, or a version is of, stays."""
    served, named, kept = await _save(store), await _upload(store, "2" * 64, ""), await _upload(store, "4" * 64, "shop")
    refused = await _upload(store, "3" * 64, "shop", until=NOW + 5)
    await store.run(ServeSnapshot("acme", served, NOW))
    await store.run(_orders(named))
    await _upload(store, "4" * 64, "shop", until=NOW + 60)

    early = await store.run(DropSnapshots(NOW + 4))
    alone = await store.run(DropSnapshots(NOW + 99, served))
    dropped = await store.run(DropSnapshots(NOW + 5, refused))
    later = await store.run(DropSnapshots(NOW + 5))

    assert (early, alone, dropped, later) == (0, 0, 1, 0)
    there = [await store.run(GetSnapshot(number)) for number in (served, named, refused, kept)]
    assert [one is not None for one in there] == [True, True, False, True]
    assert await store.run(ReadSnapshotFiles(refused)) == []
    assert await store.run(DropSnapshots(NOW + 60)) == 1


async def test_number_that_no_snapshot_has_is_not_found(store: Store) -> None:
    """However large it is."""
    number = await _save(store)
    await store.run(ServeSnapshot("acme", number, NOW))

    assert await store.run(FindServed("acme", 2**53 - 1)) is None
    assert await store.run(DropSnapshots(NOW, 2**53 - 1)) == 0


async def test_code_that_takes_over_no_workflow_is_not_served_where_one_is_anothers(store: Store) -> None:
    """Nothing of it is done: what was served before is still served, as it was."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _serve(store, first)
    of_another = (_orders(second, "other code", "another"),)

    with pytest.raises(WorkflowBelongs):
        await store.run(ServeSnapshot("acme", second, NOW + 1, of_another, takes_over=False))
    refused = await store.run(FindServed("acme")), await store.run(GetWorkflow("acme", "orders"))
    await store.run(ServeSnapshot("acme", second, NOW + 1, of_another))
    taken = await store.run(FindServed("acme")), await store.run(GetWorkflow("acme", "orders"))

    assert [(served and served.row, workflow.script) for served, workflow in (refused, taken)] == [
        (first, "shop"),
        (second, "another"),
    ]


async def test_instances_stay_on_the_code_that_they_began_with(store: Store) -> None:
    """New ones run on what is served; each worker takes those of its own code alone."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _serve(store, first, "one")
    await create(store, "old")
    await _serve(store, second, "two")
    await create(store, "new")

    claimed = [await _claimed(store, snapshot) for snapshot in (0, second, first)]

    assert claimed == [[], ["new"], ["old"]]


async def test_claim_tells_when_the_next_of_its_code_is_due(store: Store) -> None:
    """Others wake nobody."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _serve(store, first, "one")
    await create(store, "old", at=NOW + 50)
    await _serve(store, second, "two")
    await create(store, "new", at=NOW + 90)

    answers = [(await store.run(ClaimDue(await worker(store), NOW, 10, n))).next_due_at for n in (first, second, 0)]

    assert answers == [NOW + 50, NOW + 90, None]


async def test_claim_brings_the_class_of_the_code(store: Store) -> None:
    """A workflow may be made of another class since."""
    first = await _save(store)
    await _serve(store, first, "one")
    await create(store, "old")
    second = await _save(store, "2" * 64)
    await store.run(RegisterWorkflow("acme", "orders", "shop", "Renamed", "two", "w", "v", NOW, snapshot=second))
    await create(store, "new")

    (old,) = (await store.run(ClaimDue(await worker(store), NOW + 5, 10, first))).turns
    (new,) = (await store.run(ClaimDue(await worker(store), NOW + 5, 10, second))).turns

    assert (old.class_name, new.class_name) == ("Orders", "Renamed")


async def test_restart_adopts_what_is_served(store: Store) -> None:
    """Whatever it ran on before."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _serve(store, first, "one")
    await create(store, "a")
    await _serve(store, second, "two")

    await store.run(control("restart"))

    assert [await _claimed(store, snapshot) for snapshot in (first, second)] == [[], ["a"]]


async def test_version_by_put_runs_on_what_is_served(store: Store) -> None:
    """Its class is of that code."""
    first = await _save(store)
    await _serve(store, first, "one")
    await store.run(PutWorkflow("acme", "mail", "shop", "Orders", "w2", "v2", NO_SETTINGS, NOW))

    await store.run(creation("m", workflow="mail"))

    assert await _claimed(store, first) == ["m"]


async def test_what_was_on_no_code_runs_on_what_is_served_and_back(store: Store) -> None:
    """A server with snapshots takes over what one without left, and the other way round; other accounts stay."""
    await register(store)
    await register(store, account="other")
    await create(store, "before")
    await store.run(creation("theirs", account="other"))
    first = await _save(store)

    await _serve(store, first, "one")
    on_snapshot = await _claimed(store, first)
    await create(store, "after")
    await _serve(store, 0, "one")

    assert on_snapshot == ["before"]
    assert await _claimed(store, 0) == ["theirs", "after"]


async def test_snapshots_with_something_due_are_listed(store: Store) -> None:
    """The earliest first, without the one that is served; what a dead worker held is due now."""
    numbers = [await _save(store, str(n)) for n in range(4)]
    for n, number in enumerate(numbers):
        await _serve(store, number, str(n))
        await store.run(creation(f"i{n}", at=NOW + 100 - n))
    dead = await worker(store)
    (turn,) = (await store.run(ClaimDue(dead, NOW + 500, 10, numbers[0]))).turns
    await store.run(EndLease(dead))

    due = await store.run(ListSnapshotsDue("acme", numbers[3], NOW))

    assert turn.id == "i0"
    assert due == [
        SnapshotDue(numbers[0], NOW),
        SnapshotDue(numbers[2], NOW + 98),
        SnapshotDue(numbers[1], NOW + 99),
    ]
    assert await store.run(ListSnapshotsDue("other", 0, NOW)) == []


async def test_sleeper_is_due_when_it_is_to_wake(store: Store) -> None:
    """Its snapshot needs no worker before."""
    first, second = await _save(store), await _save(store, "2" * 64)
    await _serve(store, first, "one")
    await create(store, "a")
    (turn,) = (await store.run(ClaimDue(await worker(store), NOW, 10, first))).turns
    await store.run(release(turn, due_at=NOW + 10**9))

    assert await store.run(ListSnapshotsDue("acme", second, NOW)) == [SnapshotDue(first, NOW + 10**9)]


async def test_damaged_file_is_an_error(tmp_path: Path) -> None:
    """No code runs that is not what it was."""
    path = tmp_path / "store.db"
    store = await asyncio.to_thread(SqliteStore.open, path)
    number = await _save(store)
    await store.close()
    connection = apsw.Connection(str(path))
    connection.execute("update snapshot_files set body = x'00' where path = 'flows.py'")
    connection.close()
    store = await asyncio.to_thread(SqliteStore.open, path)

    with pytest.raises(StoreDamaged, match=r'the file "flows\.py" of the snapshot 1 is damaged'):
        await store.run(ReadSnapshotFiles(number))
    await store.close()
