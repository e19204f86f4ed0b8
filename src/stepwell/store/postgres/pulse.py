"""What a store does by itself, on a connection of its own: it renews its lease, and looks what other processes did.

A process tells its own listeners of what it has written. What others have written is found here, within a second.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

import asyncpg

from stepwell.store.listeners import Listeners
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.backoff import delays
from stepwell.store.postgres.faults import is_loss, translate
from stepwell.store.postgres.hosts import RENEW, RETURN, host_name

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# Times that a lease is renewed before it would be over.
_BEATS = 4

# What is due is that of the snapshots that this store's workers have. `turn` and `seq - n` change when a record comes
# from outside, and not by a turn's own ones. A workflow that is no more has taken its instances along.
_LOOK = """
    with mine as (
        select row, snapshot
        from workers
        where host = $1
            and lease_until > 0
    )
    select 'due', min(next.due_at), null::bigint, null::bigint, null::bigint
    from (select distinct snapshot from mine) as s
    cross join lateral (
        select i.due_at
        from instances as i
        where i.snapshot = s.snapshot
            and i.due_at is not null
        order by i.due_at
        limit 1
    ) as next
    union all
    select 'lost', i.row, null, null, null
    from (
        select held.row
        from leases as holder
        join instances as held on held.owner = holder.row
        where holder.lease_until = 0
            and held.snapshot in (select snapshot from mine)
        limit 1
    ) as i
    union all
    select 'held', i.row, i.owner, i.turn, i.seq - i.n
    from mine
    join instances as i on i.owner = mine.row
    union all
    select 'watched', i.row, i.turn, i.seq, w.row
    from instances as i
    left join workflows as w on w.row = i.workflow
    where i.row = any($2::bigint[])
    """


class _Held(NamedTuple):
    """What an instance that a worker of this store holds looked like."""

    owner: int
    turn: int
    before: int


class Pulse:
    """Beats as long as the store is open."""

    def __init__(self, address: Address, host: int, lease_ms: int, listeners: Listeners) -> None:
        """`host` is the store's number; its lease is renewed for `lease_ms` from each beat on."""
        self._address = address
        self._host = host
        self._lease_ms = lease_ms
        self._listeners = listeners
        self._held: dict[int, _Held] = {}
        self._watched: dict[int, tuple[Any, ...]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        waits = delays()
        while True:
            try:
                connection = await self._address.connect("stepwell pulse")
            except Exception as error:  # whatever it is, without a pulse the store would be given up by the others
                logger.warning("the store's lease cannot be renewed: %s", translate(error, self._address.where))
                await asyncio.sleep(next(waits))
                continue
            try:
                await self._beat(connection)
            except Exception as error:  # as above
                log = logger.warning if is_loss(error) or connection.is_closed() else logger.exception
                log("the store's lease could not be renewed: %s", translate(error, self._address.where))
                await asyncio.sleep(next(waits))
            finally:
                connection.terminate()

    async def _beat(self, connection: "asyncpg.Connection[Any]") -> None:
        loop = asyncio.get_running_loop()
        every = min(LOOK_EVERY_S, self._lease_ms / 1000 / _BEATS)
        renew_at = loop.time()
        while True:
            if loop.time() >= renew_at:
                renew_at = loop.time() + self._lease_ms / 1000 / _BEATS
                await self._renew(connection)
            self._tell(await connection.fetch(_LOOK, self._host, self._listeners.watchers.rows))
            await asyncio.sleep(every)

    async def _renew(self, connection: "asyncpg.Connection[Any]") -> None:
        if await connection.fetchval(RENEW, self._host, self._lease_ms) is None:
            # So long away that others have forgotten this host: it is there again, under its number.
            await connection.execute(RETURN, self._host, self._lease_ms, host_name())

    def _tell(self, found: Iterable[Any]) -> None:
        held: dict[int, _Held] = {}
        watched: dict[int, tuple[Any, ...]] = {}
        for what, number, *more in found:
            match what:
                case "due" if number is not None:
                    self._listeners.instance_due(number)
                case "lost":
                    self._listeners.instance_due(0)
                case "held":
                    held[number] = _Held(*more)
                case "watched":
                    watched[number] = tuple(more)
        self._tell_holders(held)
        self._tell_watchers(watched)

    def _tell_holders(self, held: dict[int, _Held]) -> None:
        for row in {row for row in held | self._held if held.get(row) != self._held.get(row)}:
            holder = held.get(row) or self._held[row]
            self._listeners.instance_told(holder.owner, row)
        self._held = held

    def _tell_watchers(self, watched: dict[int, tuple[Any, ...]]) -> None:
        before = self._watched
        self._listeners.watchers.changed({row for row in watched | before if watched.get(row) != before.get(row)})
        self._watched = watched
