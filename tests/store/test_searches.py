"""Searches find what matches, all of it, once, in order, whatever comes meanwhile."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell.core.failures import Failure
from stepwell.core.records import Failed
from stepwell.errors import TurnLost
from stepwell.store import Store, codec
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.label_operations import Labels, ReadLabels, SetLabels
from stepwell.store.operations import Claim, RegisterWorkflow, Release
from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.sql import search
from tests import postgres
from tests.store.difference import Side, open_postgres, open_sqlite
from tests.store.scenes import NOW, claim, control, create, creation, held, register, worker
from tests.store.searching import ASKED_AT, Population, Specimen, populations, wishes

HAS_POSTGRES = postgres.is_there()


@pytest.fixture
def database(require: Callable[..., None]) -> Iterator[str]:
    """The URL of an empty database."""
    require(postgres.REASON, "the other store", HAS_POSTGRES)
    url = postgres.databases.take()
    yield url
    postgres.databases.give_back(url)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest) -> Callable[[], Side]:
    """What opens an empty store of each kind."""
    if request.param == "sqlite":
        return lambda: open_sqlite()[0]
    url = request.getfixturevalue("database")
    return lambda: open_postgres(url)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is few, and what is looked at in one part, be so little that a dozen instances meet every case."""
    monkeypatch.setattr(search, "FEW", 2)
    monkeypatch.setattr(search, "_FIRST_PART", 1)
    monkeypatch.setattr(search, "_LARGEST_PART", 3)


SOME = [
    Specimen("orders", "ab-1", NOW, "complete", "api", 5, labels={"env": "prod", "by": "ann"}),
    Specimen("orders", "ab-2", NOW + 10, "errored", "cron", 50, ("Declined", "no Funds")),
    Specimen("orders", "b-3", NOW + 20, "errored", "api", 500, ("ValueError", "no card"), {"env": "prod"}),
    Specimen("orders", "b-4", NOW + 30, "waiting", "cron", 1),
    Specimen("orders", "c-5", NOW + 40, "terminated", "api", 0, labels={"env": "test"}),
    Specimen("returns", "ab-6", NOW + 50, "running", labels={"env": "prod"}),
    Specimen("orders", "c-7", NOW + 60, labels={"env": "prod"}),
]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        pytest.param(Wanted(), "c-7 c-5 b-4 b-3 ab-2 ab-1", id="all"),
        pytest.param(Wanted(statuses=("errored",)), "b-3 ab-2", id="a status"),
        pytest.param(Wanted(statuses=("queued", "complete")), "c-7 ab-1", id="statuses"),
        pytest.param(Wanted(labels={"env": "prod"}), "c-7 b-3 ab-1", id="a label"),
        pytest.param(Wanted(labels={"env": "prod", "by": "ann"}), "ab-1", id="labels"),
        pytest.param(Wanted(labels={"env": "Prod"}), "", id="a label in capitals"),
        pytest.param(Wanted(id_prefix="ab"), "ab-2 ab-1", id="a prefix"),
        pytest.param(Wanted(id_prefix="ab-2"), "ab-2", id="a whole id"),
        pytest.param(Wanted(id_prefix="%"), "", id="a sign of like"),
        pytest.param(Wanted(version="acme-orders-version-1"), "c-7 c-5 b-4 b-3 ab-2 ab-1", id="a version"),
        pytest.param(Wanted(version="none"), "", id="a version that is not there"),
        pytest.param(Wanted(trigger="cron"), "b-4 ab-2", id="a trigger"),
        pytest.param(Wanted(error_name="Declined"), "ab-2", id="an error"),
        pytest.param(Wanted(error_name="declined"), "", id="an error in other letters"),
        pytest.param(Wanted(error_text="FUNDS"), "ab-2", id="a text of an error"),
        pytest.param(Wanted(error_text="no", error_name="ValueError"), "b-3", id="error and text"),
        pytest.param(Wanted(error_text="no", statuses=("complete",)), "", id="a text of what has no error"),
        pytest.param(Wanted(least_ms=500), "b-4 b-3", id="at least so long, or so far"),
        pytest.param(Wanted(most_ms=5), "c-5 ab-1", id="at most so long"),
        pytest.param(Wanted(least_ms=5, most_ms=50), "ab-2 ab-1", id="between"),
        pytest.param(Wanted(created_from=NOW + 30), "c-7 c-5 b-4", id="created then or later"),
        pytest.param(Wanted(created_to=NOW + 10), "ab-2 ab-1", id="created then or earlier"),
        pytest.param(Wanted(ended_from=NOW + 60), "b-3 ab-2", id="ended then or later"),
        pytest.param(Wanted(ended_to=NOW + 40), "c-5 ab-1", id="ended then or earlier"),
        pytest.param(
            Wanted(labels={"env": "prod"}, statuses=("errored", "queued"), trigger="api"), "c-7 b-3", id="together"
        ),
    ],
)
def test_search_finds_what_matches(opened: Callable[[], Side], wanted: Wanted, ids: str) -> None:
    """Each filter alone, and together: all is true of what is found."""
    side = opened()
    there = Population(side)
    for specimen in SOME:
        there.add(specimen)

    found = there.search(SearchInstances("acme", "orders", wanted, ASKED_AT, 10))

    assert " ".join(one.row.id for one in found.instances) == ids
    assert found.looked_to is None
    side.close()


def test_row_has_what_lists_show(opened: Callable[[], Side]) -> None:
    """Labels, the error of what is errored, the last records of what has begun and not ended."""
    side = opened()
    there = Population(side)
    for specimen in SOME:
        there.add(specimen)

    found = there.search(SearchInstances("acme", None, Wanted(), ASKED_AT, 10)).instances

    assert {one.row.id: one.labels for one in found if one.labels} == {s.id: s.labels for s in SOME if s.labels}
    assert {one.row.id: (one.error.name, one.error.message) for one in found if one.error} == {
        "ab-2": ("Declined", "no Funds"),
        "b-3": ("ValueError", "no card"),
    }
    assert {one.row.id: [record.kind for record in one.tail] for one in found if one.tail} == {
        "ab-6": ["created", "running"],
        "b-4": ["created", "running", "waiting"],
    }
    side.close()


@dataclass(frozen=True)
class Asking:
    """How a search goes through its pages. `few`: so many an index may have to be looked at whole; `part`: at once."""

    workflow: str | None
    limit: int
    ascending: bool
    look_ms: int
    few: int
    part: int


askings = st.builds(
    Asking,
    st.sampled_from(["orders", None]),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([0, 0, 3_600_000]),
    st.sampled_from([0, 0, 2]),
    st.sampled_from([1, 3, 5]),
)


@pytest.mark.usefixtures("small_parts")
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(populations(), wishes(), askings)
def test_pages_have_what_matches_once_whatever_comes_meanwhile(
    specimens: Sequence[Specimen], wanted: Wanted, asking: Asking
) -> None:
    """Page by page to the end, with instances that are created in between, exactly the oracle's rows come, in order."""
    _check_pages(open_sqlite()[0], specimens, wanted, asking)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.timeout(120)
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(populations(), wishes(), askings)
def test_pages_of_a_database_have_the_same(
    database: str, specimens: Sequence[Specimen], wanted: Wanted, asking: Asking
) -> None:
    """PostgreSQL finds what the oracle does, too."""
    postgres.query(database, postgres.EMPTY)
    _check_pages(open_postgres(database), specimens, wanted, asking)


def _check_pages(side: Side, specimens: Sequence[Specimen], wanted: Wanted, asking: Asking) -> None:
    there = Population(side)
    for number, specimen in enumerate(specimens):
        if number == len(specimens) // 2:
            there.renew()
        there.add(specimen)
    expected = there.expected(asking.workflow, wanted, ascending=asking.ascending)

    seen: list[str] = []
    after: tuple[int, int] | None = None
    for page in range(200):
        pages = (asking.limit, after, asking.ascending, asking.look_ms)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(search, "FEW", asking.few)
            patched.setattr(search, "_FIRST_PART", asking.part)
            found = there.search(SearchInstances("acme", asking.workflow, wanted, ASKED_AT, *pages))
        seen += [one.row.id for one in found.instances]
        assert len(found.instances) <= asking.limit
        if found.looked_to is None:
            break
        assert after is None or (found.looked_to > after if asking.ascending else found.looked_to < after)
        after = found.looked_to
        if page < 3:
            there.add(Specimen("orders", f"new-{page}", NOW + 100 + page, labels={"env": "a", "customer": "b"}))
    else:
        pytest.fail("the pages have no end")

    assert [id for id in seen if not id.startswith("new-")] == expected
    assert len(set(seen)) == len(seen)
    assert asking.ascending or not any(id.startswith("new-") for id in seen)
    side.close()


@pytest.mark.usefixtures("small_parts")
def test_search_without_time_says_how_far_it_has_looked(opened: Callable[[], Side]) -> None:
    """A page is short, or empty, and the next search goes on from where this one was."""
    side = opened()
    there = Population(side)
    for number in range(6):
        there.add(Specimen("orders", f"a-{number}", NOW + number, "errored", error=("ValueError", f"number {number}")))
    asked = SearchInstances("acme", "orders", Wanted(error_text="number 0"), ASKED_AT, 1, None, False, 0)

    empty = there.search(asked)
    found, after = [], empty.looked_to
    while after is not None:
        page = there.search(SearchInstances("acme", "orders", asked.wanted, ASKED_AT, 1, after, False, 0))
        found += [one.row.id for one in page.instances]
        after = page.looked_to

    assert (empty.instances, empty.looked_to) == ([], (NOW + 5, 6))
    assert found == ["a-0"]
    side.close()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("far_apart", [1, 100])
def test_search_without_time_leaves_nothing_out_in_any_workflow(
    opened: Callable[[], Side], far_apart: int, ascending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it got in one workflow, it goes on from where it has looked through all of them."""
    monkeypatch.setattr(search, "FEW", 0)
    side = opened()
    there = Population(side)
    for number in range(9):
        lasts_ms = 9 * (number % 3 == 0)
        there.add(Specimen("orders", f"o-{number}", NOW + 2 * number, "complete", lasts_ms=lasts_ms))
        there.add(Specimen("returns", f"r-{number}", NOW + 1 + far_apart * number, "complete", lasts_ms=9 - lasts_ms))
    wanted = Wanted(least_ms=5)

    seen: list[str] = []
    after: tuple[int, int] | None = None
    for _ in range(60):
        found = there.search(SearchInstances("acme", None, wanted, ASKED_AT, 1, after, ascending, 0))
        seen += [one.row.id for one in found.instances]
        after = found.looked_to
        if after is None:
            break

    assert seen == there.expected(None, wanted, ascending=ascending)
    side.close()


def test_search_holds_no_page_of_each_workflow() -> None:
    """A page of all workflows takes about as much memory as one of a single workflow."""
    side = open_sqlite()[0]
    there = Population(side)
    for number in range(20):
        name = f"w{number}"
        side.write([RegisterWorkflow("acme", name, name, "Class", "aa", name, f"{name}-1", NOW)])
    for number in range(400):
        there.add(Specimen(f"w{number % 20}", f"{number:03}" + "x" * 10_000, NOW + number))

    def taken(workflow: str | None) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        found = there.search(SearchInstances("acme", workflow, Wanted(), ASKED_AT, 20))
        assert len(found.instances) == 20
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    of_one, of_all = taken("w1"), taken(None)
    tracemalloc.stop()
    side.close()

    assert of_all < 4 * of_one


async def test_error_is_found_until_it_is_none(store: Store) -> None:
    """A restart takes the error away, and so does a deletion, at once."""
    wanted = Wanted(error_name="ValueError")
    await register(store)
    await create(store, "a")
    for _ in range(2):
        (turn,) = (await claim(store, await worker(store), at=NOW + 5)).turns
        await store.run(_failing(turn))
        before = await store.run(SearchInstances("acme", "orders", wanted, NOW, 9))
        await store.run(control("restart"))
        after = await store.run(SearchInstances("acme", "orders", wanted, NOW, 9))

        assert ([one.row.id for one in before.instances], after.instances) == (["a"], [])


def _failing(turn: Claim) -> Release:
    assert turn.history is not None
    failed = codec.to_row(Failed(NOW + 1, Failure("ValueError", "no")))
    return Release(turn.row, turn.turn, 1, turn.history[-1].seq, [failed], 0, "errored", None, NOW + 1, NOW + 1)


async def test_deleted_instance_is_not_found(store: Store) -> None:
    """Neither by its labels nor by anything else."""
    await register(store)
    await store.run(msgspec.structs.replace(creation("a"), labels={"by": "ann"}))
    found = [await store.run(SearchInstances("acme", "orders", Wanted(labels={"by": "ann"}), NOW, 9))]
    await store.run(DeleteInstance("acme", "orders", "a", NOW))

    found.append(await store.run(SearchInstances("acme", "orders", Wanted(labels={"by": "ann"}), NOW, 9)))

    assert [len(one.instances) for one in found] == [1, 0]


async def test_labels_are_set_once(store: Store) -> None:
    """A call that comes again changes nothing; one of a turn that is lost is refused."""
    turn = await held(store)
    first = SetLabels(turn.row, turn.turn, 1, {"a": "1"})
    await store.run(first)
    await store.run(SetLabels(turn.row, turn.turn, 2, {"a": "2"}))

    await store.run(first)

    assert await store.run(ReadLabels(turn.row)) == Labels({"a": "2"}, 2)
    with pytest.raises(TurnLost):
        await store.run(SetLabels(turn.row, turn.turn - 1, 3, {"a": "3"}))
    await store.run(control("terminate"))
    with pytest.raises(TurnLost):
        await store.run(SetLabels(turn.row, turn.turn, 3, {"a": "3"}))
