"""What all servers are: a store that is open, the code that is run, and its workers. HTTP is not in it."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from stepwell import cpu_limits, worker_user, wrangler
from stepwell.adoption import Adoption
from stepwell.audit import AuditedStore
from stepwell.clock import SystemClock
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.errors import InvalidInput, InvalidSetting, StepwellError, StoreError
from stepwell.expiry import Expiry
from stepwell.fact_log import FactLog
from stepwell.facts import fact
from stepwell.firings import Firings
from stepwell.host_metrics import HostMetrics
from stepwell.leftovers import Leftovers
from stepwell.moves import Moves
from stepwell.pinned import PinnedSettings, PinnedWorkers, keep_served, lay_out_stored
from stepwell.places import Layouts, layouts_for, place_beside
from stepwell.project import Project
from stepwell.rehearsals import Trying
from stepwell.server_settings import DEFAULT, Settings, tell
from stepwell.stalls import Stalls
from stepwell.store import Store
from stepwell.store.opening import file_of, is_database, open_store
from stepwell.store.sharing import SharedStore
from stepwell.store.snapshot_operations import FindServed
from stepwell.store.sql.hosts import host_name
from stepwell.store.tally import Tally
from stepwell.supervisor import Supervisor
from stepwell.sweeps import Sweeps
from stepwell.trace_export import TraceExport, begin_traces
from stepwell.traces import Tracing
from stepwell.webhooks.sender import Sender
from stepwell.worker_child import SupervisorSettings
from stepwell.worker_options import NO_CODE, CodeOptions, FetchOptions

T = TypeVar("T")

logger = logging.getLogger(__name__)

_AS_ROOT = (
    "code that is uploaded runs as root here, and may do everything; name a user who has no rights: "
    "--set worker_user=NAME"
)


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
    # What the setting says; None: as that is told elsewhere.
    log_format: str | None = None


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
    layouts: Layouts
    code: CodeOptions
    supervisor: Supervisor
    adoption: Adoption
    metrics: HostMetrics
    facts: FactLog

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
        layouts = replace(self.layouts, folder=self.layouts.folder / "checks")
        return Trying(layouts, self.told, self.code.secrets, self.options.variables)

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
            tasks.create_task(Sender(self.store, SystemClock(), self.told).run())
            tasks.create_task(Stalls(self.store, SystemClock(), engine.settings.hibernate_after).run())
            tasks.create_task(engine.samples.run(self.options.account))
            tasks.create_task(self.facts.run())
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
async def open_host(
    options: HostOptions, fetch: FetchOptions | None = None, hear: Callable[[Settings], None] | None = None
) -> AsyncIterator[Host]:
    """Open the store, take the code or lay it out, and make ready what runs it; end all of that at the end.

    `fetch`: where the author's `fetch` is served. `hear` is called with the settings as soon as they are known, and
    again where they come from the store.
    """
    hear = hear or _nobody_hears
    _check_variables(options.variables)
    # Looked at first: a wrong path or setting leaves nothing behind.
    project = None if options.is_stored else await asyncio.to_thread(Project.at, Path(options.path))
    told = await asyncio.to_thread(settings_of, options, project)
    hear(told)
    user = await asyncio.to_thread(worker_user.wanted, told.worker_user)
    await asyncio.to_thread(cpu_limits.find, told.worker_cpu)
    async with contextlib.AsyncExitStack() as opened:
        tally = Tally(told.metrics_workflows, told.metrics_steps)
        store = await _open(options.store, told, tally)
        opened.push_async_callback(store.close)
        facts = await opened.enter_async_context(_noting(FactLog(store, host_name(), options.account)))
        await _share(options, store, opened)
        place = await _enter(place_beside(options.store), opened)
        layouts = await _enter(layouts_for(options.store, place, user), opened)
        pinning = _pinning(options, place, layouts, told)
        project, told, code = await _code(options, store, pinning, (project, told))
        hear(told)
        if user is not None:
            await asyncio.to_thread(worker_user.try_out, user, _read_by_workers(project, code, layouts))
        elif options.allows_deploy and os.geteuid() == 0:
            logger.warning(_AS_ROOT, extra=fact("code.as_root"))
        await begin_traces(store, SystemClock(), _tracing(told))
        # The stored code may have said how many there are, and for how long.
        pinning = _pinning(options, place, layouts, told)
        supervisor = Supervisor(store, code, _settings(options, told, fetch, facts))
        opened.push_async_callback(supervisor.stop)
        pinned = PinnedWorkers(store, supervisor, code, pinning)
        adoption = Adoption(store, supervisor, pinned, code)
        kind = "postgresql" if is_database(options.store) else "sqlite"
        metrics = HostMetrics(store, tally, supervisor, place.parent, kind)
        opened.push_async_callback(metrics.stop)
        yield Host(
            options, project, told, AuditedStore(store), place, layouts, code, supervisor, adoption, metrics, facts
        )


@contextlib.asynccontextmanager
async def _noting(facts: FactLog) -> AsyncIterator[FactLog]:
    """Have what the log of this process tells noted, and what is left of it in the end."""
    handler, ours = facts.handler(), logging.getLogger("stepwell")
    ours.addHandler(handler)
    try:
        yield facts
    finally:
        ours.removeHandler(handler)
        with contextlib.suppress(StoreError):
            await facts.note()


def _nobody_hears(_: Settings) -> None:
    """Let nobody hear of the settings."""


def _check_variables(names: Sequence[str]) -> None:
    for name in names:
        if name not in os.environ:
            problem = f'the environment variable "{name}", which workflows are to have, is not set'
            raise InvalidInput("env", f"{problem}; set it, or leave it out")


def _tracing(told: Settings) -> Tracing:
    return Tracing.of(os.environ, told.traced_instances)


def settings_of(options: HostOptions, project: Project | None) -> Settings:
    """Return the settings; of a project that comes from the store, those that are told before that is open."""
    folder = None if project is None else project.root
    given = options.settings if options.log_format is None else (*options.settings, f"log_format={options.log_format}")
    told = tell(given, os.environ, folder, options.config)
    if options.reloads and told.origins["webhook_networks"] == DEFAULT:
        # Who develops runs his receivers here, and whoever can ask this server can run code on this machine anyway.
        return replace(told.settings, webhook_networks="loopback")
    return told.settings


async def _open(url: str, told: Settings, tally: Tally) -> Store:
    """Open a store beside the loop; whoever starts a host and is cancelled meanwhile leaves none open."""
    opening = asyncio.ensure_future(asyncio.to_thread(open_store, url, told.host_lease, told.page_timeout, tally))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with contextlib.suppress(StepwellError):
            await (await opening).close()
        raise


async def _enter(place: contextlib.AbstractContextManager[T], opened: contextlib.AsyncExitStack) -> T:
    """Enter, beside the loop, what makes folders, and leave it at the end."""
    entered = await asyncio.to_thread(place.__enter__)
    opened.push_async_callback(asyncio.to_thread, place.__exit__, None, None, None)
    return entered


async def _share(options: HostOptions, store: Store, opened: contextlib.AsyncExitStack) -> None:
    """Let other commands use the store's file; those that need a database open it themselves."""
    if not is_database(options.store):
        shared = await asyncio.to_thread(SharedStore, store, file_of(options.store))
        opened.push_async_callback(shared.close)
        shared.start()


async def _code(
    options: HostOptions, store: Store, pinning: PinnedSettings, found: tuple[Project | None, Settings]
) -> tuple[Project | None, Settings, CodeOptions]:
    """Return what workers run: the files as they are, where they are watched; else a snapshot, of them or stored.

    `found`: the project, if it is there before the store is open, and the settings by then.
    """
    project, told = found
    if project is None:
        if options.allows_deploy and await store.run(FindServed(options.account)) is None:
            return None, told, NO_CODE
        code = await lay_out_stored(store, options.account, pinning.layouts)
        # What was served in a database is known there; saying it again could undo what another host serves by now.
        code = msgspec.structs.replace(code, is_known=is_database(options.store))
        stored = await asyncio.to_thread(Project.at, Path(code.path))
        # A file that is named has been read already: from a pipe it comes only once.
        return stored, await asyncio.to_thread(_told_of_stored, options, stored, told), code
    if options.reloads:
        return project, told, CodeOptions(options.path)
    return project, told, await keep_served(store, project, options.account, pinning)


def _told_of_stored(options: HostOptions, project: Project, before: Settings) -> Settings:
    """Return the settings by the code that is stored, too, which does not say as whom it is run."""
    # A file that is named has been read already: from a pipe it comes only once.
    told = before if options.config else settings_of(options, project)
    if told.worker_user != before.worker_user:
        raise InvalidSetting(
            f"worker_user is {told.worker_user} in the settings of the code that is stored, which whoever deploys "
            "code can change: say as whom it runs with --set worker_user=..., in the environment, or with --config"
        )
    return told


def _read_by_workers(project: Project | None, code: CodeOptions, layouts: Layouts) -> list[Path]:
    """Return what workers have to read, as far as it is there."""
    if project is None:
        return [layouts.folder]
    secrets = project.root / wrangler.DEV_VARS
    return [layouts.folder, Path(code.path), *([secrets] if secrets.exists() else [])]


def _pinning(options: HostOptions, place: Path, layouts: Layouts, told: Settings) -> PinnedSettings:
    return PinnedSettings(
        place, layouts, told.snapshot_size, told.pinned_workers, told.pinned_idle, is_shared=is_database(options.store)
    )


def _settings(options: HostOptions, told: Settings, fetch: FetchOptions | None, facts: FactLog) -> SupervisorSettings:
    return SupervisorSettings(
        grace_s=told.grace / 1000,
        blocked_after_s=told.blocked_after / 1000,
        stuck_after_s=told.stuck_after / 1000,
        told=told,
        variables=options.variables,
        keeps_output=options.keeps_output,
        facts=facts,
        fetch=fetch,
        workers=options.workers,
        account=options.account,
    )
