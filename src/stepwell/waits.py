"""Waiting for an instance: until it has changed, or has ended."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from stepwell.store import Store
from stepwell.store.operations import GetInstance, InstanceHistory, InstanceRow


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody has seen of an instance: the seq of its last record, and the status, if that was all."""

    seq: int
    status: str | None = None

    def is_still(self, row: InstanceRow) -> bool:
        """Tell whether he would see the same now."""
        return self.seq == row.seq if self.status is None else self.status == row.status


async def wait_for_change(
    store: Store, asked: GetInstance, *, seen: Seen | None, timeout_s: float, of_turns: bool = True
) -> InstanceHistory | None:
    """Return when an instance is no more as it was `seen`, has ended, or the time is over.

    `seen` None: than it is now. Not `of_turns`: what its turns record as they go on does not count, only that it
    rests, or what comes from outside. Returns also when its workflow is deleted meanwhile. Where there was nothing to
    wait for, what was found is returned, as it was asked for. Raises WorkflowNotFound or InstanceNotFound.
    """
    found = await store.run(asked)
    row = found.row
    if row.ended_at is not None or not (seen is None or seen.is_still(row)):
        return found
    changed = asyncio.Event()
    stop = store.watch(row, changed.set, of_turns=of_turns)
    try:
        # Looked at once more: what came before the watch began is told to nobody.
        now = (await store.run(msgspec.structs.replace(asked, known=row))).row
        before = Seen(row.seq, None if of_turns else row.status)
        if now.row == row.row and before.is_still(now):
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), timeout_s)
    finally:
        stop()
    return None


async def wait_for_end(store: Store, instance: InstanceRow, timeout_s: float | None = None) -> InstanceHistory:
    """Return an instance, without steps, when it has ended; what its turns record until then costs nothing here.

    Raises TimeoutError where it has not ended when the time is over (None: never), and WorkflowNotFound or
    InstanceNotFound where it is deleted meanwhile.
    """
    asked = GetInstance(instance.account, instance.workflow, instance.id, with_steps=False)
    changed = asyncio.Event()
    stop = store.watch(instance, changed.set, of_turns=False)
    try:
        async with asyncio.timeout(timeout_s):
            # Looked at behind it: what came before the watch began is told to nobody.
            while (found := await store.run(asked)).row.ended_at is None:
                await changed.wait()
                changed.clear()
    finally:
        stop()
    return found
