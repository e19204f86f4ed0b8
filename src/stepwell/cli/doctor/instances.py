"""The instances of a store: why they do not go on, whether rows say what histories say, and what is counted."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from stepwell import limits
from stepwell.cli.doctor.finding import Finding, fault, many, ok, warning
from stepwell.cli.stores import with_store
from stepwell.core import why
from stepwell.stalls import Asked, Census, Seen, look_again, mend, take_census
from stepwell.store import Store
from stepwell.store.flow_operations import GiveSlots
from stepwell.store.operations import Operation
from stepwell.store.sql.threads import Reading
from stepwell.store.upkeep_operations import FindMiscounts, Miscount, Recount

A = TypeVar("A")

# Looking through a larger store takes minutes.
LOOKED_THROUGH_BYTES = 2 * 2**30
# What is about to go on has gone on by then.
_PAUSE_S = 2.0
_MOST_SHOWN = 10
# By the first reason of an instance: it ...
_WORDS: dict[type[why.Reason], str] = {
    why.EventAwaited: "wait for an event",
    why.Sleeping: "sleep",
    why.RetryAwaited: "wait for a retry",
    why.AttemptRunning: "run a step",
    why.WorkerBlocked: "are of a worker that hangs",
    why.CodeRunning: "run code outside of steps",
    why.Queued: "are due",
    why.SlotAwaited: "wait for a slot",
    why.SharedSlotAwaited: "wait for a slot of a shared limit",
    why.NoWorker: "have no worker",
    why.NotLoaded: "have no class",
    why.TurnsLost: "have lost workers",
    why.Resting: "rest until they are tried again",
    why.PausedSince: "are paused",
    why.Pausing: "are about to be paused",
    why.RollingBack: "are rolled back",
}
_COUNTED = {
    "ended": "instances of workflow {named} that ended as {part}",
    "slots": "slots taken of workflow {named}",
    "queued": "instances of workflow {named} that wait for a slot",
    "key": "slots taken of the key {part!r} of workflow {named}",
    "limit": "slots taken of the shared limit {named}",
}
_RECOUNT = "`stepwell doctor --fix` counts anew"


def look_at_instances(reading: Reading, url: str, *, with_ended: bool, is_served: bool) -> Iterator[Finding]:
    """Yield how the instances of a store are, which only `reading` asks; `url` names it to whoever puts things right.

    `with_ended`: those that have ended are looked at, too. `is_served`: somebody runs what is due.
    """
    asked = _Asked(reading)
    census, lasting = asyncio.run(_look(asked, with_ended=with_ended, is_served=is_served))
    yield _summary(census, with_ended=with_ended, is_served=is_served)
    for one in lasting[:_MOST_SHOWN]:
        yield _of_instance(one, url)
    if rest := lasting[_MOST_SHOWN:]:
        said = f"{len(rest):,} more are stalled, or not what they should be"
        yield fault("instances", said, "`stepwell doctor --fix` puts right what it can", _mending(rest, url))
    miscounts = asyncio.run(asked.run(FindMiscounts()))
    yield _counts(miscounts, url)


class _Asked:
    """What only reads a store, asked on an event loop that has nothing else to do: it waits meanwhile."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def run(self, operation: Operation[A]) -> A:
        """Do an operation that reads."""
        outcome: Any = self._reading.outcome(operation)
        if isinstance(outcome, Exception):
            raise outcome
        answer: A = outcome
        return answer


async def _look(asked: Asked, *, with_ended: bool, is_served: bool) -> tuple[Census, list[Seen]]:
    """Return what was counted, and what was wrong twice."""
    census = await take_census(asked, _now(), limits.HIBERNATE_AFTER_MS, with_ended=with_ended)
    wrong = census.wrong
    if not is_served:
        wrong = [one for one in map(_without_server, wrong) if one.stall is not None or not one.is_fold]
    elif wrong:
        await asyncio.sleep(_PAUSE_S)
        wrong = await look_again(asked, wrong, _now(), limits.HIBERNATE_AFTER_MS)
    return census, wrong


def _without_server(seen: Seen) -> Seen:
    """Return what is wrong with an instance while nobody runs what is due."""
    is_unclaimed = seen.stall is not None and seen.stall.is_unclaimed
    return replace(seen, stall=None) if is_unclaimed else seen


def _summary(census: Census, *, with_ended: bool, is_served: bool) -> Finding:
    said = [f"{count:,} {_WORDS[reason]}" for reason, count in census.reasons.most_common()]
    if with_ended:
        said.append(f"{census.ended:,} have ended")
    if not is_served and census.reasons:
        said.append("no server runs them")
    unfinished = "instance" if with_ended else "unfinished instance"
    return ok("instances", ", ".join([many(census.looked_at, unfinished), *(said if census.looked_at else [])]))


def _of_instance(seen: Seen, url: str) -> Finding:
    finding = warning if seen.is_fold else fault
    return finding("instances", seen.said, seen.remedy, _mending([seen], url))


def _mending(seen: Sequence[Seen], url: str) -> Callable[[], str] | None:
    mendable = [one for one in seen if one.is_mendable]
    if not mendable:
        return None

    async def work(store: Store) -> int:
        return sum([await mend(store, one, _now()) for one in mendable])

    def do() -> str:
        done = with_store(url, work)
        return f"{many(done, 'instance')} put right" if done else ""

    return do


def _counts(wrong: Sequence[Miscount], url: str) -> Finding:
    if not wrong:
        return ok("counts", "all that is counted is there")
    first = wrong[0]
    named = _COUNTED[first.what].format(named=first.named, part=first.part)
    said = f"{many(len(wrong), 'count')} wrong: {first.counted:,} {named}, and {first.there:,} are"

    async def work(store: Store) -> int:
        changed = await store.run(Recount(_now()))
        await store.run(GiveSlots(_now()))
        return changed

    def do() -> str:
        changed = with_store(url, work)
        return f"{many(changed, 'count')} put right" if changed else ""

    return fault("counts", said, _RECOUNT, do)


def _now() -> int:
    return time.time_ns() // 1_000_000
