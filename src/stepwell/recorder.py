"""Sends the records of one turn to the store, in order, and says when they are durable.

Commits are pipelined. When the store refuses one, or its answer is lost, everything that is not acknowledged is sent
again as one commit: (turn, n) makes sending twice the same as once. What was sent behind it is, too, whatever was
answered: each commit takes what came from outside before those in front of it as told by theirs.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context

from msgspec import Struct

from stepwell.clock import Clock, sleep_ms
from stepwell.core.instance import Status
from stepwell.core.records import OUTCOMES, RESULTS, AttemptStarted, Record, Recorded, RollbackStarted
from stepwell.errors import OutOfOrder, StoreUnavailable, TurnLost
from stepwell.facts import fact_of
from stepwell.store import Store, codec
from stepwell.store.operations import Claim, Commit, Committed, RecordRow, Release

logger = logging.getLogger(__name__)

RESEND_AFTER_MS = 1_000

# Author code waits for these.
_URGENT = (*RESULTS, RollbackStarted)


class Ending(Struct, frozen=True):
    """How a turn leaves its instance. `due_at` None: it needs no further turn; `ended_at`: it has ended."""

    status: Status
    due_at: int | None
    ended_at: int | None = None


class RecorderEvents(Struct, frozen=True):
    """What a recorder tells its turn.

    `heard`: these records are durable, and those came from outside; both at once, so that neither is acted upon
    without the other.
    """

    heard: Callable[[Sequence[Record], Sequence[Recorded]], None]
    lost: Callable[[], None]
    broken: Callable[[BaseException], None]


class Recorder:
    """The only one that writes for a turn."""

    def __init__(self, store: Store, claim: Claim, clock: Clock, events: RecorderEvents) -> None:
        self._store = store
        self._claim = claim
        self._clock = clock
        self._events = events
        self._n = claim.n
        self._acknowledged_n = claim.n
        self._seq = 0
        self._outside_seq = 0
        self._step_count = 0
        self._unacknowledged: list[Record] = []
        self._in_flight = 0
        self._resending = False
        # Somebody has been told that the store refuses; once is enough.
        self._has_complained = False
        self._stopped = False
        # What the store will not take, whatever is sent again.
        self._refusal: Exception | None = None
        self._idle: list[asyncio.Future[None]] = []

    def begin(self, seq: int, step_count: int) -> None:
        """Start after the history up to this seq, which has so many steps, has been read."""
        self._seq = self._outside_seq = seq
        self._step_count = step_count

    @property
    def is_busy(self) -> bool:
        """Tell whether something is not acknowledged yet."""
        return bool(self._unacknowledged) or self._in_flight > 0

    def check(self) -> None:
        """Raise TurnLost if the turn is lost, or closed; or what the store has refused for good."""
        if self._refusal is not None:
            raise self._refusal
        if self._stopped:
            raise TurnLost(self._claim.row, self._claim.turn)

    def record(self, records: Sequence[Record], step_count: int, *, may_wait: bool = False) -> None:
        """Append records to the history; the turn is told when they are durable.

        `may_wait`: they go with what comes in the rest of this pass of the loop.
        """
        if self._stopped:
            return
        self._step_count = step_count
        is_first = not self._has_unsent
        self._unacknowledged.extend(records)
        if self._resending:
            return
        if not may_wait:
            self._send()
        elif is_first:
            asyncio.get_running_loop().call_soon(self._send_what_waits, context=Context())

    def refresh(self) -> None:
        """Ask for records from outside."""
        if not self._stopped and not self._resending:
            self._send(urgent=True)

    def durable(self) -> asyncio.Future[None]:
        """Return a future that is done when everything recorded so far is durable, or the turn is lost."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(future)
        self._wake_idle()
        return future

    async def release(self, records: Sequence[Record], step_count: int, ending: Ending) -> bool:
        """End the turn with these records. False: refused, as records came from outside; they are handed over.

        Raises TurnLost, or what the store has refused for good.
        """
        while True:
            await self.durable()
            self.check()
            try:
                released = await self._store.run(self._release(records, step_count, ending))
            except StoreUnavailable as error:
                self._complain(error)
                await sleep_ms(self._clock, RESEND_AFTER_MS)
                continue
            self._seq = released.seq
            if released.outside:
                self._events.heard([], self._news(released.outside))
            return released.done

    def stop(self) -> None:
        """Send nothing more and tell nothing more."""
        self._stopped = True
        self._wake_idle()

    def _release(self, records: Sequence[Record], step_count: int, ending: Ending) -> Release:
        return Release(
            self._claim.row,
            self._claim.turn,
            self._n,
            self._seq,
            [codec.to_row(record) for record in records],
            step_count,
            ending.status,
            ending.due_at,
            ending.ended_at,
            self._clock.now(),
        )

    def _send_what_waits(self) -> None:
        if not self._stopped and not self._resending and self._has_unsent:
            self._send()

    @property
    def _has_unsent(self) -> bool:
        return len(self._unacknowledged) > self._under_way

    @property
    def _under_way(self) -> int:
        """How many records have been sent and are not acknowledged: the first of those that are not."""
        return self._n - self._acknowledged_n

    def _send(self, *, urgent: bool = False) -> None:
        """Send what has not been sent."""
        records = self._unacknowledged[self._under_way :]
        kinds = set(map(type, records))
        # What is on its way counts as seen: anything from outside before it comes with its own answer.
        seen = self._seq + self._under_way
        commit = Commit(
            self._claim.row,
            self._claim.turn,
            self._n,
            seen,
            [codec.to_row(record) for record in records],
            self._step_count,
            self._clock.now(),
            urgent or not kinds.isdisjoint(_URGENT),
            not kinds.isdisjoint(OUTCOMES),
            AttemptStarted in kinds and any(isinstance(one, AttemptStarted) and one.rollback for one in records),
            Status.ROLLING_BACK if RollbackStarted in kinds else None,
        )
        self._n += len(records)
        self._in_flight += 1
        answer = self._store.run(commit)
        # An empty context: this callback is not work of the author's task that caused the commit.
        answer.add_done_callback(lambda done: self._answered(done, len(records)), context=Context())

    def _answered(self, answer: asyncio.Future[Committed], count: int) -> None:
        self._in_flight -= 1
        if self._stopped:
            # Looking at the error keeps asyncio from reporting it.
            answer.exception()
            return
        try:
            committed = answer.result()
            # Behind one whose answer was lost it does not tell what came from outside before that: both are sent again.
            if not self._resending:
                self._take(committed, count)
        except TurnLost:
            self.stop()
            self._events.lost()
        except (StoreUnavailable, OutOfOrder) as error:
            self._resending = True
            self._complain(error)
        except Exception as error:  # a defect must end this turn, not the loop
            self._refusal = error
            self.stop()
            self._events.broken(error)
        # The commits behind a refused one are refused too; when all are answered, all is sent again in order.
        if self._resending and self._in_flight == 0 and not self._stopped:
            self._clock.call_at(self._clock.now() + RESEND_AFTER_MS, self._resend)

    def _take(self, committed: Committed, count: int) -> None:
        self._has_complained = False
        self._seq = max(self._seq, committed.seq)
        self._acknowledged_n += count
        acknowledged = self._unacknowledged[:count]
        del self._unacknowledged[:count]
        self._events.heard(acknowledged, self._news(committed.outside))
        self._wake_idle()

    def _news(self, rows: list[RecordRow]) -> list[Recorded]:
        """Return what is new among records from outside: pipelined commits are answered with the same ones."""
        news = [codec.from_row(row) for row in rows if row.seq > self._outside_seq]
        if rows:
            self._outside_seq = max(self._outside_seq, rows[-1].seq)
        return news

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning(
                "the store refuses to write for %s/%s, and is asked again each second: %s",
                self._claim.workflow,
                self._claim.id,
                error,
                extra=fact_of(self._claim, "store.refused", error=error),
            )

    def _resend(self) -> None:
        if self._stopped:
            return
        self._resending = False
        self._n = self._acknowledged_n
        self._send(urgent=True)

    def _wake_idle(self) -> None:
        if self._stopped or not self.is_busy:
            waiting, self._idle = self._idle, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)
