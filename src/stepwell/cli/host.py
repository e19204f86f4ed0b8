"""What all servers are: a store that is open, the code that is run, and its workers. HTTP is not in it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from stepwell import durations
from stepwell.adoption import Adoption
from stepwell.cli.failures import FAILED, Failure
from stepwell.cli.places import place_beside
from stepwell.errors import CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError
from stepwell.leftovers import Leftovers
from stepwell.logs import configure
from stepwell.pinned import PinnedSettings, PinnedWorkers, keep_served, lay_out_stored, layouts_of
from stepwell.project import Project
from stepwell.server_settings import Settings, tell
from stepwell.store import Store
from stepwell.store.opening import file_of, is_database, open_store, shown
from stepwell.store.sharing import SharedStore
from stepwell.supervisor import Supervisor, SupervisorSettings
from stepwell.terminations import Terminations
from stepwell.worker_options import CodeOptions, FetchOptions


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
    variables: tuple[str, ...] = ()
    keeps_output: bool = True
    # Settings as they are given on the command line: NAME=VALUE.
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """What is running, and what runs it. `place`: what lies beside the store is called after it."""

    options: HostOptions
    project: Project
    told: Settings
    store: Store
    place: Path
    code: CodeOptions
    supervisor: Supervisor

    @contextlib.asynccontextmanager
    async def tending(self, terminations: Terminations) -> AsyncIterator[None]:
        """Look, meanwhile, after earlier code, what others serve later, and what others have left half done."""
        tending = asyncio.create_task(self._tend(terminations))
        try:
            yield
        finally:
            tending.cancel()

    def print_start(self) -> None:
        """Print what is run, and where it is kept."""
        store = self.options.store
        click.echo(f"Data: {shown(store) if is_database(store) else self.place.parent}")
        if self.code.snapshot:
            click.echo(f"Code: snapshot {self.code.snapshot}; instances that are running stay on theirs")
        click.echo(f"Workflows: {', '.join(self.supervisor.workflows)}")

    def print_stop(self) -> None:
        """Print that it stops, and what the steps in flight have of it."""
        grace = durations.in_words(self.told.grace)
        click.echo(f"Stopping; steps in flight have {grace} to end (Ctrl-C again: stop at once)")

    async def _tend(self, terminations: Terminations) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_others())
            if is_database(self.options.store):
                tasks.create_task(Leftovers(self.store, terminations).run())

    async def _run_others(self) -> None:
        """Run the instances that stay on earlier code; where the files are watched, none does."""
        if not self.code.snapshot:
            return
        account = self.options.account
        pinned = PinnedWorkers(self.store, self.supervisor, self.code, _pinning(self.options, self.place, self.told))
        adoption = Adoption(self.store, self.supervisor, pinned, layouts_of(self.place))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pinned.run(account))
            if self.options.is_stored and is_database(self.options.store):
                tasks.create_task(adoption.run(account, self.code))


def run_to_end(serving: Coroutine[Any, Any, None]) -> int:
    """Run a server until it ends; return the exit code. Raises Failure."""
    configure()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serving)
            return 0
    except (CannotListen, InvalidInput, InvalidSetting, ScriptError, StoreError) as error:
        click.echo(f"error: {error}", err=True)
        return 1


@contextlib.asynccontextmanager
async def open_host(options: HostOptions, fetch: FetchOptions | None = None) -> AsyncIterator[Host]:
    """Open the store, take the code or lay it out, and make ready what runs it; end all of that at the end.

    `fetch`: where the author's `fetch` is served.
    """
    _check_variables(options.variables)
    # Looked at first: a wrong path or setting leaves nothing behind.
    files = None if options.is_stored else _project(options.path, options)
    async with contextlib.AsyncExitStack() as opened:
        first = _told_first(options, files)
        store = open_store(options.store, first.host_lease, first.page_timeout)
        opened.push_async_callback(store.close)
        _share(options, store, opened)
        place = opened.enter_context(place_beside(options.store))
        project, told, code = await _code(options, store, place, files)
        supervisor = Supervisor(store, code, _settings(options, told, fetch))
        opened.push_async_callback(supervisor.stop)
        yield Host(options, project, told, store, place, code, supervisor)


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def _check_variables(names: Sequence[str]) -> None:
    for name in names:
        if name not in os.environ:
            missing = f"--env {name}: there is no environment variable of this name"
            raise Failure(missing, FAILED, "set it, or leave it out")


def _told_first(options: HostOptions, files: tuple[Project, Settings] | None) -> Settings:
    """Return what is needed before the store is open, from which the file of settings may have to come."""
    return tell(options.settings, os.environ, None).settings if files is None else files[1]


def _share(options: HostOptions, store: Store, opened: contextlib.AsyncExitStack) -> None:
    """Let other commands use the store's file; those that need a database open it themselves."""
    if not is_database(options.store):
        shared = SharedStore(store, file_of(options.store))
        opened.push_async_callback(shared.close)
        shared.start()


def _project(path: str, options: HostOptions) -> tuple[Project, Settings]:
    project = Project.at(Path(path))
    return project, tell(options.settings, os.environ, project.root).settings


async def _code(
    options: HostOptions, store: Store, place: Path, files: tuple[Project, Settings] | None
) -> tuple[Project, Settings, CodeOptions]:
    """Return what workers run: the files as they are, where they are watched; else a snapshot, of them or stored."""
    if files is None:
        code = await lay_out_stored(store, options.account, layouts_of(place))
        # What was served in a database is known there; saying it again could undo what another host serves by now.
        code = msgspec.structs.replace(code, is_known=is_database(options.store))
        return *_project(code.path, options), code
    project, told = files
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
