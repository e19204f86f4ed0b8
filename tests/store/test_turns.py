"""The contract of every store: what a turn writes, the fence, and sending twice."""

import pytest

from stepwell.errors import OutOfOrder, StoreUnavailable, TurnLost
from stepwell.store import Store
from stepwell.store.operations import Claim, EndLease
from tests.store.scenes import (
    NOW,
    LossyStore,
    claim,
    commit,
    create,
    ending,
    happening,
    held,
    instance,
    kinds,
    outcomes,
    register,
    release,
    sleeping,
    started,
    succeeded,
    waiting,
    worker,
)


async def _taken_over(store: Store) -> tuple[Claim, Claim]:
    """Return an old turn that has been fenced out, and the one that followed."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    (old,) = (await claim(store, dead)).turns
    await store.run(EndLease(dead))
    (new,) = (await claim(store, await worker(store))).turns
    return old, new


# ---- commits


async def test_commit_appends_in_order(store: Store) -> None:
    """Records follow each other as they were committed, and the row tells the same."""
    turn = await held(store, "a")

    first = await store.run(commit(turn, started("one"), step_count=1))
    second = await store.run(commit(turn, succeeded("one"), started("two"), n=2, seen=3, step_count=2))

    found = await instance(store, "a")
    assert (first.seq, second.seq) == (3, 5)
    assert [(record.seq, record.kind) for record in found.records] == [
        (1, "created"),
        (2, "running"),
        (3, "attempt_started"),
        (4, "step_succeeded"),
        (5, "attempt_started"),
    ]
    assert (found.row.seq, found.row.step_count, found.row.modified_at) == (5, 2, NOW + 1)


async def test_commits_need_not_wait_for_each_other(store: Store) -> None:
    """A turn may commit before it has the last answer; its own records are not from outside."""
    turn = await held(store, "a")

    answers = await outcomes(store, [commit(turn, started(f"s{number}"), n=number, seen=2) for number in range(1, 6)])

    assert [(answer.seq, answer.outside) for answer in answers] == [(seq, []) for seq in range(3, 8)]


async def test_commit_sent_twice_is_done_once(store: Store) -> None:
    """Sending a commit again writes nothing and is answered as if it had been the first."""
    turn = await held(store, "a")
    await store.run(commit(turn, started(), succeeded(), step_count=1))

    again = await store.run(commit(turn, started(), succeeded(), step_count=1))

    assert again.seq == 4
    assert await kinds(store, "a") == ["created", "running", "attempt_started", "step_succeeded"]


async def test_commit_sent_again_with_more_writes_only_the_rest(store: Store) -> None:
    """Records that are there already are passed over, those after them are written."""
    turn = await held(store, "a")
    await store.run(commit(turn, started("one"), succeeded("one"), step_count=1))

    again = await store.run(commit(turn, started("one"), succeeded("one"), started("two"), sleeping(), step_count=3))

    found = await instance(store, "a")
    assert again.seq == 6
    assert [record.kind for record in found.records[2:]] == [
        "attempt_started",
        "step_succeeded",
        "attempt_started",
        "sleep_started",
    ]
    assert found.row.step_count == 3


async def test_older_commit_sent_again_is_done_already(store: Store) -> None:
    """A commit that others have followed is not written again."""
    turn = await held(store, "a")
    await store.run(commit(turn, started("one"), step_count=1))
    await store.run(commit(turn, started("two"), n=2, seen=3, step_count=2))

    again = await store.run(commit(turn, started("one"), step_count=1))

    assert again.seq == 4
    assert (await instance(store, "a")).row.step_count == 2


async def test_commit_with_a_gap_is_refused(store: Store) -> None:
    """A commit whose predecessor is missing is not written: a history has no holes."""
    turn = await held(store, "a")

    with pytest.raises(OutOfOrder):
        await store.run(commit(turn, succeeded(), n=2, seen=3))

    assert await kinds(store, "a") == ["created", "running"]


async def test_reply_lost_after_the_commit_costs_nothing(store: Store) -> None:
    """When the answer to a commit is lost, sending it again gives the answer and writes nothing."""
    turn = await held(store, "a")
    with pytest.raises(StoreUnavailable):
        await LossyStore(store).run(commit(turn, started(), succeeded(), step_count=1))

    answer = await store.run(commit(turn, started(), succeeded(), step_count=1))

    assert answer.seq == 4
    assert await kinds(store, "a") == ["created", "running", "attempt_started", "step_succeeded"]


async def test_commit_tells_what_came_from_outside(store: Store) -> None:
    """A turn hears with its next commit of events that came since it last looked, each one as stored."""
    turn = await held(store, "a")
    await store.run(happening("a", payload="1"))
    await store.run(happening("a", payload="2"))

    first = await store.run(commit(turn, started("one"), seen=2))
    second = await store.run(commit(turn, started("two"), n=2, seen=first.seq))

    assert [(record.kind, record.value, record.seq) for record in first.outside] == [
        ("event_received", "1", 3),
        ("event_received", "2", 4),
    ]
    assert (first.seq, second.seq, second.outside) == (5, 6, [])


async def test_commit_sent_again_tells_what_came_from_outside(store: Store) -> None:
    """What the lost answer told is told again."""
    turn = await held(store, "a")
    await store.run(happening("a", payload="1"))
    await store.run(commit(turn, started(), seen=2))

    again = await store.run(commit(turn, started(), seen=2))

    assert [record.seq for record in again.outside] == [3]


async def test_event_between_two_commits_that_do_not_wait_is_told(store: Store) -> None:
    """A turn that has not heard of its own last commit yet hears only of what others wrote."""
    turn = await held(store, "a")
    first = store.run(commit(turn, started("one"), seen=2))
    event = store.run(happening("a"))
    second = store.run(commit(turn, started("two"), n=2, seen=2))

    assert (await first).outside == []
    assert await event == 4
    assert [record.seq for record in (await second).outside] == [4]


# ---- releases


async def test_release_parks_the_instance(store: Store) -> None:
    """A turn ends with its last records, a status, and the moment of the next turn, all in one."""
    turn = await held(store, "a")

    answer = await store.run(release(turn, sleeping(), waiting(), step_count=1, due_at=NOW + 1_000))

    found = await instance(store, "a")
    assert (answer.done, answer.seq, answer.outside) == (True, 4, [])
    assert (found.row.status, found.row.due_at, found.row.step_count) == ("waiting", NOW + 1_000, 1)
    assert [record.kind for record in found.records[2:]] == ["sleep_started", "waiting"]


async def test_release_may_follow_commits_that_it_knows_of(store: Store) -> None:
    """A turn's own commits do not stand in the way of its release."""
    turn = await held(store, "a")
    committed = await store.run(commit(turn, started()))

    answer = await store.run(release(turn, n=2, seen=committed.seq))

    assert (answer.done, answer.seq) == (True, 4)


async def test_release_sent_twice_is_done_once(store: Store) -> None:
    """Sending a release again writes nothing and is answered as if it had been the first."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 1_000))

    again = await store.run(release(turn, due_at=NOW + 1_000))

    assert (again.done, again.seq) == (True, 3)
    assert await kinds(store, "a") == ["created", "running", "waiting"]


async def test_reply_lost_after_the_release_costs_nothing(store: Store) -> None:
    """When the answer to a release is lost on the way, sending it again finds it done, event or not."""
    turn = await held(store, "a")
    with pytest.raises(StoreUnavailable):
        await LossyStore(store).run(release(turn, due_at=NOW + 1_000))
    await store.run(happening("a"))

    again = await store.run(release(turn, due_at=NOW + 1_000))

    assert again.done is True
    assert (await instance(store, "a")).row.due_at == NOW


async def test_release_writes_what_a_lost_commit_had_not(store: Store) -> None:
    """A release may repeat the records of a commit whose fate was unknown; they are there once."""
    turn = await held(store, "a")
    with pytest.raises(StoreUnavailable):
        await LossyStore(store).run(commit(turn, started(), succeeded(), step_count=1))

    answer = await store.run(release(turn, started(), succeeded(), waiting(), step_count=1))

    assert answer.done is True
    assert await kinds(store, "a") == ["created", "running", "attempt_started", "step_succeeded", "waiting"]


async def test_release_in_place_of_other_records_is_refused(store: Store) -> None:
    """An instance does not end without the record of its end: its numbers are those of something else already."""
    turn = await held(store, "a")
    await store.run(commit(turn, started(), step_count=1))

    with pytest.raises(OutOfOrder):
        await store.run(ending(turn, n=1, seen=3, step_count=1))

    assert await kinds(store, "a") == ["created", "running", "attempt_started"]


@pytest.mark.parametrize("value", ["\0", "\x1a0", "\U0001f600\x1a"])
async def test_any_character_survives_a_commit(store: Store, value: str) -> None:
    """What a turn writes is read as it was written, control characters and all."""
    turn = await held(store, "a")

    await store.run(commit(turn, succeeded(value=value)))

    assert (await instance(store, "a")).records[-1].value == value


async def test_release_with_a_gap_is_refused(store: Store) -> None:
    """A release whose turn has a commit missing writes nothing and lets nothing go."""
    turn = await held(store, "a")

    with pytest.raises(OutOfOrder):
        await store.run(release(turn, n=3, seen=4))

    assert (await instance(store, "a")).row.status == "running"


async def test_no_wakeup_is_lost(store: Store) -> None:
    """A turn that did not see an event cannot park over it: it is told the event and writes nothing."""
    turn = await held(store, "a")
    await store.run(happening("a", payload='"yes"'))

    refused = await store.run(release(turn, due_at=NOW + 3_600_000))

    found = await instance(store, "a")
    assert (refused.done, refused.seq) == (False, 3)
    assert [(record.kind, record.value, record.seq) for record in refused.outside] == [("event_received", '"yes"', 3)]
    assert (found.row.status, found.row.due_at, found.row.seq) == ("running", None, 3)
    assert [record.kind for record in found.records] == ["created", "running", "event_received"]


async def test_turn_that_has_seen_the_event_may_park(store: Store) -> None:
    """A refused turn looks at what it was told and parks then."""
    turn = await held(store, "a")
    await store.run(happening("a"))
    refused = await store.run(release(turn, due_at=NOW + 100))

    answer = await store.run(release(turn, due_at=NOW + 100, seen=refused.seq))

    assert (answer.done, answer.seq) == (True, 4)


async def test_turn_that_ends_takes_no_notice_of_events(store: Store) -> None:
    """An instance that is done ends, also where an event came that nobody will see."""
    turn = await held(store, "a")
    await store.run(happening("a"))

    answer = await store.run(ending(turn, value='"done"'))

    found = await instance(store, "a")
    assert answer.done is True
    assert (found.row.status, found.row.due_at, found.row.ended_at) == ("complete", None, NOW + 1)
    assert [record.kind for record in found.records] == ["created", "running", "event_received", "completed"]


# ---- the fence


async def test_fenced_out_turn_can_write_nothing(store: Store) -> None:
    """When another turn has begun, no commit and no release of the old one is recorded."""
    old, new = await _taken_over(store)

    results = await outcomes(store, [commit(old, started()), release(old), ending(old)])

    assert [type(result) for result in results] == [TurnLost, TurnLost, TurnLost]
    assert (results[0].row, results[0].turn) == (new.row, 1)
    found = await instance(store, "a")
    assert [record.kind for record in found.records] == ["created", "running", "running"]
    assert (found.row.status, found.row.turn) == ("running", 2)


async def test_turn_after_a_fenced_one_goes_on(store: Store) -> None:
    """What the old turn tries does not disturb the new one."""
    old, new = await _taken_over(store)
    await outcomes(store, [commit(old, started()), release(old)])

    answer = await store.run(commit(new, started(), seen=3))

    assert (answer.seq, answer.outside) == (4, [])


async def test_resend_from_a_fenced_out_turn_is_refused(store: Store) -> None:
    """A turn that lost its instance hears so, even for what it had written before."""
    await register(store)
    await create(store, "a")
    dead = await worker(store)
    (old,) = (await claim(store, dead)).turns
    await store.run(commit(old, started()))
    await store.run(EndLease(dead))
    await claim(store, await worker(store))

    with pytest.raises(TurnLost):
        await store.run(commit(old, started()))


async def test_turn_that_was_let_go_can_write_nothing_more(store: Store) -> None:
    """A release is the end of its turn, although no other turn has begun yet."""
    turn = await held(store, "a")
    await store.run(release(turn, due_at=NOW + 9))

    results = await outcomes(store, [commit(turn, started(), n=2, seen=3), release(turn, n=2, seen=3)])

    assert [type(result) for result in results] == [TurnLost, TurnLost]
    assert await kinds(store, "a") == ["created", "running", "waiting"]


async def test_commit_before_a_release_can_still_be_sent_again(store: Store) -> None:
    """A commit that arrives twice, the second time after the release, was done."""
    turn = await held(store, "a")
    await store.run(commit(turn, started()))
    await store.run(release(turn, n=2, seen=3))

    again = await store.run(commit(turn, started()))

    assert again.seq == 4


async def test_turn_of_an_unknown_instance_is_lost(store: Store) -> None:
    """A row that is not there owns no turn."""
    turn = Claim(999, 1, 1, "acme", "orders", "a", "v", NOW, 0)

    results = await outcomes(store, [commit(turn, started()), release(turn)])

    assert [type(result) for result in results] == [TurnLost, TurnLost]


async def test_ended_lease_alone_does_not_fence(store: Store) -> None:
    """Until somebody takes the instance, a worker that is slow rather than dead may finish its turn."""
    await register(store)
    await create(store, "a")
    slow = await worker(store)
    (turn,) = (await claim(store, slow)).turns
    await store.run(EndLease(slow))

    answer = await store.run(ending(turn))

    assert answer.done is True
    assert (await claim(store, await worker(store))).turns == []
