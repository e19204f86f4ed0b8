"""A worker process, seen from outside: started, asked for signs of life, let go, and buried.

What the author's code does to its process is seen here: the log names instance and step, and the worker's lease is
ended at once, so that what it held is taken up again.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from stepwell import obituary, worker_options
from stepwell.clock import SystemClock
from stepwell.core.open_calls import fold_calls
from stepwell.errors import ScriptError, StoreError
from stepwell.fact_log import FactLog
from stepwell.facts import fact
from stepwell.hangs import Due, Hang, HangReports
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store import Store, codec
from stepwell.store.link import Drain, Interrupt, Loaded, LoadFailed, Message, Ping, Pong, Said
from stepwell.store.operations import LEASE_FOR_EVER, ListHoldings, RenewLease
from stepwell.store.serving import WorkerLine
from stepwell.store.situation_operations import NoteBlocked
from stepwell.watchdog import ASKING
from stepwell.worker_options import CodeOptions, FetchOptions, WorkerOptions

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 5
_LAST_WORDS_S = 5.0
_BURY_AGAIN_S = 1.0


class SupervisorSettings(Struct, frozen=True):
    """How patient the supervisor is, in seconds.

    `grace_s`: how long attempts in flight may go on when their worker is to stop. `blocked_after_s`: when a worker that
    does not answer is named. `stuck_after_s`: when it is killed and replaced.
    """

    grace_s: float = 5.0
    ping_every_s: float = 0.5
    blocked_after_s: float = 1.5
    stuck_after_s: float = 300.0
    restart_pause_s: float = 0.1
    longest_restart_pause_s: float = 5.0
    # How many workers there are, and whose workflows they serve.
    workers: int = 1
    account: str = "local"
    # Names of environment variables that the author's `self.env` has.
    variables: tuple[str, ...] = ()
    # Whether what steps print and log is kept.
    keeps_output: bool = True
    # Where the author's `fetch` is served; None: nowhere.
    fetch: FetchOptions | None = None
    # What the server has been told, for its workers.
    told: Settings = DEFAULT_SETTINGS
    # What keeps the facts that they tell; None: nothing does.
    facts: FactLog | None = None


class WorkerChild:
    """A worker process, from outside."""

    def __init__(self, store: Store, name: str, code: CodeOptions, settings: SupervisorSettings) -> None:
        self.name = name
        self.code = code
        self.workflows: list[str] = []
        self.serves_fetch = False
        self.warnings: list[str] = []
        self.has_served = False
        self.is_gone = False
        # Whether it was killed, as it was blocked for too long.
        self.was_stuck = False
        self.loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store = store
        self._settings = settings
        self._line = WorkerLine(store, self._heard, self._hung_up)
        self._line_ended = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._is_retired = False
        self._is_left = False
        self._retirement: asyncio.Task[None] | None = None
        self._answered_at = 0.0
        self._reports = HangReports()
        self.hang: Hang | None = None
        # What the store has of it: since when it is blocked, and where.
        self._noted: tuple[int | None, str | None] = (None, None)
        self._is_note_refused = False

    @property
    def pid(self) -> int | None:
        """The process id, once it has been started."""
        return self._process.pid if self._process is not None else None

    @property
    def number(self) -> int:
        """The number by which the store knows it; 0 until then."""
        return self._line.worker

    async def start(self, lifeline: int) -> None:
        """Start the process. Whoever is cancelled meanwhile leaves none."""
        ours, theirs = socket.socketpair()
        try:
            await self._start(lifeline, ours, theirs)
        except BaseException:
            self.kill()  # nobody else knows of it yet
            if self._process is not None:
                await self._process.wait()
            self._reports.close()
            ours.close()
            raise

    async def _start(self, lifeline: int, ours: socket.socket, theirs: socket.socket) -> None:
        ours.setblocking(False)
        with theirs, self._reports.open() as reports:
            fetch = self._settings.fetch if self.code.is_served else None
            options = WorkerOptions(
                theirs.fileno(),
                lifeline,
                reports,
                self.code,
                self.name,
                list(self._settings.variables),
                self._settings.keeps_output,
                fetch,
                self._settings.account,
                self._settings.told,
            )
            served = () if fetch is None else (fetch.socket,)
            self._process = await worker_options.start(options, (theirs.fileno(), lifeline, reports, *served))
        await self._line.connect(ours)

    async def watch(self) -> None:
        """Return when the process has ended and what it held can be claimed by others."""
        assert self._process is not None
        pings = asyncio.get_running_loop().create_task(self._ping())
        try:
            code = await self._process.wait()
        finally:
            pings.cancel()
            self._reports.close()
            if self._retirement is not None:
                self._retirement.cancel()
        # What it said last is still to be read. This comes to an end, unless the author's code made a copy of its end.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._line_ended.wait(), _LAST_WORDS_S)
        await self._bury(code)

    def retire(self, grace_s: float) -> None:
        """Let the process end: at once when nothing is in flight, else within the grace."""
        if not self._is_retired:
            self._is_retired = True
            self._retirement = asyncio.get_running_loop().create_task(self._retire(grace_s))

    def leave(self) -> None:
        """Let its lease end with that of this process, where the store is not there to end it."""
        self._is_left = True

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _retire(self, grace_s: float) -> None:
        self._line.say(Drain())
        await asyncio.sleep(grace_s)
        self._line.say(Interrupt())
        # Enough to record what is interrupted; a worker that is blocked will not.
        await asyncio.sleep(2.0)
        self.kill()

    async def _bury(self, code: int) -> None:
        """Say what died and what it was doing, and end its lease."""
        if not self.loaded.done():
            self.loaded.set_exception(ScriptError(f"{self.name} {obituary.how(code)} while it loaded the workflows"))
            # Whoever waits sees it; if nobody does, it is in the log below.
            self.loaded.exception()
        was_expected = self._is_retired and code == 0
        held = await self._end_lease(was_expected)
        if not was_expected and self.has_served:
            logger.warning(
                "%s (pid %s) %s; %s",
                self.name,
                self.pid,
                obituary.how(code),
                obituary.doing(held),
                extra=fact("worker.died", worker=self.name, pid=self.pid, held=held),
            )

    async def _end_lease(self, was_expected: bool) -> list[str]:
        """End the lease of a worker that is gone; return what it held, unless it had put back all.

        However long the store is not there: else nobody would ever claim that, as this process is alive.
        """
        has_complained = False
        while True:
            try:
                held = [] if was_expected else await self._last_holdings()
                await self._line.end_lease()
                return held
            except StoreError as error:
                if not has_complained:
                    has_complained = True
                    logger.error(  # noqa: TRY400 - no defect of ours
                        "cannot end the lease of %s yet: %s",
                        self.name,
                        error,
                        extra=fact("lease.unended", worker=self.name, error=error),
                    )
            if self._is_left:
                return []
            await asyncio.sleep(_BURY_AGAIN_S)

    def _heard(self, message: Message) -> None:
        match message:
            case Loaded(workflows=workflows, serves_fetch=serves_fetch, warnings=warnings):
                self.workflows = workflows
                self.warnings = warnings
                self.serves_fetch = serves_fetch
                self.has_served = True
                if not self.loaded.done():
                    self.loaded.set_result(None)
            case LoadFailed(report=report):
                if not self.loaded.done():
                    self.loaded.set_exception(ScriptError(report))
            case Said(fact=said):
                if self._settings.facts is not None:
                    self._settings.facts.hear(self.name, said)
            case Pong():
                self._answered_at = asyncio.get_running_loop().time()
                self._reports.forget()
            case _:
                logger.debug("unexpected %s from %s", type(message).__name__, self.name)

    async def _ping(self) -> None:
        """Ask the worker's event loop for a sign of life; name it when it is blocked, kill it when it stays so."""
        with suppress(ScriptError):
            await asyncio.shield(self.loaded)
        time = asyncio.get_running_loop().time
        self._answered_at = time()
        for number in itertools.count(1):
            self._line.say(Ping(number))
            await asyncio.sleep(self._settings.ping_every_s)
            await self._look(time() - self._answered_at)

    async def _look(self, silent_s: float) -> None:
        """Do about a worker's silence what is due."""
        settings = self._settings
        if silent_s < settings.blocked_after_s:
            self.hang = None
            await self._note(None)
        elif silent_s >= settings.stuck_after_s:
            logger.warning(
                "%s (pid %s) has been blocked for %.0f s and is killed; %s. %s",
                *(self.name, self.pid, silent_s),
                await self._doing(),
                obituary.place(await self._reports.stack()),
                extra=fact("worker.stuck", worker=self.name, pid=self.pid, seconds=round(silent_s, 1)),
            )
            self.was_stuck = True
            self.kill()
        else:
            since = SystemClock().now() - int(silent_s * 1000)
            hang = self.hang = self.hang or Hang(since, settings.blocked_after_s)
            await self._act(hang, silent_s)

    async def _act(self, hang: Hang, silent_s: float) -> None:
        """Do about a worker that is blocked what is due: ask it where, name it, renew where it is."""
        due = hang.due(silent_s, has_report=self._reports.is_fresh)
        if due is Due.NOTHING:
            return
        if due is Due.ASK:
            self._ask()
            return
        stack = await self._reports.stack()
        if due is Due.TELL:
            logger.warning(
                "%s (pid %s) has been blocked for %.1f s; %s. A step or `fetch` that blocks should be a plain `def`: "
                "it then runs in a thread. %s",
                *(self.name, self.pid, silent_s),
                await self._doing(),
                obituary.place(stack),
                extra=fact("worker.blocked", worker=self.name, pid=self.pid, seconds=round(silent_s, 1), place=stack),
            )
        await self._note(hang.since, stack)

    def _ask(self) -> None:
        """Have a worker that is blocked write where it is."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(ASKING)

    async def _note(self, since: int | None, stack: Sequence[str] = ()) -> None:
        """Let the status tell since when the worker is blocked, and where; None: it is not."""
        note = since, "\n".join(stack) or None
        if note == self._noted:
            return
        try:
            await self._store.run(NoteBlocked(self._line.worker, *note))
        except StoreError as error:
            # Once, as it is tried again with each ping.
            if not self._is_note_refused:
                logger.error(  # noqa: TRY400 - no defect of ours
                    "cannot note whether %s is blocked: %s",
                    self.name,
                    error,
                    extra=fact("store.refused", worker=self.name, error=error),
                )
            self._is_note_refused = True
            return
        self._noted, self._is_note_refused = note, False

    def _hung_up(self) -> None:
        self._line_ended.set()

    async def _last_holdings(self) -> list[str]:
        """Return what a dead worker holds, once everything that it sent is written."""
        # Writes are done in order, so when this one is, those before it are.
        await self._store.run(RenewLease(self._line.worker, LEASE_FOR_EVER))
        return await self._holdings()

    async def _doing(self) -> str:
        """Return what the worker is running, in words."""
        try:
            return obituary.doing(await self._holdings())
        except StoreError as error:
            return f"what it was running is not known ({error})"

    async def _holdings(self) -> list[str]:
        """Return what the worker holds, as `workflow/id step`, latest change first."""
        if not self._line.worker:
            return []
        holdings = await self._store.run(ListHoldings(self._line.worker, _NAMED_AT_MOST))
        return [
            f"{holding.workflow}/{holding.id} {obituary.in_flight(fold_calls(codec.from_rows(holding.records)))}"
            for holding in holdings
        ]
