"""Waiting for an instance: until it has changed, or has ended."""

import asyncio
from contextlib import suppress

import msgspec

from stepwell.store import Store
from stepwell.store.operations import GetInstance, InstanceHistory, InstanceRow


async def wait_for_change(
    store: Store, asked: GetInstance, *, seen: int | None, timeout_s: float
) -> InstanceHistory | None:
    """Return when an instance has other records than those up to the seq `seen`, has ended, or the time is over.

    `seen` None: than it has now. Returns also when its workflow is deleted meanwhile. Where there was nothing to
    wait for, what was found is returned, as it was asked for. Raises WorkflowNotFound or InstanceNotFound.
    """
    found = await store.run(asked)
    row = found.row
    if row.ended_at is not None or seen not in (None, row.seq):
        return found
    changed = asyncio.Event()
    stop = store.watch(row, changed.set)
    try:
        # Looked at once more: what came before the watch began is told to nobody.
        now = (await store.run(msgspec.structs.replace(asked, known=row))).row
        if (now.row, now.seq) == (row.row, row.seq):
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
