"""The body of a worker process: load the author's files, claim and run turns, speak to the parent over the line.

Started by the supervisor as `python -m stepwell.worker_process`, with the numbers of two inherited file descriptors:
its end of the line, and the reading end of a pipe that closes when the parent dies; the author's path, the worker's
name, and the names of environment variables that `self.env` has.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

from stepwell import capture, wrangler
from stepwell.bindings import Env, WorkflowBinding
from stepwell.clock import SystemClock
from stepwell.engine import Engine
from stepwell.errors import ScriptError
from stepwell.logs import configure
from stepwell.scripts import Script, folder_of, load, own_modules
from stepwell.settings import TurnContext, TurnSettings
from stepwell.store.link import Drain, Interrupt, Loaded, LoadFailed, Message, Ping, Pong
from stepwell.store.operations import RegisterWorkflow
from stepwell.store.remote import RemoteStore
from stepwell.threads import Threads
from stepwell.values import Classes
from stepwell.worker import Worker
from stepwell.workflow import params_schema

logger = logging.getLogger(__name__)

ACCOUNT = "local"


class WorkerProcess:
    """One worker in a process of its own."""

    def __init__(self, path: Path, name: str, variables: Sequence[str] = ()) -> None:
        self._path = path
        self._variables = variables
        self._name = name
        self._store = RemoteStore(self._heard, self._hung_up)
        self._worker: Worker | None = None
        self._is_done = False

    async def run(self, sock: socket.socket) -> int:
        """Work until the parent asks to stop; return the exit code."""
        await self._store.connect(sock)
        try:
            scripts = load(self._path)
        except ScriptError as error:
            self._store.say(LoadFailed(str(error)))
            return await self._leave(1)
        workflows = await self._register(scripts)
        folder = folder_of(self._path)
        classes = Classes(lambda: own_modules(folder))
        env = self._env(workflows)
        context = TurnContext(self._store, SystemClock(), Threads(), TurnSettings(), env, classes)
        self._worker = Worker(context, workflows, name=self._name)
        await self._worker.start()
        _calm_garbage_collection()
        self._store.say(Loaded(self._worker.number, sorted(workflows)))
        await self._worker.run()
        return await self._leave(0)

    async def _leave(self, code: int) -> int:
        self._is_done = True
        await self._store.close()
        # The transport writes what is left in the next pass of the loop.
        await asyncio.sleep(0)
        return code

    async def _register(self, scripts: list[Script]) -> dict[str, type]:
        workflows: dict[str, type] = {}
        now = SystemClock().now()
        for script in scripts:
            for warning in script.warnings:
                logger.warning("%s", warning)
            for name, workflow in script.workflows.items():
                await self._store.run(
                    RegisterWorkflow(
                        ACCOUNT,
                        name,
                        script.name,
                        workflow.__name__,
                        script.sha256,
                        str(uuid.uuid4()),
                        str(uuid.uuid4()),
                        now,
                        params_schema(workflow),
                    )
                )
                workflows[name] = workflow
        return workflows

    def _env(self, workflows: Iterable[str]) -> Env:
        """Make what `self.env` is: bindings and variables of the wrangler file, `.dev.vars`, the environment."""
        folder = folder_of(self._path)
        config = wrangler.read_config(folder)
        # Without a wrangler file each workflow has a binding: ORDER_WORKFLOW is `order-workflow`.
        named = wrangler.bindings(config) or {name.upper().replace("-", "_"): name for name in workflows}
        engine = Engine(self._store)
        bindings = {binding: WorkflowBinding(engine, ACCOUNT, name) for binding, name in named.items()}
        environment = {name: os.environ[name] for name in self._variables if name in os.environ}
        return Env(bindings, {**wrangler.variables(config, folder), **environment})

    def _heard(self, message: Message) -> None:
        match message:
            case Ping(number=number):
                self._store.say(Pong(number))
            case Drain() if self._worker is not None:
                self._worker.drain()
            case Interrupt() if self._worker is not None:
                self._worker.drain()
                self._worker.interrupt()
            case _:
                logger.debug("unexpected %s from the parent", type(message).__name__)

    def _hung_up(self) -> None:
        # The parent is gone: what we still do could not be recorded.
        if not self._is_done:
            _exit()


def main() -> None:
    """Run a worker process."""
    line, lifeline, path, name = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    variables = sys.argv[5:]
    configure()
    # The author's INFO is caught, and shown, too; whoever wants less says so with his own level.
    logging.getLogger().setLevel(logging.INFO)
    capture.install()
    threading.Thread(target=_watch, args=(lifeline,), name="stepwell-lifeline", daemon=True).start()
    # The parent decides when to stop; a Ctrl-C in the terminal reaches it, not us.
    signal.signal(signal.SIGINT, lambda *_: None)
    with asyncio.Runner() as runner:
        code = runner.run(WorkerProcess(path, name, variables).run(socket.socket(fileno=line)))
        sys.stdout.flush()
        # Not sys.exit: a hung thread of the author's must not hold up the end.
        _exit(code)


def _calm_garbage_collection() -> None:
    """Collect cycles less often: a worker with a thousand turns has many objects, and none of those loaded goes away.

    Measured: more than a quarter of a worker's time under load was spent looking through them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _watch(lifeline: int) -> None:
    """End with the parent, even while the author's code blocks the event loop."""
    os.read(lifeline, 1)
    _exit()


def _exit(code: int = 1) -> None:
    os._exit(code)


if __name__ == "__main__":
    main()
