"""What a worker process is started with, as its parent hands it over on the command line; and its start."""

import asyncio
import os
import sys

import msgspec

from stepwell import cpu_limits, worker_user
from stepwell.sealing import KEYS, KEYS_FILE
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store.audit_operations import Asked


class FetchOptions(msgspec.Struct, frozen=True):
    """Where the author's `fetch` is served: the parent's socket, and what to bind it to.

    `hosts` are the names that it answers to; None: any.
    """

    socket: int
    host: str
    port: int
    hosts: list[str] | None


class CodeOptions(msgspec.Struct, frozen=True):
    """The code that a worker runs: the file or folder at `path`. `NO_CODE`: there is none yet.

    `snapshot` is the number of the one that this is, whose instances are run; 0: of none, as are its instances then;
    `sha256` is that one's hash. `is_served`: its workflows are the ones that new instances are of; `is_known`: the
    store has been told so; `is_deployed`: it takes no workflow from another script. `.dev.vars`, which no snapshot has,
    lies in the folder `secrets`; None: beside the code. `deployed` is what ServeSnapshot says of it,
    and `asked` who has it served, for the audit log; None: nobody does, a server has begun with it.
    """

    path: str
    snapshot: int = 0
    sha256: str | None = None
    is_served: bool = True
    is_known: bool = False
    is_deployed: bool = False
    secrets: str | None = None
    deployed: str = "{}"
    asked: Asked | None = None


NO_CODE = CodeOptions("")


class WorkerOptions(msgspec.Struct, frozen=True):
    """What a worker process needs to know.

    `rehearses`: it claims nothing, and replays what the parent names without doing anything. `isolates`: it runs one
    attempt of a step instead, on code that has these hashes, as the worker has loaded it.
    `line`, `lifeline` and `reports` are inherited file descriptors: its end of the line, the reading end of a pipe that
    closes when the parent dies, and the writing end of one for where it hangs. `variables` are names of environment
    variables for `self.env`.
    """

    line: int
    lifeline: int
    reports: int
    code: CodeOptions
    name: str
    variables: list[str] = []
    keeps_output: bool = True
    fetch: FetchOptions | None = None
    # Whose the workflows are.
    account: str = "local"
    # What the server has been told.
    settings: Settings = DEFAULT_SETTINGS
    rehearses: bool = False
    isolates: list[str] | None = None
    # By which it goes into its cgroup; None: it stays where whoever started it is.
    entrance: int | None = None

    def to_argument(self) -> str:
        """Return the options as one argument of a command."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def of_argument(cls, argument: str) -> "WorkerOptions":
        """Return the options that an argument says."""
        return msgspec.json.decode(argument, type=cls)


async def start(
    options: WorkerOptions, descriptors: tuple[int, ...], output: int | None = None
) -> asyncio.subprocess.Process:
    """Start a worker process, which inherits these descriptors; `output` is where it writes, None: where we do.

    It becomes by itself the user as whom it is to run.
    """
    # What a worker starts is in its cgroup.
    limit = None if options.isolates is not None else cpu_limits.find(options.settings.worker_cpu)
    if limit is None:
        return await _start(options, descriptors, output)
    room = await asyncio.to_thread(limit.make_room)
    try:
        placed = msgspec.structs.replace(options, entrance=room.entrance)
        room.process = await _start(placed, (*descriptors, room.entrance), output)
    finally:
        os.close(room.entrance)
    return room.process


async def _start(
    options: WorkerOptions, descriptors: tuple[int, ...], output: int | None
) -> asyncio.subprocess.Process:
    user = worker_user.find(options.settings.worker_user)
    environment = os.environ if user is None else user.environment(options.variables)
    # -P: a module of the working directory must not stand in for one of ours or of Python's.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "stepwell.worker_process",
        options.to_argument(),
        pass_fds=descriptors,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # What opens the store is not for the author's code.
        env={name: value for name, value in environment.items() if name not in (KEYS, KEYS_FILE)},
        # Out of the terminal's reach: Ctrl-C is for the parent, which drains the workers.
        start_new_session=True,
    )
