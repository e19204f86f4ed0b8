"""Sends what is due to whom it is due: every host does so, and takes from the store what nobody else is at.

Nothing is remembered here that must not be lost. A delivery that was taken is due again some time later, so one whose
host has died is sent by another: at least once. A receiver that does not answer well gets one message at a time, with
growing pauses, so neither it nor a pile of what waits for it holds up the others.
"""

import asyncio
import contextlib
import logging
import ssl

from msgspec import Struct

from stepwell import durations
from stepwell.clock import Clock
from stepwell.core.records import StepConfig
from stepwell.core.retries import wait_after
from stepwell.durations import DAY_MS
from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.rounds import rounds
from stepwell.server_settings import Settings
from stepwell.store import Store
from stepwell.store.webhook_operations import (
    AreDeliveriesDue,
    Due,
    EndAttempt,
    ForgetDeliveries,
    TakeDeliveries,
)
from stepwell.webhooks.messages import body_of, message_id
from stepwell.webhooks.posting import TIMEOUT_S, Posted, post
from stepwell.webhooks.signing import headers_of

logger = logging.getLogger(__name__)

# As the config of a step: 16 attempts in two days.
CONFIG = StepConfig(limit=15, delay="5 seconds", backoff="exponential", timeout=TIMEOUT_S * 1000)
# Whatever has become of its attempts, what is older is given up: a receiver that is away has let more come in than it
# will ever be sent.
GIVEN_UP_MS = 3 * DAY_MS
# So many at a time to one receiver, and to all.
EACH = 8
MOST = 128
# Whoever has not said by then what became of a delivery is taken for dead.
LEASE_MS = int(TIMEOUT_S * 1000) * 2
LOOK_EVERY_S = 1.0
FORGET_EVERY_S = 600.0
_PAUSE_S = 0.02
_LONGEST_REST_MS = 30_000
_OK = range(200, 300)
_GONE = 410


class _Receiver(Struct):
    """How a receiver does: how many messages are on their way, how many in a row have failed, and when to go on."""

    busy: int = 0
    failures: int = 0
    rests_until: int = 0

    def room(self, now: int) -> int:
        """Return how many more messages it may be sent now."""
        if self.failures == 0:
            return EACH - self.busy
        return 1 - self.busy if self.rests_until <= now else 0

    def heard(self, now: int, *, is_well: bool) -> None:
        """Take note of what became of a message."""
        if is_well:
            self.failures = self.rests_until = 0
            return
        self.failures += 1
        self.rests_until = now + min(1000 * 2 ** min(self.failures - 1, 16), _LONGEST_REST_MS)


class Sender:
    """Sends the deliveries of a store. `told`: how long they are kept, and in which networks receivers may be."""

    def __init__(self, store: Store, clock: Clock, told: Settings) -> None:
        self._store = store
        self._clock = clock
        self._told = told
        # By the rows of webhooks; one that does well and is sent nothing has none.
        self._receivers: dict[int, _Receiver] = {}
        self._wake = asyncio.Event()
        self._tls: ssl.SSLContext | None = None

    async def run(self) -> None:
        """Send what is due, and forget what is old, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rounds("deliveries to webhooks that are old", FORGET_EVERY_S, self.forget))
            await self._send(tasks)

    async def forget(self) -> None:
        """Give up what is too old, and forget what ended long ago, a bounded part at a time. Raises StoreError."""
        now = self._clock.now()
        wanted = ForgetDeliveries(now, now - GIVEN_UP_MS, now - self._told.delivery_retention)
        count = 0
        while gone := await self._store.run(wanted):
            count += gone
            await asyncio.sleep(_PAUSE_S)
        if count:
            logger.info(
                "deliveries to webhooks that were old enough to be given up or forgotten: %d",
                count,
                extra=fact("webhooks.forgotten", count=count),
            )

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            try:
                for due in await self._take():
                    tasks.create_task(self._attempt(due))
            except StoreError as error:
                logger.debug(
                    "deliveries to webhooks cannot be looked for now: %s",
                    error,
                    extra=fact("store.refused", error=error),
                )
            except Exception:  # a defect must not keep them from being sent for ever
                logger.exception("deliveries to webhooks could not be looked for", extra=fact("webhooks.failed"))
            # What is new is not told of: a look costs little, and a second is soon enough.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def _take(self) -> list[Due]:
        now = self._clock.now()
        left = MOST - sum(receiver.busy for receiver in self._receivers.values())
        if left < 1 or not await self._store.run(AreDeliveriesDue(now)):
            return []
        fewer = {row: receiver.room(now) for row, receiver in self._receivers.items()}
        taken = await self._store.run(TakeDeliveries(now, now + LEASE_MS, EACH, left, fewer))
        for due in taken:
            self._receivers.setdefault(due.to.row, _Receiver()).busy += 1
        return taken

    async def _attempt(self, due: Due) -> None:
        receiver = self._receivers[due.to.row]
        try:
            ended = self._after(due, await self._post(due))
            receiver.heard(ended.now, is_well=ended.outcome == "delivered")
            await self._store.run(ended)
        except StoreError as error:
            # It is due again when its time is over.
            logger.debug(
                "what became of a delivery cannot be noted: %s", error, extra=fact("store.refused", error=error)
            )
        except Exception:  # as above; and one delivery must not end all others
            logger.exception(
                "a delivery to webhook %s failed here",
                due.to.id,
                extra=fact("webhook.failed", account=due.to.account, webhook=due.to.id),
            )
        finally:
            receiver.busy -= 1
            if receiver == _Receiver():
                del self._receivers[due.to.row]
            self._wake.set()

    async def _post(self, due: Due) -> Posted:
        if self._tls is None:
            # It reads hundreds of certificates.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        body = body_of(due)
        headers = headers_of(message_id(due.to.id, due.row), self._clock.now() // 1000, body, due.to.secrets)
        return await post(due.to.url, headers, body, self._told.webhook_networks, self._tls)

    def _after(self, due: Due, posted: Posted) -> EndAttempt:
        """Return what is noted of an attempt."""
        now, (status, problem) = self._clock.now(), posted
        ended = (due.row, due.attempt, now, status, problem)
        if status in _OK:
            return EndAttempt(*ended, outcome="delivered")
        if status == _GONE:
            logger.warning(
                "webhook %s is told nothing any more: its receiver has answered that it is gone",
                due.to.id,
                extra=fact("webhook.gone", account=due.to.account, webhook=due.to.id),
            )
            return EndAttempt(*ended, outcome="given_up", is_gone=True)
        if due.tries > CONFIG.limit:
            logger.warning(
                "webhook %s: a message is given up after %d attempts",
                due.to.id,
                due.tries,
                extra=fact(
                    "webhook.given_up",
                    account=due.to.account,
                    webhook=due.to.id,
                    delivery=message_id(due.to.id, due.row),
                ),
            )
            return EndAttempt(*ended, outcome="given_up")
        delay_ms = durations.to_ms(CONFIG.delay) or 0
        return EndAttempt(*ended, next_at=now + wait_after(due.tries, delay_ms, CONFIG.backoff))
