"""What all servers are: a store that is open, the code that is run, and its workers. HTTP is not in it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from stepwell.adoption import Adoption
from stepwell.audit import AuditedStore
from stepwell.clock import SystemClock
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.errors import InvalidInput, StepwellError
from stepwell.expiry import Expiry
from stepwell.firings import Firings
from stepwell.leftovers import Leftovers
from stepwell.moves import Moves
from stepwell.pinned import PinnedSettings, PinnedWorkers, keep_served, lay_out_stored, layouts_of
from stepwell.places import place_beside
from stepwell.project import Project
from stepwell.rehearsals import Trying
from stepwell.server_settings import Settings, tell
from stepwell.stalls import Stalls
from stepwell.store import Store
from stepwell.store.opening import file_of, is_database, open_store
from stepwell.store.sharing import SharedStore
from stepwell.store.snapshot_operations import FindServed
from stepwell.supervisor import Supervisor, SupervisorSettings
from stepwell.sweeps import Sweeps
from stepwell.trace_export import TraceExport, begin_traces
from stepwell.traces import Tracing
from stepwell.worker_options import NO_CODE, CodeOptions, FetchOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What a server is told, whether it serves HTTP or not. `account`: whose the workflows are."""

    path: str
    store: str
    account: str = "local"
    workers: int = 1
    reloads: bool = False
    # Whether the code comes from the store, and no file is looked at. In a database other hosts may serve other code
    # later; then that is run here, too.
    is_stored: bool = False
    # Whether code may be uploaded, which is served then. Until there is any, nothing is.
    allows_deploy: bool = False
    variables: tuple[str, ...] = ()
    keeps_output: bool = True
    # Settings as they are given on the command line: NAME=VALUE; and the file that has others, if not the project's.
    settings: tuple[str, ...] = ()
    config: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What is running, and what runs it. `place`: what lies beside the store is called after it.

    What is asked of the `store` for somebody leaves its entry in the audit log; workers have it without.
    """

    options: HostOptions
    # None: there is no code yet.
    project: Project | None
    told: Settings
    store: Store
    place: Path
    code: CodeOptions
    supervisor: Supervisor
    adoption: Adoption

    @property
    def deployments(self) -> Deployments | None:
        """What takes code that is uploaded; None: nothing does."""
        if not self.options.allows_deploy:
            return None
        return Deployments(self.store, self.adoption, self.options.account, self._trying)

    @property
    def moves(self) -> Moves:
        """What moves instances to other versions."""
        return Moves(self.store, SystemClock(), self._trying)

    @property
    def _trying(self) -> Trying:
        return Trying(layouts_of(self.place) / "checks", self.told, self.code.secrets, self.options.variables)

    @contextlib.asynccontextmanager
    async def tending(self, engine: Engine) -> AsyncIterator[None]:
        """Look, meanwhile, after schedules, earlier code, what others have left, what has expired, and what runs."""
        tending = asyncio.create_task(self._tend(engine))
        try:
            yield
        finally:
            tending.cancel()

    async def _tend(self, engine: Engine) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_others())
            tasks.create_task(Firings(self.store, SystemClock(), self.told.schedule_catch_up).run())
            tasks.create_task(Expiry(self.store, SystemClock(), self.told).run())
            tasks.create_task(Sweeps(self.store, SystemClock()).run())
            tasks.create_task(Stalls(self.store, SystemClock(), engine.settings.hibernate_after).run())
            tasks.create_task(engine.samples.run(self.options.account))
            if (tracing := _tracing(self.told)).is_on:
                tasks.create_task(TraceExport(self.store, SystemClock(), tracing).run())
            if is_database(self.options.store):
                tasks.create_task(Leftovers(self.store, engine.terminations, engine.jobs).run())

    async def _run_others(self) -> None:
        """Run the instances that stay on earlier code; where the files are watched, none does."""
        if self.options.reloads:
            return
        account = self.options.account
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.adoption.pinned.run(account))
            if self.options.is_stored and is_database(self.options.store):
                tasks.create_task(self.adoption.run(account))


@contextlib.asynccontextmanager
async def open_host(options: HostOptions, fetch: FetchOptions | None = None) -> AsyncIterator[Host]:
    """Open the store, take the code or lay it out, and make ready what runs it; end all of that at the end.

    `fetch`: where the author's `fetch` is served.
    """
    _check_variables(options.variables)
    # Looked at first: a wrong path or setting leaves nothing behind.
    project = None if options.is_stored else await asyncio.to_thread(Project.at, Path(options.path))
    told = await asyncio.to_thread(_told, options, project)
    async with contextlib.AsyncExitStack() as opened:
        store = await _open(options.store, told)
        opened.push_async_callback(store.close)
        await _share(options, store, opened)
        beside = place_beside(options.store)
        place = await asyncio.to_thread(beside.__enter__)
        opened.push_async_callback(asyncio.to_thread, beside.__exit__, None, None, None)
        project, told, code = await _code(options, store, place, (project, told))
        await begin_traces(store, SystemClock(), _tracing(told))
        supervisor = Supervisor(store, code, _settings(options, told, fetch))
        opened.push_async_callback(supervisor.stop)
        pinned = PinnedWorkers(store, supervisor, code, _pinning(options, place, told))
        adoption = Adoption(store, supervisor, pinned, code)
        yield Host(options, project, told, AuditedStore(store), place, code, supervisor, adoption)


def _check_variables(names: Sequence[str]) -> None:
    for name in names:
        if name not in os.environ:
            problem = f'the environment variable "{name}", which workflows are to have, is not set'
            raise InvalidInput("env", f"{problem}; set it, or leave it out")


def _tracing(told: Settings) -> Tracing:
    return Tracing.of(os.environ, told.traced_instances)


def _told(options: HostOptions, project: Project | None) -> Settings:
    """Return the settings; of a project that comes from the store, those that are told before that is open."""
    folder = None if project is None else project.root
    return tell(options.settings, os.environ, folder, options.config).settings


async def _open(url: str, told: Settings) -> Store:
    """Open a store beside the loop; whoever starts a host and is cancelled meanwhile leaves none open."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_store, url, told.host_lease, told.page_timeout))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(StepwellError):
            await (await opening).close()
        raise


async def _share(options: HostOptions, store: Store, opened: contextlib.AsyncExitStack) -> None:
    """Let other commands use the store's file; those that need a database open it themselves."""
    if not is_database(options.store):
        shared = await asyncio.to_thread(SharedStore, store, file_of(options.store))
        opened.push_async_callback(shared.close)
        shared.start()


async def _code(
    options: HostOptions, store: Store, place: Path, found: tuple[Project | None, Settings]
) -> tuple[Project | None, Settings, CodeOptions]:
    """Return what workers run: the files as they are, where they are watched; else a snapshot, of them or stored.

    `found`: the project, if it is there before the store is open, and the settings by then.
    """
    project, told = found
    if project is None:
        if options.allows_deploy and await store.run(FindServed(options.account)) is None:
            return None, told, NO_CODE
        code = await lay_out_stored(store, options.account, layouts_of(place))
        # What was served in a database is known there; saying it again could undo what another host serves by now.
        code = msgspec.structs.replace(code, is_known=is_database(options.store))
        stored = await asyncio.to_thread(Project.at, Path(code.path))
        # A file that is named has been read already: from a pipe it comes only once.
        return stored, told if options.config else await asyncio.to_thread(_told, options, stored), code
    if options.reloads:
        return project, told, CodeOptions(options.path)
    return project, told, await keep_served(store, project, options.account, _pinning(options, place, told))


def _pinning(options: HostOptions, place: Path, told: Settings) -> PinnedSettings:
    return PinnedSettings(
        place, told.snapshot_size, told.pinned_workers, told.pinned_idle, is_shared=is_database(options.store)
    )


def _settings(options: HostOptions, told: Settings, fetch: FetchOptions | None) -> SupervisorSettings:
    return SupervisorSettings(
        grace_s=told.grace / 1000,
        blocked_after_s=told.blocked_after / 1000,
        stuck_after_s=told.stuck_after / 1000,
        told=told,
        variables=options.variables,
        keeps_output=options.keeps_output,
        fetch=fetch,
        workers=options.workers,
        account=options.account,
    )
