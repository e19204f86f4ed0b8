"""Terminating all instances of a workflow: a job beside everything else, which outlasts a restart of the server.

Source: developers.cloudflare.com/api/resources/workflows/subresources/instances/
"""

import asyncio
import logging
from collections.abc import Sequence

from stepwell.clock import Clock, sleep_ms
from stepwell.core.records import Terminated
from stepwell.errors import StoreError, WorkflowNotFound
from stepwell.facts import fact
from stepwell.store import Store, codec
from stepwell.store.control_operations import IsTerminating, ListTerminations, StartTermination, TerminateSome

logger = logging.getLogger(__name__)

_AGAIN_AFTER_MS = 1_000


class Terminations:
    """The jobs of one server."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # By account and workflow.
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def start(self, account: str, workflow: str, statuses: Sequence[str]) -> bool:
        """Begin to terminate the instances that a workflow has now and that have one of these statuses.

        False: that is going on already. Raises WorkflowNotFound.
        """
        started = await self._store.run(StartTermination(account, workflow, [*statuses]))
        if started:
            self._go_on(account, workflow)
        return started

    async def is_running(self, account: str, workflow: str) -> bool:
        """Tell whether instances of a workflow are being terminated. Raises WorkflowNotFound."""
        return await self._store.run(IsTerminating(account, workflow))

    async def resume(self) -> None:
        """Go on with what a server before, or another host, had begun, and what is not gone on with here."""
        for place in await self._store.run(ListTerminations()):
            if (place.account, place.workflow) not in self._tasks:
                self._go_on(place.account, place.workflow)

    async def stop(self) -> None:
        """Leave what is not done to the next server."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self, account: str, workflow: str) -> None:
        task = asyncio.get_running_loop().create_task(self._work(account, workflow))
        self._tasks[account, workflow] = task
        task.add_done_callback(lambda ended: self._forget(account, workflow, ended))

    def _forget(self, account: str, workflow: str, task: "asyncio.Task[None]") -> None:
        # A new one may have begun meanwhile.
        if self._tasks.get((account, workflow)) is task:
            del self._tasks[account, workflow]

    async def _work(self, account: str, workflow: str) -> None:
        more = True
        while more:
            now = self._clock.now()
            record = codec.to_row(Terminated(now, "api"))
            try:
                more = await self._store.run(TerminateSome(account, workflow, record))
            except WorkflowNotFound:
                # Deleted meanwhile, and its instances with it.
                return
            except StoreError as error:
                logger.warning(
                    "instances of %s are still to be terminated; the store refuses: %s",
                    workflow,
                    error,
                    extra=fact("store.refused", workflow=workflow, error=error),
                )
                await sleep_ms(self._clock, _AGAIN_AFTER_MS)
