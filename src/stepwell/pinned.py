"""Workers for instances that stay on earlier code: started when one of those is due, ended when there is nothing to do.

However many snapshots have sleeping instances, they cost rows alone.
"""

import asyncio
import json
import logging
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec
from msgspec import Struct

from stepwell import snapshots, wrangler
from stepwell.clock import Clock, SystemClock
from stepwell.errors import ScriptError, StoreError
from stepwell.facts import fact
from stepwell.places import Layouts
from stepwell.project import Project
from stepwell.store import DueListener, Store
from stepwell.store.operations import ListHoldings
from stepwell.store.snapshot_operations import (
    FindServed,
    GetSnapshot,
    ListSnapshotsDue,
    ReadSnapshotFiles,
    SaveSnapshot,
    Snapshot,
    SnapshotDue,
    SnapshotFile,
)
from stepwell.supervisor import Crew, Supervisor
from stepwell.worker_options import CodeOptions

logger = logging.getLogger(__name__)

# By this number the store knows who listens here; workers have others.
_EAR = -1
# What becomes due comes in bursts; it is looked at once.
_GATHER_S = 0.05
_FIRST_RETRY_AFTER_MS = 1_000
_RETRY_AFTER_MS = 60_000
_SHA_SHOWN = 12
_NAMED_AT_MOST = 5
# How often it is looked where other hosts write, too: what they tell may not arrive.
_LOOK_EVERY_S = 20.0
# Where the stored code that is served lies, among those that are laid out.
_SERVED = "served"


class PinnedSettings(Struct, frozen=True):
    """The file of the store, where snapshots lie, how large one may be, how many run, how long an idle one stays.

    `is_shared`: whether other hosts write to the store, too.
    """

    store: Path
    layouts: Layouts
    most_bytes: int
    most: int
    idle_ms: int
    is_shared: bool = False


class _Running(Struct):
    crew: Crew
    begun_at: int
    busy_at: int

    @property
    def is_gone(self) -> bool:
        """Whether no worker is alive, and none could take its place: the code cannot be loaded any more."""
        return self.crew.failures > 0 and all(child.is_gone for child in self.crew)


class FailedSnapshots:
    """The snapshots whose code could not be started, and when that is tried again; iterated over, those moments."""

    def __init__(self) -> None:
        self._until: dict[int, int] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(self._until.values())

    def add(self, snapshot: int, now: int) -> str:
        """Take note of one more; say after how long it is tried again."""
        # The first time it may have been somebody who killed the process.
        is_first = snapshot not in self._until
        self._until[snapshot] = now + (_FIRST_RETRY_AFTER_MS if is_first else _RETRY_AFTER_MS)
        return "a second" if is_first else "a minute"

    def until(self, snapshot: int) -> int:
        """Return when one may be tried, in milliseconds since the epoch."""
        return self._until.get(snapshot, 0)

    def forget(self, snapshot: int) -> None:
        """Take note that one runs."""
        self._until.pop(snapshot, None)


class PinnedWorkers(DueListener):
    """Keeps workers for the snapshots of an account that are not the one that is served."""

    def __init__(self, store: Store, supervisor: Supervisor, served: CodeOptions, settings: PinnedSettings) -> None:
        self.clock: Clock = SystemClock()
        self._store = store
        self._supervisor = supervisor
        self._served = served
        self._settings = settings
        self._running: dict[int, _Running] = {}
        # Those that are being started, or ended: code may take long to load, or to be left.
        self._changing: dict[int, asyncio.Task[None]] = {}
        self._failed = FailedSnapshots()
        self._has_compared: set[int] = set()
        self._look = asyncio.Event()

    @property
    def layouts(self) -> Layouts:
        """Where snapshots are laid out."""
        return self._settings.layouts

    def serve(self, code: CodeOptions) -> None:
        """Take other code for the one that is served: what was served until now is earlier code from here on."""
        self._served = code
        self._look.set()

    async def run(self, account: str) -> None:
        """Start and end workers, for ever."""
        self._store.listen(_EAR, self)
        try:
            while True:
                self._look.clear()
                try:
                    wait_s = await self._tend(account)
                except Exception:  # a defect must not leave all of them without a worker for ever
                    logger.exception(
                        "workers for earlier code have to wait for a minute", extra=fact("snapshots.failed")
                    )
                    wait_s = _RETRY_AFTER_MS / 1000
                # Not `wait_for`: before Python 3.12 it may lose the cancellation that ends this.
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._look.wait()
                await asyncio.sleep(_GATHER_S)
        finally:
            self._store.ignore(_EAR)
            for change in self._changing.values():
                change.cancel()

    def instance_due(self, at: int) -> None:  # noqa: ARG002 - which snapshot's it is the store is asked
        """Look which snapshots have something due."""
        self._look.set()

    async def _tend(self, account: str) -> float | None:
        """Do what is to be done now; return for how many seconds there is nothing, None: until something is due."""
        now = self.clock.now()
        try:
            due = await self._store.run(ListSnapshotsDue(account, self._served.snapshot, now))
            await self._end_idle(due, now)
        except StoreError as error:
            logger.warning(
                "workers for earlier code have to wait; the store is asked again in a minute: %s",
                error,
                extra=fact("store.refused", error=error),
            )
            return _RETRY_AFTER_MS / 1000
        for one in due:
            if one.due_at <= now and self._may_start(one.snapshot, now):
                self._change(one.snapshot, self._start(one.snapshot))
        return self._wait_s(due, now)

    def _may_start(self, snapshot: int, now: int) -> bool:
        has_place = len(self._running) + len(self._changing) < self._settings.most
        return has_place and self._is_to_start(snapshot, now)

    def _is_to_start(self, snapshot: int, now: int) -> bool:
        has_none = snapshot not in self._running and snapshot not in self._changing
        return has_none and self._failed.until(snapshot) <= now

    def _change(self, snapshot: int, work: Coroutine[Any, Any, None]) -> None:
        change = self._changing[snapshot] = asyncio.get_running_loop().create_task(work)
        change.add_done_callback(lambda done: self._changed(snapshot, done))

    def _changed(self, snapshot: int, change: asyncio.Task[None]) -> None:
        del self._changing[snapshot]
        if not change.cancelled() and (error := change.exception()) is not None:
            self._failed.add(snapshot, self.clock.now())
            logger.error(
                "a worker for snapshot %d could not be started, or ended",
                snapshot,
                exc_info=error,
                extra=fact("snapshot.failed", snapshot=snapshot),
            )
        self._look.set()

    def _wait_s(self, due: list[SnapshotDue], now: int) -> float | None:
        """Return when to look again by the clock: for what will be due, for who may be idle, for what has failed."""
        moments = [one.due_at for one in due if one.due_at > now and one.snapshot not in self._running]
        moments += [moment for moment in self._failed if moment > now]
        if self._running:
            moments.append(now + self._settings.idle_ms // 4)
        wait_s = None if not moments else max(min(moments) - now, 0) / 1000
        if not self._settings.is_shared:
            return wait_s
        return _LOOK_EVERY_S if wait_s is None else min(wait_s, _LOOK_EVERY_S)

    async def _end_idle(self, due: list[SnapshotDue], now: int) -> None:
        """End workers that have been idle for long, and those of the code that is served by now.

        Where others wait for a place, whoever holds nothing has to go.

        If all hold something, it is the one that has had its place for longest, once the others have waited for so long
        that it would have been idle: its attempts get the grace.
        """
        waiting = [one for one in due if one.due_at <= now and self._is_to_start(one.snapshot, now)]
        is_short = bool(waiting) and len(self._running) + len(self._changing) >= self._settings.most
        soon = {one.snapshot for one in due if one.due_at <= now + (0 if is_short else self._settings.idle_ms)}
        ending = []
        # A copy: others may be started meanwhile.
        for snapshot, running in list(self._running.items()):
            is_served = snapshot == self._served.snapshot
            if not (is_served or running.is_gone) and (snapshot in soon or await self._holds_any(running.crew)):
                running.busy_at = now
            elif is_served or running.is_gone or is_short or now - running.busy_at >= self._settings.idle_ms:
                ending.append(snapshot)
        if is_short and not ending and now - waiting[0].due_at >= self._settings.idle_ms:
            ending = sorted(self._running, key=lambda snapshot: self._running[snapshot].begun_at)[:1]
        for snapshot in ending:
            running = self._running.pop(snapshot)
            if running.is_gone:
                self._failed.add(snapshot, now)
            self._change(snapshot, self._end(running.crew))

    async def _holds_any(self, crew: Crew) -> bool:
        for child in crew:
            held = await self._store.run(ListHoldings(child.number, 1))
            if held:
                return True
        return False

    async def _start(self, number: int) -> None:
        snapshot = await self._store.run(GetSnapshot(number))
        if snapshot is None:
            return
        try:
            code = await _lay_out(self._store, snapshot, self.layouts)
            secrets = self._served.secrets
            crew = await self._supervisor.start_pinned(msgspec.structs.replace(code, is_served=False, secrets=secrets))
        except (ScriptError, StoreError, OSError) as error:
            again = self._failed.add(number, self.clock.now())
            logger.error(  # noqa: TRY400 - the author's error, whose report this is
                "the code of snapshot %d (%s) cannot be run; its instances wait, and it is tried again in %s: %s",
                number,
                snapshot.sha256[:_SHA_SHOWN],
                again,
                error,
                extra=fact("snapshot.refused", snapshot=number, error=error),
            )
            return
        self._failed.forget(number)
        self._compare(snapshot)
        self._running[number] = _Running(crew, self.clock.now(), self.clock.now())
        logger.info(
            "a worker runs the instances that stay on snapshot %d",
            number,
            extra=fact("snapshot.started", snapshot=number),
        )

    async def _end(self, crew: Crew) -> None:
        sha256 = crew.code.sha256 or ""
        await self._supervisor.end_pinned(crew)
        await asyncio.to_thread(rmtree, self.layouts.folder / sha256[:_SHA_SHOWN], ignore_errors=True)

    def _compare(self, snapshot: Snapshot) -> None:
        """Warn, once, of installed packages that are not what they were."""
        if snapshot.row in self._has_compared:
            return
        self._has_compared.add(snapshot.row)
        then = {"python": snapshot.python, **json.loads(snapshot.packages)}
        found = snapshots.differences(then, {"python": snapshots.python(), **snapshots.packages()})
        if found:
            more = f", and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
            logger.warning(
                "snapshot %d runs with other packages than it was served with: %s%s",
                snapshot.row,
                "; ".join(found[:_NAMED_AT_MOST]),
                more,
                extra=fact("packages.changed", snapshot=snapshot.row),
            )


async def lay_out_stored(store: Store, account: str, layouts: Layouts) -> CodeOptions:
    """Lay out the snapshot that an account has served last, and return it as the code that is served.

    Raises ScriptError if there is none.
    """
    snapshot = await store.run(FindServed(account))
    if snapshot is None:
        raise ScriptError(f'the store has no code of the account "{account}"; serve files once: stepwell serve PATH')
    # What other servers have left; the store is ours, and so is what lies under its name.
    await asyncio.to_thread(rmtree, layouts.folder, ignore_errors=True)
    return await lay_out_served(store, snapshot, layouts)


async def lay_out_served(store: Store, snapshot: Snapshot, layouts: Layouts) -> CodeOptions:
    """Lay out a snapshot as the code that is served, and return it as that. Raises ScriptError, or StoreError.

    It lies apart from what workers for earlier code run: the same may be both, and comes and goes with each.
    """
    return await _lay_out(store, snapshot, msgspec.structs.replace(layouts, folder=layouts.folder / _SERVED))


def remove_served_but(folder: Path, kept: Iterable[CodeOptions]) -> None:
    """Remove the snapshots that were laid out as what is served, but for some."""
    names = {(code.sha256 or "")[:_SHA_SHOWN] for code in kept}
    for place in (folder / _SERVED).iterdir():
        if place.name not in names:
            rmtree(place, ignore_errors=True)


async def keep_served(store: Store, project: Project, account: str, settings: PinnedSettings) -> CodeOptions:
    """Keep a snapshot of a project in the store, lay it out, and return it as the code that is served.

    Raises ScriptError, or StoreError.
    """
    taken = await asyncio.to_thread(snapshots.take, project, settings.most_bytes, settings.store)
    packages = json.dumps(await asyncio.to_thread(snapshots.packages))
    made_with = (snapshots.python(), packages, list(taken.files), SystemClock().now())
    kept_until = SystemClock().now() + snapshots.TRIED_MS
    is_file = await asyncio.to_thread(project.source.is_file)
    script = wrangler.script_name(project.config, project.source) if is_file else ""
    saved = SaveSnapshot(account, taken.sha256, taken.source, *made_with, kept_until, script)
    number = await store.run(saved)
    await asyncio.to_thread(rmtree, settings.layouts.folder, ignore_errors=True)
    place = await _write(taken.files, settings.layouts, taken.sha256)
    return CodeOptions(str(place / taken.source), number, taken.sha256, secrets=str(project.root))


async def _lay_out(store: Store, snapshot: Snapshot, layouts: Layouts) -> CodeOptions:
    files = await store.run(ReadSnapshotFiles(snapshot.row))
    place = await _write(files, layouts, snapshot.sha256)
    return CodeOptions(str(place / snapshot.source), snapshot.row, snapshot.sha256, deployed=snapshot.deployed)


async def _write(files: Sequence[SnapshotFile], layouts: Layouts, sha256: str) -> Path:
    place = layouts.folder / sha256[:_SHA_SHOWN]
    try:
        await asyncio.to_thread(snapshots.lay_out, files, place, layouts.readers)
    except OSError as error:
        raise ScriptError(f"the snapshot cannot be laid out in {place}: {error}") from error
    return place
