"""A worker: claims instances that are due and holds their turns."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context

import msgspec
from msgspec import Struct

from stepwell.alarms import MovableAlarm
from stepwell.clock import sleep_ms
from stepwell.core.instance import Status, fold
from stepwell.core.records import (
    OUTSIDE,
    Paused,
    Record,
    Recorded,
    Running,
    Waiting,
)
from stepwell.errors import StoreError, StoreUnavailable, TurnLost
from stepwell.facts import fact, fact_of
from stepwell.runner import Turn
from stepwell.scope import install
from stepwell.settings import TurnContext
from stepwell.store import codec
from stepwell.store.operations import (
    LEASE_FOR_EVER,
    SUSPECTS,
    AbandonUnknown,
    Claim,
    ClaimDue,
    Claims,
    ReadHistory,
    RegisterWorker,
    Release,
)
from stepwell.workflow import WorkflowEntrypoint

logger = logging.getLogger(__name__)

_CLAIM_AT_ONCE = 100
_RETRY_AFTER_MS = 1_000
_UNKNOWN_REST_MS = 60_000
_DEFECT_REST_MS = 60_000


# The class of a workflow, by its script and its own name.
Classes = Mapping[tuple[str, str], type[WorkflowEntrypoint]]


class WorkerSettings(Struct, frozen=True):
    """What a worker is: its name, how many turns it holds at most, and of which snapshot it runs the instances."""

    name: str = "worker"
    capacity: int = 500
    snapshot: int = 0


WORKER_SETTINGS = WorkerSettings()


def class_of(
    claim: Claim, workflows: Mapping[str, type[WorkflowEntrypoint]], classes: Classes
) -> type[WorkflowEntrypoint] | None:
    """Return what the store says that an instance's workflow is made of; else what has its name in the files."""
    return classes.get((claim.script, claim.class_name)) or workflows.get(claim.workflow)


class Worker:
    """Claims and runs up to `capacity` turns at a time."""

    def __init__(
        self,
        context: TurnContext,
        workflows: Mapping[str, type[WorkflowEntrypoint]],
        *,
        classes: Classes | None = None,
        settings: WorkerSettings = WORKER_SETTINGS,
    ) -> None:
        """`classes` are those of the scripts, by script and name: of them workflows of other names are made."""
        self.number = 0
        self.turns: dict[int, Turn] = {}
        self._context = context
        self._workflows = workflows
        self._classes = classes or {}
        self._settings = settings
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._due = asyncio.Event()
        self._alarm = MovableAlarm(context.clock, self._due.set)
        self._is_claiming = False
        # Instances told of that have no turn here. Something came while their claim was on its way: its history is old.
        self._told_early: set[int] = set()
        # Turns that came without asking and have not begun, by row; and whether one may come.
        self._given: dict[int, int] = {}
        self._may_be_given = False
        # Whether the last claim got all that was due. What has become due since is told.
        self._has_all = False
        self._is_draining = False
        self._has_complained = False
        # Whether the answer to a claim may have been lost.
        self._may_hold_more = False
        self._unknown: set[str] = set()

    async def start(self) -> None:
        """Make the worker known to the store; `run` may be called then."""
        install(asyncio.get_running_loop())
        now = self._context.clock.now()
        worker = RegisterWorker(self._settings.name, LEASE_FOR_EVER, now, self._settings.snapshot)
        self.number = await self._context.store.run(worker)
        self._context.store.listen(self.number, self)

    async def run(self) -> None:
        """Claim and run turns until `drain` is called and the last turn has ended."""
        try:
            while not self._is_draining:
                await self._claim()
                await self._due.wait()
            await self._take_no_more()
            while self._tasks:
                await asyncio.wait(list(self._tasks))
        finally:
            self._alarm.set(None)
            self._context.store.ignore(self.number)

    def drain(self) -> None:
        """Claim no more, begin no further attempts, and let `run` return when those in flight have ended."""
        self._is_draining = True
        self._due.set()
        for turn in list(self.turns.values()):
            turn.drain()

    def interrupt(self) -> None:
        """Put all instances back now; their attempts in flight are interrupted and do not count."""
        for turn in list(self.turns.values()):
            turn.interrupt()

    async def abandon(self) -> None:
        """Stop as if the process had died: nothing more is written, and what was held stays held."""
        self._is_draining = True
        self._context.store.ignore(self.number)
        for turn in list(self.turns.values()):
            turn.abandon()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def instance_due(self, at: int) -> None:
        """Claim at this moment, when something that nobody holds is due."""
        if at <= self._context.clock.now():
            self._due.set()
        else:
            self._wake(at)

    def instance_told(self, row: int) -> None:
        """Let a turn know that its instance got a record from outside, or was deleted."""
        turn = self.turns.get(row)
        if turn is not None:
            turn.told()
        else:
            self._told_early.add(row)

    def turns_given(self, claims: Sequence[Claim] | None) -> None:
        """Run turns that the store has given to this worker, as it was idle."""
        self._may_be_given = False
        if claims is None:
            self._may_hold_more = True
            self._wake(self._context.clock.now() + _RETRY_AFTER_MS)
            return
        for claim in claims:
            self._given[claim.row] = claim.turn
            self._start(claim)

    @property
    def is_claiming(self) -> bool:
        """Tell whether a claim is under way or wanted."""
        return self._is_claiming or (self._due.is_set() and not self._is_draining)

    def _wake(self, at: int) -> None:
        """Claim at this moment, if not before."""
        if self._alarm.at is None or at < self._alarm.at:
            self._alarm.set(at)

    @property
    def _room(self) -> int:
        """How many turns may be claimed at once. One that is given may be on its way."""
        held = len(self.turns) + len(self._given) + self._may_be_given
        return min(self._settings.capacity - held, _CLAIM_AT_ONCE)

    async def _claim(self) -> None:
        """Take what is due, as far as there is room."""
        self._due.clear()
        self._has_all = False
        self._told_early &= self._given.keys()
        if self._room <= 0:
            await self._take_no_more()
        room = self._room
        if room <= 0:
            # The end of a turn sets the event again.
            return
        self._is_claiming = True
        clock = self._context.clock
        # The answer says what is due next. It may be heard after word of what has come since.
        self._alarm.set(None)
        try:
            await self._abandon_unknown()
            is_idle = not (self.turns or self._given) and self._settings.capacity > 1
            suspects = self._suspects()
            asked = ClaimDue(self.number, clock.now(), room, self._settings.snapshot, suspects, is_idle)
            claims = await self._context.store.run(asked)
        except StoreUnavailable as error:
            self._may_hold_more = True
            if not self._has_complained:
                self._has_complained = True
                logger.warning(
                    "no instance can be claimed; the store is asked again each second: %s",
                    error,
                    extra=fact("store.refused", error=error),
                )
            self._wake(clock.now() + _RETRY_AFTER_MS)
            return
        finally:
            self._is_claiming = False
        self._has_complained = False
        self._may_be_given = is_idle and not claims.turns
        # Beside an instance that has lost turns others like it are left.
        are_suspect = any(suspects) or any(claim.lost_turns for claim in claims.turns)
        self._has_all = len(claims.turns) < room and not are_suspect
        self._begin(claims, room)
        # Each has its turn in `turns` before it is counted for the next claim how many there are.
        await asyncio.sleep(0)

    async def _abandon_unknown(self) -> None:
        """Let be claimed again what a claim has given to this worker without its hearing of it: nobody would run it."""
        if self._may_hold_more:
            known = [(row, turn.claim.turn) for row, turn in self.turns.items()] + list(self._given.items())
            count = await self._context.store.run(AbandonUnknown(self.number, known))
            self._may_hold_more = False
            if count:
                logger.info(
                    "%d instances had been claimed without an answer; they are claimed again",
                    count,
                    extra=fact("claims.unanswered", count=count),
                )

    def _suspects(self) -> tuple[int, ...]:
        """Return how many turns are held of instances that have lost one often, as SUSPECTS counts."""
        losses = [turn.losses for turn in self.turns.values()]
        return tuple(sum(count >= often for count in losses) for often in SUSPECTS)

    def _begin(self, claims: Claims, room: int) -> None:
        for claim in claims.turns:
            self._start(claim)
        if len(claims.turns) == room:
            self._due.set()
        elif claims.next_due_at is not None:
            self._wake(claims.next_due_at)

    def _start(self, claim: Claim) -> None:
        task = asyncio.get_running_loop().create_task(self._hold(claim))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def _go_on(self) -> None:
        """Claim after the end of a turn; where that would find nothing, say when this worker is idle."""
        if not self._has_all or self._due.is_set() or self._is_draining:
            self._due.set()
        elif not (self.turns or self._given or self._may_be_given) and self._settings.capacity > 1:
            self._may_be_given = True
            idle = ClaimDue(self.number, self._context.clock.now(), 0, self._settings.snapshot, is_idle=True)
            self._context.store.run(idle).add_done_callback(self._heard_idle, context=Context())

    def _heard_idle(self, answer: "asyncio.Future[Claims]") -> None:
        if not answer.cancelled() and answer.exception() is not None:
            self._due.set()

    async def _take_no_more(self) -> None:
        """Let the store know that this worker is no longer idle: a claim says so, whatever it asks for."""
        if self._may_be_given:
            with suppress(StoreError):
                await self._context.store.run(ClaimDue(self.number, self._context.clock.now(), 0))
            self._may_be_given = False

    async def _hold(self, claim: Claim) -> None:
        self._given.pop(claim.row, None)
        workflow = class_of(claim, self._workflows, self._classes)
        turn = None
        try:
            if workflow is None:
                self._name_unknown(claim)
                await self._rest(claim, _UNKNOWN_REST_MS)
                return
            if claim.row in self._told_early:
                claim = msgspec.structs.replace(claim, history=None)
            turn = self.turns[claim.row] = Turn(claim, workflow, self._context)
            turn.cleared = self._due.set
            if self._is_draining:
                turn.drain()
            await turn.run()
        except TurnLost:
            logger.info("turn of %s/%s was lost", claim.workflow, claim.id, extra=fact_of(claim, "turn.lost"))
        except StoreError as error:
            # Not `exception`: it is the store's trouble, and its text says all.
            logger.error(  # noqa: TRY400 - see above
                "the turn of %s/%s cannot go on: %s",
                claim.workflow,
                claim.id,
                error,
                extra=fact_of(claim, "turn.broke", error=error),
            )
            await self._rest_if_possible(claim)
        except Exception:  # a defect must end this turn, not the worker
            logger.exception(
                "the turn of %s/%s ended by a defect of Stepwell",
                claim.workflow,
                claim.id,
                extra=fact_of(claim, "turn.failed"),
            )
            await self._rest_if_possible(claim)
        finally:
            # The next turn of the instance may have begun here already.
            if turn is not None:
                if self.turns.get(claim.row) is turn:
                    del self.turns[claim.row]
                turn.let_go()
            self._go_on()

    def _name_unknown(self, claim: Claim) -> None:
        if claim.workflow not in self._unknown:
            self._unknown.add(claim.workflow)
            logger.warning(
                'instance "%s" belongs to workflow "%s", which is not in the files served now; it waits for it',
                claim.id,
                claim.workflow,
                extra=fact_of(claim, "instance.unserved"),
            )

    async def _rest_if_possible(self, claim: Claim) -> None:
        """Put an instance back after a defect; what the store refuses now stays held until this worker ends."""
        with suppress(StoreError, TurnLost):
            await self._rest(claim, _DEFECT_REST_MS)

    async def _rest(self, claim: Claim, rest_ms: int) -> None:
        """Put an instance back that this worker cannot run: another one, or a later version, may.

        However long the store takes: until it is back nobody else gets it, as long as this worker lives.
        """
        has_complained = False
        while True:
            try:
                if await self._put_back(claim, rest_ms):
                    return
                # Something has come from outside, which may have been a pause.
            except StoreUnavailable as error:
                if not has_complained:
                    has_complained = True
                    logger.warning(
                        "%s/%s cannot be put back; it is tried again: %s",
                        claim.workflow,
                        claim.id,
                        error,
                        extra=fact_of(claim, "instance.held", error=error),
                    )
                await sleep_ms(self._context.clock, _RETRY_AFTER_MS)

    async def _put_back(self, claim: Claim, rest_ms: int) -> bool:
        rows = await self._context.store.run(ReadHistory(claim.row, turn=claim.turn))
        if not rows:
            # It has been terminated, restarted or deleted meanwhile, or its workflow has.
            raise TurnLost(claim.row, claim.turn)
        history = codec.from_rows(rows)
        now = self._context.clock.now()
        state = fold(recorded.record for recorded in history)
        match state.status:
            case Status.WAITING_FOR_PAUSE:
                rest: tuple[list[Record], Status, int | None] = ([Paused(now)], Status.PAUSED, None)
            case Status.ROLLING_BACK:
                rest = ([], Status.ROLLING_BACK, now + rest_ms)
            case _:
                rest = ([Waiting(now)], Status.WAITING, now + rest_ms)
        records, status, due_at = rest
        place = (claim.row, claim.turn, _last_n(history), history[-1].seq)
        rows = [codec.to_row(record) for record in records]
        release = Release(*place, rows, state.step_count, status, due_at, None, now)
        return (await self._context.store.run(release)).done


def _last_n(history: Sequence[Recorded]) -> int:
    """Return the number, within the turn that holds the instance, of its last record: that of its claim is 1."""
    n = 0
    for _, record in reversed(history):
        n += not isinstance(record, OUTSIDE)
        if isinstance(record, Running):
            break
    return n
