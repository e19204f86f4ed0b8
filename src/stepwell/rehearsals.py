"""Rehearsals of many instances: what would become of all that have not ended, if they ran on other code.

The code runs in a process of its own, which has the limits of a worker, is given reads of the store alone, and is ended
and replaced when an instance makes it hang or die.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec import Struct

from stepwell import snapshots
from stepwell.code_process import CodeProcess
from stepwell.core.instance import UNFINISHED
from stepwell.errors import InstanceNotFound, ScriptError, StoreUnavailable
from stepwell.outlook import Call, Outlook, Verdict
from stepwell.places import Layouts
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store import Store
from stepwell.store.link import Message, Rehearse, Rehearsed
from stepwell.store.operations import Claim, InstanceRow
from stepwell.store.search_operations import SearchInstances, Wanted
from stepwell.store.snapshot_operations import SnapshotFile
from stepwell.store.transfer_operations import ExportInstance
from stepwell.worker_options import CodeOptions, WorkerOptions

_AT_ONCE = 100
_SAY_EVERY_S = 1.0
# Whether there are too many is decided where they run.
_MOST_STEPS = 2**31


class RehearsalSettings(Struct, frozen=True):
    """Whose workflows the code is of, what it is told, and how long one instance, and its loading, may take.

    `root`: the folder in which the code lies, without which its files are named.
    """

    root: str
    account: str = "local"
    variables: tuple[str, ...] = ()
    told: Settings = DEFAULT_SETTINGS
    instance_s: float = 20.0
    loading_s: float = 60.0


class Trying(Struct, frozen=True):
    """Where code that is only tried may lie for a while, and what it is given: as `CodeOptions.secrets`, and so on."""

    layouts: Layouts
    told: Settings = DEFAULT_SETTINGS
    secrets: str | None = None
    variables: tuple[str, ...] = ()

    @asynccontextmanager
    async def rehearsing(
        self, store: Store, account: str, files: Sequence[SnapshotFile], source: str
    ) -> AsyncIterator["Rehearsals"]:
        """Lay files out, and give what rehearses on them; nothing of them is left.

        Raises ScriptError or StoreUnavailable.
        """
        folder = self.layouts.folder / uuid.uuid4().hex
        try:
            await self._lay_out(files, folder)
            code = CodeOptions(str(folder / source), secrets=self.secrets)
            settings = RehearsalSettings(str(folder), account, self.variables, self.told)
            async with Rehearsals(store, code, settings) as rehearsals:
                yield rehearsals
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _lay_out(self, files: Sequence[SnapshotFile], folder: Path) -> None:
        try:
            await asyncio.to_thread(snapshots.lay_out, files, folder, self.layouts.readers)
        except OSError as error:
            raise StoreUnavailable(f"the code cannot be laid out in {folder}: {error}") from error


class CheckedInstance(msgspec.Struct, frozen=True):
    """An instance that has not ended, and what would become of it; see `Outlook`."""

    workflow: str
    id: str
    version: str
    status: str
    verdict: str
    problem: str | None
    where: str | None
    anew: tuple[Call, ...]
    unused: tuple[str, ...]
    skipped: tuple[str, ...]


class CheckStand(msgspec.Struct, frozen=True):
    """How many instances have been looked at, how many of each verdict there are, and whether those are all."""

    looked_at: int
    verdicts: dict[str, int]
    is_done: bool


class Rehearsals:
    """Rehearses instances of a store against some code. `async with` starts the process, and raises ScriptError."""

    def __init__(self, store: Store, code: CodeOptions, settings: RehearsalSettings) -> None:
        self._store = store
        self._code = code
        self._settings = settings
        self._running: _Process | None = None
        # What is left out of the places of its files.
        self._root = f"{settings.root}{os.sep}"

    async def __aenter__(self) -> "Rehearsals":
        """Start the process. Raises ScriptError if it cannot load the code."""
        self._running = await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        if self._running is not None:
            await self._running.end()

    async def rehearse(self, account: str, workflow: str, id: str) -> Outlook:
        """Return what would become of an instance. Raises WorkflowNotFound or InstanceNotFound."""
        while True:
            found = await self._store.run(ExportInstance(account, workflow, id))
            facts = found.facts
            claim = Claim(
                found.row,
                facts.turn,
                0,
                account,
                workflow,
                id,
                facts.version,
                facts.created_at,
                0,
                script=facts.script,
                class_name=facts.class_name,
                step_limit=_MOST_STEPS,
            )
            outlook = await self._ask(claim)
            if outlook is not None:
                return self._placed(outlook)

    async def all(self, account: str, workflow: str | None = None) -> AsyncIterator[tuple[InstanceRow, Outlook]]:
        """Yield each instance that has not ended, newest first, and what would become of it.

        Of a workflow, or of all (None). Raises WorkflowNotFound.
        """
        sought = Wanted(statuses=tuple(UNFINISHED))
        after: tuple[int, int] | None = None
        while True:
            page = await self._store.run(SearchInstances(account, workflow, sought, 0, _AT_ONCE, after))
            for row in (found.row for found in page.instances):
                # One that was deleted meanwhile has no need of an outlook.
                with suppress(InstanceNotFound):
                    yield row, await self.rehearse(account, row.workflow, row.id)
            after = page.looked_to
            if after is None:
                return

    async def check(
        self, account: str, workflow: str | None = None
    ) -> AsyncGenerator[CheckedInstance | CheckStand, None]:
        """Yield each instance that would not simply go on, and how far that is: at first, now and then, and at the end.

        Raises WorkflowNotFound.
        """
        verdicts = dict.fromkeys(map(str, Verdict), 0)
        time = asyncio.get_running_loop().time
        said_at = time()
        yield CheckStand(0, dict(verdicts), is_done=False)
        async for row, outlook in self.all(account, workflow):
            verdicts[outlook.verdict] += 1
            if outlook.verdict is not Verdict.GOES_ON:
                yield CheckedInstance(
                    row.workflow,
                    row.id,
                    row.version,
                    row.status,
                    outlook.verdict,
                    outlook.problem,
                    outlook.where,
                    outlook.anew,
                    outlook.unused,
                    outlook.skipped,
                )
            if time() - said_at >= _SAY_EVERY_S:
                said_at = time()
                yield CheckStand(sum(verdicts.values()), dict(verdicts), is_done=False)
        yield CheckStand(sum(verdicts.values()), dict(verdicts), is_done=True)

    def _placed(self, outlook: Outlook) -> Outlook:
        """Return an outlook that names files by where they lie below the code's folder."""
        root = self._root
        return msgspec.structs.replace(
            outlook,
            problem=outlook.problem and outlook.problem.replace(root, ""),
            where=outlook.where and outlook.where.removeprefix(root),
            anew=tuple(
                Call(call.step, call.type, call.where and call.where.removeprefix(root)) for call in outlook.anew
            ),
        )

    async def _ask(self, claim: Claim) -> Outlook | None:
        process = self._running
        if process is None:
            process = self._running = await self._start()
        try:
            async with asyncio.timeout(self._settings.instance_s):
                return await process.rehearse(claim)
        except TimeoutError:
            problem = f"it has not come to rest within {self._settings.instance_s:.0f} s: its code runs on, or blocks"
        except ChildProcessError as error:
            problem = f"the process that replayed it {error}"
        self._running = None
        await process.end()
        return Outlook(Verdict.UNKNOWN, problem=problem)

    async def _start(self) -> "_Process":
        process = _Process(self._store)
        try:
            async with asyncio.timeout(self._settings.loading_s):
                await process.start(self._code, self._settings)
        except TimeoutError:
            await process.end()
            raise ScriptError(f"the code was not loaded within {self._settings.loading_s:.0f} s") from None
        except ScriptError as error:
            await process.end()
            raise ScriptError(str(error).replace(self._root, "")) from error
        except BaseException:
            await process.end()
            raise
        return process


class _Process:
    """The process that rehearses, from outside."""

    def __init__(self, store: Store) -> None:
        # Imported here: it loads what runs turns, and most servers never rehearse.
        from stepwell.rehearsal import ReadingStore  # noqa: PLC0415 - see above

        self._process = CodeProcess(ReadingStore(store), self._heard)
        self._number = 0
        self._waiting: asyncio.Future[Outlook | None] | None = None

    async def start(self, code: CodeOptions, settings: RehearsalSettings) -> None:
        """Start the process; return when it has loaded the code. Raises ScriptError."""
        options = WorkerOptions(
            0,
            0,
            0,
            msgspec.structs.replace(code, is_known=True),
            "rehearsal",
            list(settings.variables),
            keeps_output=False,
            account=settings.account,
            settings=settings.told,
            rehearses=True,
        )
        # What the code prints it has printed before.
        await self._process.start(options, asyncio.subprocess.DEVNULL)

    async def rehearse(self, claim: Claim) -> Outlook | None:
        """Return what would become of an instance; None: it has changed meanwhile. Raises ChildProcessError."""
        self._number += 1
        self._waiting = asyncio.get_running_loop().create_future()
        self._process.say(Rehearse(self._number, claim))
        return await self._process.answered(self._waiting)

    async def end(self) -> None:
        """End the process."""
        await self._process.end()

    def _heard(self, message: Message) -> None:
        match message:
            case Rehearsed(number=number, outlook=outlook) if number == self._number:
                if self._waiting is not None and not self._waiting.done():
                    self._waiting.set_result(outlook)
