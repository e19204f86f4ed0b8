"""The processes of isolated steps, from outside: each runs one attempt of one step, and ends with it."""

import asyncio
import os
from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from stepwell import durations
from stepwell.core.records import Attributes
from stepwell.errors import ScriptError, StepProcessDied
from stepwell.problems import BodyFailed
from stepwell.store import Store
from stepwell.store.link import Message, RunStep, StepBeat, StepDescribed, StepProgress, StepRan, StepSaid
from stepwell.streams import StoredResult
from stepwell.worker_options import WorkerOptions

# More would only take the cores from each other.
AT_ONCE = max(2, os.cpu_count() or 1)
_CPU_IS_OVER = "SIGXCPU"


class StepHears(Protocol):
    """Whoever hears of an attempt in a process of its own."""

    def begins(self) -> None:
        """Hear that its process is started now; until then it waited for others to end."""

    def said(self, level: str, text: str, *, always: bool) -> None:
        """Hear a line that it has printed or logged."""

    def beat(self, details: str) -> None:
        """Hear a sign of life, with details as stored text."""

    def described(self, attributes: Attributes) -> None:
        """Hear what it says of itself so far."""

    def progressed(self, value: str) -> None:
        """Hear how far the instance is, as JSON text."""


class StepProcesses:
    """Runs attempts of isolated steps, on the code that a worker has loaded; so many at once, the others wait."""

    def __init__(self, store: Store, options: WorkerOptions, hashes: Sequence[str]) -> None:
        """`options` are the worker's, `hashes` those of its scripts, which a process has to find again."""
        self._store = store
        self._options = options
        self._hashes = list(hashes)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, asked: RunStep, hears: StepHears) -> StoredResult:
        """Run an attempt; return what the step returned.

        Raises BodyFailed if the step failed, or StepProcessDied. When it is cancelled the process ends.
        """
        async with self._room:
            hears.begins()
            return await self._run(asked, hears)

    async def _run(self, asked: RunStep, hears: StepHears) -> StoredResult:
        answer: asyncio.Future[StepRan] = asyncio.get_running_loop().create_future()
        # Imported here: most workflows have no isolated step.
        from stepwell.code_process import CodeProcess  # noqa: PLC0415 - see above

        process = CodeProcess(self._store, lambda message: _hear(message, hears, answer))
        label = asked.attempt.key.label
        try:
            await process.start(self._options_for(asked))
            process.say(asked)
            ran = await process.answered(answer)
        except ScriptError as error:
            raise StepProcessDied(f"Step {label} runs in a process of its own, which has not begun: {error}") from None
        except ChildProcessError as error:
            raise StepProcessDied(f"The process of step {label} {error}{_why(str(error), asked)}") from None
        finally:
            # Whoever cancels this may not wait; the process is killed before the first wait.
            await process.end()
        if ran.problem is not None:
            raise BodyFailed(ran.problem)
        assert ran.text is not None
        return StoredResult(ran.text, ran.stream)

    def _options_for(self, asked: RunStep) -> WorkerOptions:
        options = self._options
        memory = asked.isolation.memory
        told = options.settings if memory is None else replace(options.settings, worker_memory=memory)
        return msgspec.structs.replace(
            options,
            code=msgspec.structs.replace(options.code, is_known=True),
            name=f"{options.name} {asked.attempt.key.label}",
            fetch=None,
            entrance=None,
            settings=told,
            isolates=self._hashes,
        )


def _hear(message: Message, hears: StepHears, answer: "asyncio.Future[StepRan]") -> None:
    match message:
        case StepSaid(level=level, text=text, always=always):
            hears.said(level, text, always=always)
        case StepBeat(details=details):
            hears.beat(details)
        case StepDescribed(attributes=attributes):
            hears.described(attributes)
        case StepProgress(value=value):
            hears.progressed(value)
        case StepRan() if not answer.done():
            answer.set_result(message)


def _why(how: str, asked: RunStep) -> str:
    cpu_ms = asked.isolation.cpu_ms
    if cpu_ms is not None and _CPU_IS_OVER in how:
        return f": it wanted more than the {durations.in_words(cpu_ms)} of CPU time that the step may have"
    return ""
