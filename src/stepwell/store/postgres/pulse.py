"""What a store does by itself, on a connection of its own: it renews its lease, and hears what other processes did.

A process tells its own listeners of what it has written. What others have written they tell (`news.py`); what they did
not tell, or what did not arrive, is found by looking, now and then.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import asyncpg

from stepwell import __version__
from stepwell.clock import SystemClock
from stepwell.facts import fact
from stepwell.store.listeners import Calls, Listeners
from stepwell.store.postgres.address import Address
from stepwell.store.postgres.backoff import delays
from stepwell.store.postgres.clock_watch import ClockWatch
from stepwell.store.postgres.faults import is_loss, naming_losses, translate
from stepwell.store.postgres.hosts import RENEW, RETURN
from stepwell.store.postgres.news import CHANNEL, SEND, greeting, hear, texts
from stepwell.store.sql.hosts import host_name
from stepwell.store.sql.transaction import Tidings
from stepwell.store.tally import Tally

logger = logging.getLogger(__name__)

# How often it is looked what others have written: where they tell of it, and where nothing that is told arrives.
LOOK_EVERY_S = 4.0
LOOK_OFTEN_S = 1.0
# What is told is gathered for so long. The first word after a silence goes at once.
_GATHER_S = 0.005
# Times that a lease is renewed before it would be over.
_BEATS = 3

# What is due is that of the snapshots that this store's workers have; for what is lost it may start others. `turn` and
# `seq - n` change when a record comes from outside, and not by a turn's own ones. A workflow that is no more has taken
# its instances along.
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
        limit 1
    ) as i
    union all
    select 'others', count(*), null, null, null
    from hosts
    where row <> $1
        and lease_until > cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
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

    def __init__(
        self, address: Address, host: int, lease_ms: int, listeners: Listeners, tally: Tally | None = None
    ) -> None:
        """`host` is the store's number; its lease is renewed for `lease_ms` from each beat on."""
        self._tally = tally
        self._address = address
        self._host = host
        self._lease_ms = lease_ms
        self._listeners = listeners
        self._clocks = ClockWatch(SystemClock().now)
        self._held: dict[int, _Held] = {}
        self._watched: dict[int, tuple[Any, ...]] = {}
        # How long to wait before the next connection; from the beginning when one has been of use.
        self._waits = delays()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # Whether there may be anybody to tell, whether what is told arrives, and what is still to be told.
        self._has_others = True
        self._hears = False
        self._tidings = Tidings()
        self._has_tidings = asyncio.Event()
        # When the lease is over unless it is renewed, by the loop's clock; 0: it has not been renewed yet.
        self._over_at = 0.0

    async def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    def tell(self, tidings: Tidings) -> None:
        """Tell the other hosts of what this one has written; from any thread."""
        if self._has_others and self._loop is not None:
            self._loop.call_soon_threadsafe(self._gather, tidings)

    def _gather(self, tidings: Tidings) -> None:
        self._tidings.add(tidings)
        self._has_tidings.set()

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._address.connect("stepwell pulse")
            except Exception as error:  # whatever it is, without a pulse the store would be given up by the others
                logger.warning(
                    "the store's lease cannot be renewed: %s",
                    translate(error, self._address.where),
                    extra=fact("lease.unrenewed", error=translate(error, self._address.where)),
                )
                await asyncio.sleep(next(self._waits))
                continue
            try:
                with naming_losses(connection):
                    await self._beat(connection)
            except Exception as error:  # as above
                log = logger.warning if is_loss(error) else logger.exception
                told = translate(error, self._address.where)
                log("the store's lease could not be renewed: %s", told, extra=fact("lease.unrenewed", error=told))
                await asyncio.sleep(next(self._waits))
            finally:
                connection.terminate()

    async def _beat(self, connection: "asyncpg.Connection[Any]") -> None:
        time = asyncio.get_running_loop().time
        channel = await connection.fetchval(CHANNEL)
        self._hears = False
        if self._over_at:
            # What could not be told since the last connection, others have found by looking. What a store has written
            # before its first one is young.
            self._tidings = Tidings()
            self._has_tidings.clear()
        await connection.add_listener(channel, self._heard)
        await connection.execute(SEND, channel, [greeting(self._host)])
        renew_at = look_at = time()
        while True:
            if (now := time()) >= renew_at:
                renew_at = now + self._lease_ms / 1000 / _BEATS
                await self._renew(connection)
                self._waits = delays()
                if now >= self._over_at:
                    # The workers of this host have claimed nothing since: they are told of what there is.
                    look_at = now
                    self._lost()
                self._over_at = now + self._lease_ms / 1000
            if time() >= look_at:
                self._tell(await connection.fetch(_LOOK, self._host, self._listeners.watchers.rows))
                look_at = time() + (LOOK_EVERY_S if self._hears else LOOK_OFTEN_S)
            # Not `wait_for`: before Python 3.12 it may lose the cancellation that ends this.
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(renew_at, look_at)):
                    await self._has_tidings.wait()
            if self._has_tidings.is_set():
                await self._send(connection, channel)

    async def _send(self, connection: "asyncpg.Connection[Any]", channel: str) -> None:
        tidings, self._tidings = self._tidings, Tidings()
        self._has_tidings.clear()
        await connection.execute(SEND, channel, texts(self._host, tidings))
        await asyncio.sleep(_GATHER_S)

    def _heard(self, _: object, pid: int, channel: str, text: object) -> None:  # noqa: ARG002 - asyncpg's signature
        sender = hear(str(text), self._host, self._listeners)
        self._hears |= sender == self._host
        self._has_others |= sender not in (self._host, None)

    async def _renew(self, connection: "asyncpg.Connection[Any]") -> None:
        self._clocks.ask()
        theirs = await connection.fetchval(RENEW, self._host, self._lease_ms)
        if theirs is not None:
            self._clocks.hear(theirs)
        else:
            # So long away that others have forgotten this host: it is there again, under its number.
            await connection.execute(RETURN, self._host, self._lease_ms, host_name(), __version__)

    def _lost(self) -> None:
        if self._over_at and self._tally is not None:
            self._tally.leases_lost.add()

    def _tell(self, found: Iterable[Any]) -> None:
        held: dict[int, _Held] = {}
        watched: dict[int, tuple[Any, ...]] = {}
        tidings = Tidings()
        for what, number, *more in found:
            match what:
                case "due" if number is not None:
                    tidings.due(number)
                case "lost":
                    tidings.due(0)
                case "others":
                    self._has_others = number > 0
                case "held":
                    held[number] = _Held(*more)
                case "watched":
                    watched[number] = tuple(more)
        for row in _changed(self._held, held):
            tidings.tell((held.get(row) or self._held[row]).owner, row)
        tidings.changed.update(_changed(self._watched, watched))
        self._held, self._watched = held, watched
        calls = Calls()
        self._listeners.hear(tidings, calls)
        calls.make()


def _changed(before: Mapping[int, object], now: Mapping[int, object]) -> set[int]:
    """Return the rows of which something else is known than before."""
    return {row for row in {*before, *now} if before.get(row) != now.get(row)}
