"""What `/metrics` tells of the store as a whole, which all hosts of it see alike.

The store is looked at when somebody asks, and so seldom that it takes no more than a fiftieth of the time: a server
that nobody scrapes does nothing, and one with a million instances is not kept busy by who looks. What has ended is
counted already; the rest is counted in an index. Who asks in between, or while a long look is under way, is told what
was seen last, and how old that is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

from msgspec import Struct

from stepwell.clock import Clock
from stepwell.errors import StoreError
from stepwell.facts import fact
from stepwell.metrics import Bounded, Gauge, Metric
from stepwell.store import Store
from stepwell.store.host_operations import Hosts, ListHosts
from stepwell.store.operations import ListWorkflows, WorkflowRow
from stepwell.store.upkeep_operations import ListAccounts

logger = logging.getLogger(__name__)

# Between two looks lies at least so much time, and so many times what the last one took.
_EVERY_MS = 1_000
_PAUSE_FACTOR = 50
# Who asks waits for a look so long at most.
_PATIENCE_S = 2.0
_AT_ONCE = 100
_SHARED = "Every host of a store tells the same: aggregate with max, not with sum."


class _Seen(Struct, frozen=True):
    """What was seen, when, and how long that took."""

    at: int
    took_ms: int
    hosts: Hosts
    workflows: list[WorkflowRow]


class Survey:
    """Looks at the store for who asks."""

    def __init__(self, store: Store, clock: Clock, workflows: Bounded) -> None:
        """`workflows` says which have series of their own."""
        self._store = store
        self._clock = clock
        self._workflows = workflows
        self._seen: _Seen | None = None
        self._looking: asyncio.Task[None] | None = None

    async def metrics(self) -> list[Metric]:
        """Look, if it is time to, and return what was seen last."""
        if self._looking is None and self._is_due:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=_PATIENCE_S)
        return told(self._seen, self._clock.now(), self._workflows)

    async def stop(self) -> None:
        """End a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    @property
    def _is_due(self) -> bool:
        seen = self._seen
        return seen is None or self._clock.now() >= seen.at + max(_EVERY_MS, seen.took_ms * _PAUSE_FACTOR)

    async def _look(self) -> None:
        try:
            began = self._clock.now()
            workflows = [row async for row in self._rows()]
            hosts = await self._store.run(ListHosts(self._clock.now()))
            now = self._clock.now()
            self._seen = _Seen(now, now - began, hosts, workflows)
        except StoreError as error:
            logger.debug("the store cannot be looked at now: %s", error)
        except Exception:  # a defect is told, and tried again for the next who asks
            logger.exception("the store could not be looked at", extra=fact("survey.failed"))
        finally:
            self._looking = None

    async def _rows(self) -> AsyncIterator[WorkflowRow]:
        for account in await self._store.run(ListAccounts()):
            offset, total = 0, 1
            while offset < total:
                found = await self._store.run(ListWorkflows(account, _AT_ONCE, offset))
                for row in found.rows:
                    yield row
                offset, total = offset + _AT_ONCE, found.total


def told(seen: _Seen | None, now: int, workflows: Bounded) -> list[Metric]:
    """Return the metrics of what was seen; without numbers, if nothing was."""
    instances = Gauge("stepwell_instances", f"Instances that are there. {_SHARED}", ("account", "workflow", "status"))
    due = Gauge("stepwell_due_instances", f"Instances that are due and not claimed, counted up to 10,000. {_SHARED}")
    oldest = Gauge("stepwell_oldest_due_seconds", f"How long the first of those has been due. {_SHARED}")
    queued = Gauge(
        "stepwell_slot_queue_instances", f"Instances that wait for a slot, as their workflow is limited. {_SHARED}"
    )
    hosts = Gauge("stepwell_hosts", f"Hosts of the store: alive, or lost with what they held. {_SHARED}", ("state",))
    size = Gauge("stepwell_store_size_bytes", f"The size of the store's file, or database. {_SHARED}")
    age = Gauge(
        "stepwell_survey_age_seconds", "How old is what this host tells of the store as a whole: the metrics above."
    )
    metrics: list[Metric] = [instances, due, oldest, queued, hosts, size, age]
    if seen is None:
        return metrics
    for row in seen.workflows:
        for status, count in row.counts.items():
            instances.add(count, (*workflows.of((row.account, row.name)), status))
    waiting = seen.hosts.waiting
    due.set(waiting.due)
    oldest.set(0 if waiting.oldest_due_at is None else max(0, seen.at - waiting.oldest_due_at) / 1000)
    queued.set(waiting.queued)
    alive = sum(host.is_alive for host in seen.hosts.hosts)
    hosts.set(alive, ("alive",))
    hosts.set(len(seen.hosts.hosts) - alive, ("lost",))
    size.set(seen.hosts.database.size)
    age.set((now - seen.at) / 1000)
    return metrics
