"""New workers whenever a file of the author's changes."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Set
from pathlib import Path

import click
import watchfiles

from stepwell.errors import ScriptError
from stepwell.project import Project
from stepwell.supervisor import Supervisor
from stepwell.wrangler import CONFIG_FILES, DEV_VARS

_IGNORES = watchfiles.DefaultFilter(ignore_dirs=(*watchfiles.DefaultFilter.ignore_dirs, ".stepwell"))
_WATCHED_SUFFIXES = (".py", ".toml", ".json", ".jsonc")

Fingerprint = dict[str, tuple[int, int]]


def fingerprint(project: Project) -> Fingerprint:
    """Return what tells whether the author's files have changed."""
    beside = [file for name in CONFIG_FILES if (file := project.root / name).exists()]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in [*project.files, *beside]}


async def reload_on_change(
    watched: tuple[Project, Path], supervisor: Supervisor, loaded: Fingerprint, print_fetch: Callable[[], None]
) -> None:
    """Reload at each change since `loaded`, for ever. Code that cannot be loaded is reported; the old keeps serving.

    `watched`: the code, and the file of settings, of which a change is only told.
    """
    project, named = watched
    is_first = True
    # As the watcher spells what lies in the project's folder.
    settings = named.parent.resolve() / named.name
    async for changes in _changes(project, settings):
        # A change before the watcher was at work is not told; so it is looked for once.
        if not changes and not (is_first and loaded != fingerprint(project)):
            is_first = False
            continue
        is_first = False
        if str(settings) in {changed for _, changed in changes}:
            click.echo(f"{settings.name} changed; settings are read when the server starts: start it again")
            if len(changes) == 1:
                continue
        names = ", ".join(sorted({Path(changed).name for _, changed in changes})) or "the source"
        had_fetch = supervisor.serves_fetch
        try:
            await supervisor.reload()
        except ScriptError as error:
            click.echo(f"{names} changed, but the old code keeps serving:\n{error}", err=True)
        else:
            click.echo(f"{names} changed; now serving: {', '.join(supervisor.workflows)}")
            if not had_fetch:
                print_fetch()


async def _changes(project: Project, settings: Path) -> AsyncIterator[Set[tuple[watchfiles.Change, str]]]:
    """Yield what has changed; at least once a second, nothing if it is so."""
    # Not `awatch`, for which anyio would load all that it has.
    leaving = threading.Event()
    changes = watchfiles.watch(
        *_places(project, settings),
        watch_filter=functools.partial(_is_watched, str(settings)),
        debounce=200,
        step=50,
        stop_event=leaving,
        rust_timeout=1_000,
        yield_on_timeout=True,
    )
    try:
        while (changed := await asyncio.to_thread(next, changes, None)) is not None:
            yield changed
    finally:
        # Its thread sees it within a step.
        leaving.set()


def _places(project: Project, settings: Path) -> list[Path]:
    # What is no file, such as a pipe, has been read and never changes.
    is_elsewhere = settings.is_file() and not settings.is_relative_to(project.root)
    return [project.root, settings] if is_elsewhere else [project.root]


def _is_watched(settings: str, change: watchfiles.Change, path: str) -> bool:
    is_source = path.endswith(_WATCHED_SUFFIXES) or Path(path).name == DEV_VARS
    return path == settings or (is_source and _IGNORES(change, path))
