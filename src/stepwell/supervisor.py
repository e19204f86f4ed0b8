"""Starts worker processes, watches them, replaces those that die or hang, and drains those that are replaced.

What the author's code does to its process is seen here: the log names instance and step, the worker's lease is ended at
once, so that what it held is taken up again, and another worker is started.
"""

import asyncio
import logging
import os
from contextlib import suppress

import msgspec

from stepwell.errors import ScriptError
from stepwell.facts import fact
from stepwell.metrics import Counter, Gauge, Metric
from stepwell.store import Store
from stepwell.worker_child import SupervisorSettings, WorkerChild
from stepwell.worker_options import CodeOptions

logger = logging.getLogger(__name__)


class Supervisor:
    """Keeps workers alive for the author's code."""

    def __init__(self, store: Store, code: CodeOptions, settings: SupervisorSettings | None = None) -> None:
        self._store = store
        self._code = code
        self._settings = settings or SupervisorSettings()
        self._number = 0
        self._serving = Crew(code)
        self._children: dict[WorkerChild, asyncio.Task[None]] = {}
        self._is_stopping = False
        self._warned_of: set[str] = set()
        self._metrics = WorkerMetrics()
        # Closes when this process dies, which ends the workers even while they are blocked.
        self._lifeline, self._lifeline_end = os.pipe()

    @property
    def workflows(self) -> list[str]:
        """The workflows that the current workers serve."""
        return self._serving[0].workflows if self._serving else []

    @property
    def serves_fetch(self) -> bool:
        """Whether the current workers serve the author's `fetch`."""
        return any(child.serves_fetch for child in self._serving)

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the current workers."""
        return [child.pid for child in self._serving if child.pid is not None]

    def metrics(self) -> list[Metric]:
        """Return the metrics of the workers."""
        return self._metrics.told(len(self._children), sum(child.hang is not None for child in self._children))

    async def start(self) -> None:
        """Start the workers; return when they have loaded the author's files. Raises ScriptError if they cannot.

        Where there is no code yet there are no workers.
        """
        if self._code.path:
            self._serving = await self._spawn_all(self._code)

    async def reload(self) -> None:
        """Replace the workers by new ones with the files as they are now.

        The old ones keep serving if the files cannot be loaded. Raises ScriptError in that case.
        """
        await self.change_code(self._code)

    async def change_code(self, code: CodeOptions) -> None:
        """Replace the workers by new ones with other code, as with `reload`. Raises ScriptError."""
        new = await self._spawn_all(code)
        self._code = code
        old, self._serving = self._serving, new
        # The attempts in flight get their grace beside the new workers.
        _retire_all(old, self._settings.grace_s)

    async def stop(self) -> None:
        """Drain all workers within the grace and end them."""
        self._is_stopping = True
        for child in list(self._children):
            child.retire(self._settings.grace_s)
            child.leave()
        if self._children:
            await asyncio.wait(list(self._children.values()))
        for end in (self._lifeline, self._lifeline_end):
            with suppress(OSError):
                os.close(end)

    def kill_now(self) -> None:
        """End all workers at once; their attempts are lost."""
        for child in self._children:
            child.kill()

    async def start_pinned(self, code: CodeOptions) -> "Crew":
        """Start a worker for code that is served no more. Raises ScriptError."""
        crew = Crew(code)
        await self._enlist(crew)
        return crew

    async def end_pinned(self, crew: "Crew") -> None:
        """Let the workers of such code end, and wait until they have."""
        _retire_all(crew, self._settings.grace_s)
        # One may just be starting, in place of one that has died.
        while ending := [task for child, task in self._children.items() if child.code is crew.code]:
            await asyncio.wait(ending)

    async def _spawn_all(self, code: CodeOptions) -> "Crew":
        """Start all workers, or none. Raises ScriptError.

        Each works as soon as it is in the list, where another takes its place if it dies, also before all are there.
        """
        crew = Crew(code)
        # One alone finds out whether the files can be loaded, and makes their version known.
        await self._enlist(crew)
        crew.code = _made_known(code)
        more = (self._enlist(crew) for _ in range(1, self._settings.workers))
        for outcome in await asyncio.gather(*more, return_exceptions=True):
            if outcome is not None:
                _retire_all(crew, 0)
                raise outcome
        return crew

    async def _enlist(self, crew: "Crew") -> None:
        crew.append(await self._spawn(crew))

    async def _spawn(self, crew: "Crew") -> WorkerChild:
        """Start a worker for a crew; return it when it has loaded the author's files. Raises ScriptError."""
        self._number += 1
        child = WorkerChild(self._store, f"worker {self._number}", crew.code, self._settings)
        await child.start(self._lifeline)
        self._children[child] = asyncio.get_running_loop().create_task(self._attend(child, crew))
        await child.loaded
        if child.is_gone:
            raise ScriptError(f"{child.name} ended as soon as it had loaded the workflows")
        if crew.code.is_served:
            self._warn(child.warnings)
        return child

    def _warn(self, warnings: list[str]) -> None:
        """Tell what the author is to be warned of: once, not with each worker."""
        for warning in warnings:
            if warning not in self._warned_of:
                logger.warning("%s", warning, extra=fact("code.warning"))
        self._warned_of = set(warnings)

    async def _attend(self, child: WorkerChild, crew: "Crew") -> None:
        """Watch a worker until it ends; if it should not have ended, start another."""
        await child.watch()
        child.is_gone = True
        if child in crew and not self._is_stopping:
            self._metrics.deaths.add(("stuck" if child.was_stuck else "died",))
        while child in crew and not self._is_stopping:
            await self._replace(child, crew)
        del self._children[child]

    async def _replace(self, dead: WorkerChild, crew: "Crew") -> None:
        """Try once to put another worker in a dead one's place; after failures, with a growing pause before it."""
        if crew.failures:
            pause_s = self._settings.restart_pause_s * 2 ** min(crew.failures, 10)
            await asyncio.sleep(min(pause_s, self._settings.longest_restart_pause_s))
        try:
            new = await self._spawn(crew)
        except ScriptError as error:
            logger.error("no worker: %s", error, extra=fact("worker.unstarted", error=error))  # noqa: TRY400 - the author's error, whose report this is
            crew.failures += 1
            return
        crew.failures = 0
        if dead in crew:
            crew[crew.index(dead)] = new
        else:
            new.retire(0)


class WorkerMetrics:
    """What `/metrics` tells of the worker processes."""

    def __init__(self) -> None:
        self.deaths = Counter(
            "stepwell_worker_deaths_total",
            "Workers that ended unasked and were replaced, by reason: died, or stuck (blocked too long, and killed).",
            ("reason",),
        )
        for reason in ("died", "stuck"):
            self.deaths.add((reason,), 0)

    def told(self, many: int, blocked: int) -> list[Metric]:
        """Return what is told where there are so many workers, of whom some are blocked."""
        workers = Gauge("stepwell_workers", "Worker processes, with those for earlier code and those that are to end.")
        hanging = Gauge("stepwell_workers_blocked", "Worker processes whose event loop does not turn at this moment.")
        workers.set(many)
        hanging.set(blocked)
        return [workers, hanging, self.deaths]


class Crew(list[WorkerChild]):
    """The workers that run the same code; each has another take its place if it dies."""

    def __init__(self, code: CodeOptions) -> None:
        super().__init__()
        self.code = code
        # How often in a row no worker could be started.
        self.failures = 0


def _made_known(code: CodeOptions) -> CodeOptions:
    """Return code that nobody has to make known any more: another host may serve other code by then."""
    return msgspec.structs.replace(code, is_known=True) if code.snapshot else code


def _retire_all(crew: "Crew", grace_s: float) -> None:
    """Let workers end, and nobody take their place."""
    for child in crew:
        child.retire(grace_s)
    crew.clear()
