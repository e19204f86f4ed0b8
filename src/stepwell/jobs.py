"""Jobs: one change of all instances that match a search, beside everything else; it outlasts a restart of the server.

It goes through the search page by page, from the newest instance to the oldest. What it does to a page, and how far it
is then, is one transaction of the store: who stops in the middle has done all of a page or nothing, and of two hosts at
one job the one that comes second has done nothing, and leaves it to the other.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence

import msgspec

from stepwell.clock import Clock, sleep_ms
from stepwell.durations import DAY_MS
from stepwell.errors import CreatedTooFast, JobNotFound, PageTooSlow, StoreError, StoreUnavailable, WorkflowNotFound
from stepwell.facts import fact
from stepwell.store import Store
from stepwell.store.job_operations import (
    AdvanceJob,
    CancelJob,
    GetJob,
    JobChange,
    JobFailure,
    JobRow,
    ListJobs,
    ListOpenJobs,
    StartJob,
    Verb,
)
from stepwell.store.job_operations import Jobs as JobPage
from stepwell.store.once import IdempotencyKey, Once
from stepwell.store.operations import InstanceRow
from stepwell.store.search_operations import Found, SearchInstances, Wanted

logger = logging.getLogger(__name__)

# So many are changed in one transaction: some milliseconds, for which others wait.
_AT_ONCE = 25
_AGAIN_AFTER_MS = 1_000
_MESSAGE_CHARACTERS = 500
# How long a job is kept after its end.
_KEPT_MS = 30 * DAY_MS


class Jobs:
    """The jobs of one server. `count_creations` is told of restarts: they count as creations.

    A key under which one was begun counts for `keys_kept_ms`.
    """

    def __init__(
        self, store: Store, clock: Clock, count_creations: Callable[[str, str, int], None], keys_kept_ms: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._count_creations = count_creations
        self._keys_kept_ms = keys_kept_ms
        # By account and id.
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether any job is gone on with here."""
        return bool(self._tasks)

    async def start(  # noqa: PLR0913, PLR0917 - what is done to which, by whom, and under what key
        self,
        account: str,
        verb: Verb,
        workflow: str | None,
        wanted: Wanted,
        by: str,
        key: IdempotencyKey | None = None,
    ) -> JobRow:
        """Begin to change the instances that match now, of a workflow or of all of them (None); return the job.

        With a key that came before: once. Raises WorkflowNotFound or IdempotencyKeyReused.
        """
        now = self._clock.now()
        job = await self._begin(
            StartJob(account, str(uuid.uuid4()), verb, workflow, wanted, now, by, now - _KEPT_MS), key
        )
        if (account, job.id) not in self._tasks:
            self._go_on(account, job.id)
        return job

    async def _begin(self, start: StartJob, key: IdempotencyKey | None) -> JobRow:
        if key is None:
            return await self._store.run(start)
        done = await self._store.run(Once(start.account, key.key, key.request, start.now, start, self._keys_kept_ms))
        return msgspec.msgpack.decode(done.body, type=JobRow)

    async def get(self, account: str, id: str) -> JobRow:
        """Return a job. Raises JobNotFound."""
        return await self._store.run(GetJob(account, id))

    async def list(self, account: str, *, limit: int, offset: int = 0) -> JobPage:
        """Return a page of jobs, newest first."""
        return await self._store.run(ListJobs(account, limit, offset))

    async def cancel(self, account: str, id: str) -> JobRow:
        """End a job, unless it has ended; what it has done stays. Raises JobNotFound."""
        return await self._store.run(CancelJob(account, id, self._clock.now()))

    async def resume(self) -> None:
        """Go on with what a server before, or another host, had begun, and what is not gone on with here."""
        for place in await self._store.run(ListOpenJobs()):
            if (place.account, place.id) not in self._tasks:
                self._go_on(place.account, place.id)

    async def stop(self) -> None:
        """Leave what is not done to the next server."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self, account: str, id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._work(account, id))
        self._tasks[account, id] = task
        task.add_done_callback(lambda _: self._tasks.pop((account, id)))

    async def _work(self, account: str, id: str) -> None:
        while True:
            try:
                job: JobRow | None = await self._store.run(GetJob(account, id))
                while job is not None and job.ended_at is None:
                    job = await self._advance(job)
                return
            except JobNotFound:
                return
            except StoreError as error:
                logger.warning(
                    "job %s is to go on; the store refuses: %s",
                    id,
                    error,
                    extra=fact("store.refused", job=id, error=error),
                )
                await sleep_ms(self._clock, _AGAIN_AFTER_MS)
            except Exception:  # a defect must not end a job without a word
                logger.exception(
                    "job %s cannot go on, and is left until the server is started again",
                    id,
                    extra=fact("job.failed", job=id),
                )
                return

    async def _advance(self, job: JobRow) -> JobRow | None:
        """Change a page of instances; return the job then, None if another host is at it. Raises StoreError."""
        found = await self._search(job)
        rows = [one.row for one in found.instances if one.row.row <= job.upto]
        to = found.looked_to
        if job.verb == "restart":
            allowed = self._allowed(rows)
            if rows and not allowed:
                await sleep_ms(self._clock, _AGAIN_AFTER_MS)
                return job
            if allowed < len(rows):
                rows, to = rows[:allowed], _place(rows[allowed - 1])
        try:
            return await self._store.run(self._step(job, rows, to))
        except (StoreUnavailable, PageTooSlow):
            raise
        except StoreError:
            return await self._one_by_one(job, rows, to)

    async def _search(self, job: JobRow) -> Found:
        # What has not ended has lasted until the job began, so that a search by durations has the same end.
        where = (job.account, job.workflow, job.wanted, job.created_at)
        try:
            return await self._store.run(SearchInstances(*where, _AT_ONCE, job.place))
        except WorkflowNotFound:
            # Deleted meanwhile, and its instances with it.
            return Found([], None)

    def _allowed(self, rows: Sequence[InstanceRow]) -> int:
        """Return how many of these may be restarted now."""
        for count, row in enumerate(rows):
            try:
                self._count_creations(row.account, row.workflow, 1)
            except CreatedTooFast:
                return count
        return len(rows)

    async def _one_by_one(self, job: JobRow, rows: Sequence[InstanceRow], to: tuple[int, int] | None) -> JobRow | None:
        """Change instances of which one at least cannot be changed: that one has failed."""
        for row in rows:
            changed = await self._one(job, row)
            if changed is None:
                return None
            job = changed
        return await self._store.run(self._step(job, [], to))

    async def _one(self, job: JobRow, row: InstanceRow) -> JobRow | None:
        try:
            return await self._store.run(self._step(job, [row], _place(row)))
        except (StoreUnavailable, PageTooSlow):
            raise
        except StoreError as error:
            failure = JobFailure(row.workflow, row.id, str(error)[:_MESSAGE_CHARACTERS])
            return await self._store.run(self._step(job, [], _place(row), failure))

    def _step(
        self, job: JobRow, rows: Sequence[InstanceRow], to: tuple[int, int] | None, *failures: JobFailure
    ) -> AdvanceJob:
        changes = [JobChange(row.row, row.workflow, row.id) for row in rows]
        return AdvanceJob(job.account, job.id, job.place, to, changes, self._clock.now(), failures)


def _place(row: InstanceRow) -> tuple[int, int]:
    return row.created_at, row.row
