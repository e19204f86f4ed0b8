"""How a turn ends: the reasons for it, and what each of them does to the instance."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, assert_never

from msgspec import Struct
from msgspec.structs import replace

from stepwell import values
from stepwell.attempts import Attempts
from stepwell.core.execution import Execution
from stepwell.core.failures import Failure, describe
from stepwell.core.instance import Status
from stepwell.core.records import Paused, Record, Waiting
from stepwell.errors import UnreadableValue, WorkflowInternalError
from stepwell.facts import fact_of
from stepwell.notes import Notebook
from stepwell.problems import trace_of
from stepwell.recorder import Ending, Recorder
from stepwell.scope import AuthorExit, left_after
from stepwell.settings import TurnContext
from stepwell.store.operations import Claim
from stepwell.values import Classes

logger = logging.getLogger(__name__)

# Tasks that outlive `run`, by name in the log.
_NAMED_AT_MOST = 5

# How long an instance rests after a defect of ours, or a damaged history, ended its turn.
BROKEN_REST_MS = 60_000


class Park(Struct, frozen=True):
    """Everything waits, and nothing will happen before this moment; None: before something comes from outside."""

    due_at: int | None


class Returned(Struct, frozen=True):
    """The author's `run` has returned or raised."""

    task: asyncio.Task[Any]


class Stuck(Struct, frozen=True):
    """The author's code has waited too long for something outside of its steps; `where` says for what."""

    where: str


class Drained(Struct, frozen=True):
    """The worker stops, or has to let the instance go; or it is to be paused, and nothing of it can go on."""


class Fatal(Struct, frozen=True):
    """An attempt failed in a way that nothing can catch."""

    error: Failure


class Lost(Struct, frozen=True):
    """Another worker has the instance."""


class Broken(Struct, frozen=True):
    """The engine has a defect, or the history is damaged."""

    error: BaseException


class Collected(Struct, frozen=True):
    """The instance is rolled back, and `run` has been replayed as far as it goes: its rollbacks are known."""


Reason = Park | Returned | Collected | Stuck | Drained | Fatal | Lost | Broken


class Wish:
    """The reason for which a turn is to end, once there is one."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self._is_there = asyncio.Event()

    def end_for(self, reason: Reason, *, is_over: bool) -> None:
        """Wish that the turn ends for a reason, unless there is one that counts for more; `is_over`: it is ending."""
        # A wish to park gives way to anything; one to let go, to an error that a replay could catch; all, to a loss.
        is_fatal = isinstance(reason, Fatal) and isinstance(self.reason, Drained) and not is_over
        if self.reason is None or isinstance(self.reason, Park) or is_fatal or isinstance(reason, Lost):
            self.reason = reason
            self._is_there.set()

    def forget(self) -> None:
        """Let the turn go on."""
        self.reason = None
        self._is_there.clear()

    async def wait(self) -> None:
        """Wait until there is a reason."""
        await self._is_there.wait()


# What a turn has left when it has parted with the rest: enough to say that it is over, and to give back later a slot
# that could not be given back.
_KEPT = frozenset({"claim", "clock", "is_over", "_wish"})


def part(turn: object) -> None:
    """Let a turn that is over have nothing that leads back to it.

    Left to the garbage collector it was 24 KB an instance, and after twelve thousand instances a pause of 2.9 s.
    """
    for name in vars(turn).keys() - _KEPT:
        delattr(turn, name)


async def abandoned(alive: Callable[[], list[asyncio.Task[Any]]], claim: Claim, grace_ms: int) -> int:
    """Wait a little for what is alive of a turn that is over; return how many tasks are, all the same."""
    left = len(await left_after(alive, grace_ms))
    if left:
        logger.warning(
            "%d tasks of %s/%s did not end when their turn did; they are abandoned",
            left,
            claim.workflow,
            claim.id,
            extra=fact_of(claim, "tasks.abandoned"),
        )
    return left


def poisoned(lost_turns: int) -> Failure:
    """Return the error of an instance whose turns are lost again and again."""
    return Failure(
        WorkflowInternalError.name,
        f"The worker process was lost {lost_turns} times in a row while this instance ran, so it is not tried again. "
        "The log names the step that ran; restart the instance when the cause is mended.",
    )


class EndingHost(Protocol):
    """The turn, as its end sees it."""

    claim: Claim
    classes: Classes
    notebook: Notebook

    def left_behind(self) -> list[str]:
        """Return where the tasks are that `run` has begun and that are still alive."""


class Endings:
    """Ends the turn of a claim. Attempts in flight are stopped first and recorded as interrupted."""

    def __init__(self, host: EndingHost, context: TurnContext, recorder: Recorder, attempts: Attempts) -> None:
        self._host = host
        self._claim = host.claim
        self._classes = host.classes
        self._notebook = host.notebook
        self._clock = context.clock
        self._settings = context.settings
        self._recorder = recorder
        self._attempts = attempts

    async def end(self, reason: Reason, execution: Execution) -> bool:
        """Let the instance go; False if something came from outside that the author's code has to meet first."""
        match reason:
            case Park(due_at=due_at):
                return await self._park(execution, due_at)
            case Returned(task=task) if execution.is_rolling_back:
                await self._finish_rollback(execution, task)
            case Returned(task=task):
                return await self._finish(execution, task)
            case Fatal(error=error):
                await self._stop_attempts(execution)
                await self.give_up(execution, error)
            case Drained():
                await self._stop_attempts(execution)
                await self._put_back(execution, [], Ending(self._running(execution), self._clock.now()))
            case Stuck(where=where):
                await self._rest_stuck(execution, where)
            case Broken(error=error):
                await self._rest_broken(execution, error)
            case Collected():
                # The turn goes on with the rollbacks.
                return False
            case Lost():
                logger.info(
                    "turn of %s/%s was lost",
                    self._claim.workflow,
                    self._claim.id,
                    extra=fact_of(self._claim, "turn.lost"),
                )
            case _:
                assert_never(reason)
        return True

    async def give_up(self, execution: Execution, error: Failure) -> None:
        """End the instance with an error."""
        execution.errored(error, self._clock.now())
        await self._release_final(execution)

    async def _park(self, execution: Execution, due_at: int | None) -> bool:
        if execution.is_rolling_back:
            return await self._release(execution, [], Ending(Status.ROLLING_BACK, due_at))
        return await self._release(execution, [Waiting(self._clock.now())], Ending(Status.WAITING, due_at))

    def _running(self, execution: Execution) -> Status:
        return Status.ROLLING_BACK if execution.is_rolling_back else Status.RUNNING

    async def _finish(self, execution: Execution, task: asyncio.Task[Any]) -> bool:
        """End the instance; False: it is to be rolled back first."""
        left = self._host.left_behind()
        if left:
            more = "" if len(left) <= _NAMED_AT_MOST else f"; and {len(left) - _NAMED_AT_MOST} more"
            named = ", ".join(left[:_NAMED_AT_MOST]) + more
            self._notebook.engine("WARNING", f"run has ended before tasks of its own, which are cancelled: {named}")
        await self._stop_attempts(execution)
        try:
            output = _output(task.result(), self._classes, execution.rules.result_bytes)
        except BaseException as error:  # the author's own, whatever it is; our own task was not cancelled
            cause = error.error if isinstance(error, AuthorExit) else error
            self._notebook.engine("ERROR", trace_of(cause))
            failure = describe(cause, self._classes)
            if execution.to_roll_back():
                return await self._start_rollback(execution, failure)
            await self.give_up(execution, failure)
            return True
        execution.completed(output, self._clock.now())
        await self._release_final(execution)
        return True

    async def _start_rollback(self, execution: Execution, failure: Failure) -> bool:
        """Record that run failed, durably, before the first rollback runs."""
        execution.start_rollback(failure, self._clock.now())
        self._recorder.record(execution.take(), execution.state.step_count)
        await self._recorder.durable()
        self._recorder.check()
        return False

    async def _finish_rollback(self, execution: Execution, task: asyncio.Task[Any]) -> None:
        await self._stop_attempts(execution)
        failure = None
        # The author's own error, or that a rollback is missing; our own task was not cancelled.
        if (error := task.exception()) is not None:
            self._notebook.engine("ERROR", f"rollback: {error}")
            failure = describe(error, self._classes)
        execution.rolled_back(failure, self._clock.now())
        await self._release_final(execution)

    async def _stop_attempts(self, execution: Execution) -> None:
        await self._attempts.stop(self._settings.close_grace_ms)
        execution.interrupt_attempts(self._clock.now())

    async def _rest_stuck(self, execution: Execution, where: str) -> None:
        rest_ms = self._settings.foreign_wait_ms
        logger.warning(
            "%s/%s has waited for %s for %d s outside of its steps; its turn is closed and it will be replayed. "
            "Put such waits into a step.",
            self._claim.workflow,
            self._claim.id,
            where,
            rest_ms // 1000,
            extra=fact_of(self._claim, "turn.stuck", place=where),
        )
        now = self._clock.now()
        due_at = min(execution.next_due() or now + rest_ms, now + rest_ms)
        if execution.is_rolling_back:
            await self._put_back(execution, [], Ending(Status.ROLLING_BACK, due_at))
        else:
            await self._put_back(execution, [Waiting(now)], Ending(Status.WAITING, due_at))

    async def _rest_broken(self, execution: Execution, error: BaseException) -> None:
        # What the store refused is not on record: whoever holds the turn puts the instance back as it is there.
        self._recorder.check()
        self._tell_broken(error)
        await self._stop_attempts(execution)
        # A history that could not be read has no status; the claim made it running. So does a resume.
        status = Status.RUNNING if execution.is_pausing else execution.state.status or Status.RUNNING
        await self._put_back(execution, [], Ending(status, self._clock.now() + BROKEN_REST_MS))

    def _tell_broken(self, error: BaseException) -> None:
        if isinstance(error, UnreadableValue):
            text = f"{error}. Nothing is lost: the instance rests for a minute, and then tries again."
            self._notebook.engine("ERROR", text)
            logger.error(
                "%s/%s (version %s): %s",
                self._claim.workflow,
                self._claim.id,
                self._claim.version,
                text,
                extra=fact_of(self._claim, "value.unreadable", version=self._claim.version, error=error),
            )
            return
        logger.error(
            "the turn of %s/%s ended by a defect; it rests for a minute",
            self._claim.workflow,
            self._claim.id,
            exc_info=error,
            extra=fact_of(self._claim, "turn.broke"),
        )

    async def _put_back(self, execution: Execution, last: list[Record], ending: Ending) -> None:
        """Let the instance go, whatever has come from outside: its next turn meets that, and at once.

        If it is to be paused, it is paused.
        """
        while True:
            # What is still on its way may bring a pause, or the end of one. Behind this nothing is heard but refusals.
            await self._notebook.flushed()
            await self._recorder.durable()
            if execution.is_pausing:
                done = await self._release(execution, [Paused(self._clock.now())], Ending(Status.PAUSED, None))
            else:
                done = await self._release(execution, last, ending)
            if done:
                return
            ending = replace(ending, due_at=self._clock.now())

    async def _release(self, execution: Execution, last: list[Record], ending: Ending) -> bool:
        await self._notebook.flushed()
        records = execution.take()
        step_count = execution.state.step_count
        if await self._recorder.release([*records, *last], step_count, ending):
            return True
        if records:
            self._recorder.record(records, step_count)
        return False

    async def _release_final(self, execution: Execution) -> None:
        await self._notebook.flushed()
        state = execution.state
        assert state.status is not None
        await self._recorder.release(execution.take(), state.step_count, Ending(state.status, None, state.ended_at))


def _output(result: object, classes: Classes, most_bytes: int) -> str:
    """Return the stored text of what `run` returned, which may be as large as the result of a step.

    Raises NotSerialisable, or WorkflowInternalError for one that is too large.
    """
    output = values.encode(result, "output", classes)
    if len(output) > most_bytes or len(output.encode()) > most_bytes:
        raise WorkflowInternalError(
            f"The output is too large: {len(output.encode()):,} bytes as JSON. At most {most_bytes:,} are allowed (the "
            "setting step_result_size); store the data elsewhere and return a reference."
        )
    return output
