"""The body of a worker process: load the author's files, claim and run turns, speak to the parent over the line.

Started by the supervisor as `python -m stepwell.worker_process` with its options as an argument.
"""

from msgspec.structs import replace

from stepwell import bounds, memory

# Before what takes time to load.
if __name__ == "__main__":
    memory.collect_seldom()

import asyncio
import io
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell import capture, cpu_limits, sockets, watchdog, worker_user, wrangler
from stepwell.audit import with_asked
from stepwell.clock import SystemClock
from stepwell.env import Bindings, Env
from stepwell.errors import CannotListen, ScriptError, WorkflowBelongs
from stepwell.fact_log import FactHandler
from stepwell.logs import configure
from stepwell.project import Project
from stepwell.scripts import Script, load, own_modules, settings_of
from stepwell.settings import TurnContext, TurnSettings
from stepwell.step_processes import StepProcesses
from stepwell.store.fact_operations import Fact
from stepwell.store.link import Drain, Interrupt, Loaded, LoadFailed, Message, Ping, Pong, Rehearse, RunStep, Said
from stepwell.store.operations import RegisterWorkflow
from stepwell.store.remote import RemoteStore
from stepwell.store.snapshot_operations import ServeSnapshot
from stepwell.threads import Threads
from stepwell.traces import Tracing
from stepwell.values import Classes
from stepwell.worker import Worker, WorkerSettings
from stepwell.worker_options import WorkerOptions
from stepwell.workflow import WorkflowEntrypoint, params_schema

# What only some workers need is loaded where they do.
if TYPE_CHECKING:
    from stepwell.bindings import WorkflowBinding
    from stepwell.engine import Engine
    from stepwell.fetch import FetchServer
    from stepwell.isolated import StepRunner
    from stepwell.rehearsal import DryStore, Rehearser

_STANDARD_ERROR = 2
# How long a rehearsal waits for what the code awaits outside of its steps.
_FOREIGN_WAIT_MS = 2_000

WorkflowClass = type[WorkflowEntrypoint[Any]]

logger = logging.getLogger(__name__)


class WorkerProcess:
    """One worker in a process of its own."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._store = RemoteStore(self._heard, self._hung_up)
        # What takes the place of the store where nothing is to be done.
        self._dry = _dry(self._store) if options.rehearses else None
        self._rehearser: Rehearser | None = None
        self._step: StepRunner | None = None
        self._worker: Worker | None = None
        self._fetch: FetchServer | None = None
        self._is_done = False

    async def run(self) -> int:
        """Work until the parent asks to stop; return the exit code."""
        await self._store.connect(socket.socket(fileno=self._options.line))
        try:
            project = Project.at(Path(self._options.code.path))
            scripts = load(project, self._options.settings)
            workflows = {name: kind for script in scripts for name, kind in script.workflows.items()}
            env = self._env(project, workflows)
            if self._options.isolates is not None:
                await self._run_step(project, scripts, env, self._options.isolates)
            if self._dry is not None:
                await self._rehearse(project, scripts, env, self._dry)
            sock = self._fetch_socket(scripts)
            warnings = await self._make_known(scripts)
        except ScriptError as error:
            self._store.say(LoadFailed(str(error)))
            return await self._leave(1)
        if sock is not None:
            await self._serve_fetch(sock, scripts, env)
        self._tell_facts()
        worker = self._worker = self._make_worker(project, scripts, env)
        await worker.start()
        watchdog.watch(self._options.reports)
        memory.calm_garbage_collection()
        warnings += [warning for script in scripts for warning in script.warnings]
        self._store.say(Loaded(worker.number, sorted(workflows), sock is not None, warnings))
        await worker.run()
        if self._fetch is not None:
            await self._fetch.stopped()
        return await self._leave(0)

    def _tell_facts(self) -> None:
        """Let the parent hear what the log tells, from whatever thread that is."""
        loop = asyncio.get_running_loop()

        def tell(fact: Fact) -> None:
            # In the end nobody is there to say it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._store.say, Said(fact))

        logging.getLogger("stepwell").addHandler(FactHandler(self._options.name, tell))

    async def _rehearse(self, project: Project, scripts: list[Script], env: Env, dry: "DryStore") -> None:
        """Replay what the parent names, and write nothing, until that hangs up."""
        from stepwell.rehearsal import Rehearser  # noqa: PLC0415 - see above

        context = self._context(project, env)
        # Nobody waits for long: what the code waits for outside of its steps is told soon.
        patient = replace(context.settings, foreign_wait_ms=_FOREIGN_WAIT_MS)
        rehearser = self._rehearser = Rehearser(replace(context, settings=patient), dry, *_made_of(scripts))
        self._store.say(Loaded(0, sorted({name for script in scripts for name in script.workflows})))
        await rehearser.run(self._store.say)

    async def _run_step(self, project: Project, scripts: list[Script], env: Env, hashes: list[str]) -> None:
        """Run the step that the worker names, until that ends this process. Raises ScriptError."""
        from stepwell.isolated import StepRunner  # noqa: PLC0415 - see above

        if _hashes(scripts) != hashes:
            raise ScriptError(
                "its code is another one by now than its worker has loaded: start the server again, or let "
                "`stepwell dev --watch` do it when a file changes"
            )
        step = self._step = StepRunner(self._context(project, env), *_made_of(scripts))
        self._store.say(Loaded(0, sorted({name for script in scripts for name in script.workflows})))
        await step.run(self._store.say)

    def _make_worker(self, project: Project, scripts: list[Script], env: Env) -> Worker:
        workflows, classes = _made_of(scripts)
        role = WorkerSettings(self._options.name, snapshot=self._options.code.snapshot)
        processes = StepProcesses(self._store, self._options, _hashes(scripts))
        context = replace(self._context(project, env), processes=processes)
        return Worker(context, workflows, classes=classes, settings=role)

    def _context(self, project: Project, env: Env) -> TurnContext:
        classes = Classes(lambda: own_modules(project.folder))
        settings = TurnSettings.of(self._options.settings, keeps_output=self._options.keeps_output)
        tracing = Tracing.of(os.environ, self._options.settings.traced_instances)
        return TurnContext(self._store, SystemClock(), Threads(), settings, env, classes, tracing=tracing)

    def _fetch_socket(self, scripts: list[Script]) -> socket.socket | None:
        """Return the socket to serve the author's `fetch` on. Raises ScriptError.

        None if there is no `fetch`; unless there was one, and whoever calls is to hear that it is gone.
        """
        options = self._options.fetch
        if options is None:
            return None
        sock = socket.socket(fileno=options.socket)
        if sockets.is_listening(sock):
            return sock
        if not any(script.worker for script in scripts):
            sock.close()
            return None
        try:
            sockets.listen(sock, options.host, options.port, "--fetch-port")
        except CannotListen as error:
            raise ScriptError(f"the `fetch` of this code cannot be served: {error}") from error
        return sock

    async def _serve_fetch(self, sock: socket.socket, scripts: list[Script], env: Env) -> None:
        from stepwell.fetch import FetchServer  # noqa: PLC0415 - see above

        options = self._options.fetch
        hosts = None if options is None or options.hosts is None else frozenset(options.hosts)
        worker = next((script.worker for script in scripts if script.worker is not None), None)
        self._fetch = FetchServer(worker, env, hosts, self._options.settings.fetch_body_size)
        await self._fetch.start(sock)

    async def _leave(self, code: int) -> int:
        self._is_done = True
        await self._store.close()
        # The transport writes what is left in the next pass of the loop.
        await asyncio.sleep(0)
        return code

    async def _make_known(self, scripts: list[Script]) -> list[str]:
        """Let what is on no code of its own run on this; return what to warn of: workflows that were another script's.

        Raises ScriptError where they may not be taken over.
        """
        code = self._options.code
        if not code.is_served or code.is_known:
            return []
        account, now = self._options.account, SystemClock().now()
        made = tuple(self._registrations(scripts, now))
        try:
            takes_over = not code.is_deployed
            served = ServeSnapshot(account, code.snapshot, now, made, takes_over, code.deployed)
            registered = await self._store.run(with_asked(served, code.asked))
        except WorkflowBelongs as error:
            raise ScriptError(_belongs(error)) from error
        return [
            _taken_over(asked.name, found.taken_from, asked.script)
            for asked, found in zip(made, registered, strict=True)
            if found.taken_from is not None
        ]

    def _registrations(self, scripts: list[Script], now: int) -> Iterator[RegisterWorkflow]:
        """Yield what makes the workflows of scripts known."""
        # Scripts share a name where a wrangler file gives it to a folder of them.
        classes: dict[str, list[str]] = {}
        for script in scripts:
            classes.setdefault(script.name, []).extend(kind.__name__ for kind in script.workflows.values())
        for script in scripts:
            for name, workflow in script.workflows.items():
                yield RegisterWorkflow(
                    self._options.account,
                    name,
                    script.name,
                    workflow.__name__,
                    self._options.code.sha256 or script.sha256,
                    str(uuid.uuid4()),
                    str(uuid.uuid4()),
                    now,
                    params_schema(workflow),
                    settings_of(script, name),
                    tuple(classes[script.name]),
                    self._options.code.snapshot,
                    script.graphs.get(workflow.__name__),
                    script.flows.get(name),
                )

    def _env(self, project: Project, workflows: Iterable[str]) -> Env:
        """Make what `self.env` is: bindings and variables of the wrangler file, `.dev.vars`, the environment."""
        # Without a wrangler file each workflow has a binding: ORDER_WORKFLOW is `order-workflow`.
        named = wrangler.bindings(project.config) or {name.upper().replace("-", "_"): name for name in workflows}
        environment = {name: os.environ[name] for name in self._options.variables if name in os.environ}
        secrets = Path(self._options.code.secrets or project.root)
        return Env(Bindings(named, self._binding), {**wrangler.variables(project.config, secrets), **environment})

    def _binding(self, workflow: str) -> "WorkflowBinding":
        from stepwell.bindings import WorkflowBinding  # noqa: PLC0415 - see above

        return WorkflowBinding(self._engine, self._options.account, workflow)

    @cached_property
    def _engine(self) -> "Engine":
        from stepwell.engine import Engine  # noqa: PLC0415 - see above

        return Engine(self._dry or self._store, settings=self._options.settings)

    def _heard(self, message: Message) -> None:
        match message:
            case Ping(number=number):
                self._store.say(Pong(number))
            case Rehearse() if self._rehearser is not None:
                self._rehearser.ask(message)
            case RunStep() if self._step is not None:
                self._step.ask(message)
            case Drain() if self._worker is not None:
                self._drain(self._worker)
            case Interrupt() if self._worker is not None:
                self._drain(self._worker)
                self._worker.interrupt()
                if self._fetch is not None:
                    self._fetch.cut_off()
            case _:
                logger.debug("unexpected %s from the parent", type(message).__name__)

    def _drain(self, worker: Worker) -> None:
        worker.drain()
        if self._fetch is not None:
            self._fetch.begin_stop()

    def _hung_up(self) -> None:
        # The parent is gone: what we still do could not be recorded.
        if not self._is_done:
            _exit()


def main() -> None:
    """Run a worker process."""
    options = WorkerOptions.of_argument(sys.argv[1])
    if options.entrance is not None:
        cpu_limits.enter(options.entrance)
    if (user := worker_user.find(options.settings.worker_user)) is not None:
        user.become()
    _keep_to_ourselves()
    # Bytecode is found stale by size and second of its source: one that is saved twice in a second would run as it was.
    sys.dont_write_bytecode = True
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is printed is seen at once, also where it goes into a pipe.
        sys.stdout.reconfigure(line_buffering=True)
    memory.limit(options.settings.worker_memory)
    bounds.keep_to(options.settings.worker_open_files, options.settings.worker_niceness)
    configure(options.settings.log_format, process=options.name)
    # The author's INFO is caught, and shown, too; whoever wants less says so with his own level.
    logging.getLogger().setLevel(logging.INFO)
    capture.install()
    threading.Thread(target=_watch, args=(options.lifeline,), name="stepwell-lifeline", daemon=True).start()
    # The parent decides when to stop; a Ctrl-C in the terminal reaches it, not us.
    signal.signal(signal.SIGINT, lambda *_: None)
    with asyncio.Runner() as runner:
        code = runner.run(WorkerProcess(options).run())
        sys.stdout.flush()
        # Not sys.exit: a hung thread of the author's must not hold up the end.
        _exit(code)


def _dry(store: RemoteStore) -> "DryStore":
    from stepwell.rehearsal import DryStore  # noqa: PLC0415 - see above

    return DryStore(store)


def _made_of(scripts: list[Script]) -> tuple[dict[str, WorkflowClass], dict[tuple[str, str], WorkflowClass]]:
    """Return the workflows of scripts, by name, and their classes, by script and name."""
    workflows = {name: kind for script in scripts for name, kind in script.workflows.items()}
    classes = {(script.name, kind.__name__): kind for script in scripts for kind in script.workflows.values()}
    return workflows, classes


def _hashes(scripts: list[Script]) -> list[str]:
    return sorted(script.sha256 for script in scripts)


def _belongs(error: WorkflowBelongs) -> str:
    return (
        f'the workflow "{error.workflow}" belongs to the script "{error.owner}", and this is the script '
        f'"{error.script}"; rename one of the two workflows, or delete that one: stepwell workflows delete '
        f"{error.workflow}"
    )


def _taken_over(workflow: str, before: str, script: str) -> str:
    return (
        f'workflow "{workflow}" belonged to the script "{before}" and belongs to "{script}" now, with its instances. '
        f'If "{before}" was not just renamed, both have a workflow of this name: rename one of the two; "{before}" '
        "takes this one back when it is served again"
    )


def _keep_to_ourselves() -> None:
    """Let no process that the author's code starts have the line, the port, or what else came from the parent.

    It would keep them open when we are gone: nobody would see that we died.
    """
    for entry in list(Path("/dev/fd").iterdir()):
        descriptor = int(entry.name)
        if descriptor > _STANDARD_ERROR:
            # The folder's own descriptor is in the list, and closed by now.
            with suppress(OSError):
                os.set_inheritable(descriptor, False)


def _watch(lifeline: int) -> None:
    """End with the parent, even while the author's code blocks the event loop."""
    os.read(lifeline, 1)
    _exit()


def _exit(code: int = 1) -> None:
    os._exit(code)


if __name__ == "__main__":
    main()
