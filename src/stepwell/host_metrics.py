"""All that a server tells Prometheus of itself, but for its HTTP: what it has written, its workers, the store."""

import asyncio
from pathlib import Path

from stepwell.clock import SystemClock
from stepwell.metrics import Bounded, Metric
from stepwell.store import Store
from stepwell.store.tally import Tally
from stepwell.supervisor import Supervisor, WorkerMetrics
from stepwell.survey import Survey, told
from stepwell.vitals import vitals


class HostMetrics:
    """The metrics of a host."""

    def __init__(self, store: Store, tally: Tally, supervisor: Supervisor, place: Path, kind: str) -> None:
        """`place` is where it writes, `kind` what its store is."""
        self._tally = tally
        self._supervisor = supervisor
        self._survey = Survey(store, SystemClock(), tally.workflows)
        self._place = place
        self._kind = kind

    async def all(self) -> list[Metric]:
        """Return all of them, as they are now."""
        shared = await self._survey.metrics()
        own = await asyncio.to_thread(vitals, self._kind, self._place)
        return [*own, *shared, *self._tally.metrics(), *self._supervisor.metrics()]

    async def stop(self) -> None:
        """End what is under way."""
        await self._survey.stop()


def described() -> list[Metric]:
    """Return all that a host may tell, before it has anything to tell. Blocks."""
    shared = told(None, 0, Bounded(0))
    return [*vitals("", Path()), *shared, *Tally().metrics(), *WorkerMetrics().told(0, 0)]
