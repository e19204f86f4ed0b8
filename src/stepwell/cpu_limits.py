"""How much of the processors a worker may have, with all that it starts: the kernel holds a cgroup of its own to it.

A limit of the process itself would be one for its whole life (RLIMIT_CPU), or could be taken back by it (affinity,
niceness). A cgroup needs a server that may make some below its own: as root, or where systemd has delegated them.
"""

import atexit
import errno
import itertools
import os
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from msgspec import Struct

from stepwell.errors import InvalidSetting

_PERIOD_US = 100_000
_NUMBERS = itertools.count(1)
_PREFIX = "stepwell-"
# Where the server itself goes in version 2: a cgroup that shares out processors has no processes.
_SERVER = f"{_PREFIX}server"
_REMEDY = (
    "start it by systemd with Delegate=cpu in its unit, or by `systemd-run --scope -p Delegate=cpu ...`; where there "
    "is no systemd, as root; or leave the setting out: --set worker_cpu=0"
)


class Room(Struct, eq=False):
    """A cgroup for a process that is started. `entrance`: the descriptor by which that goes in, once."""

    folder: Path
    entrance: int
    process: Process | None = None

    def is_gone(self) -> bool:
        """Take it away if its process has ended, and all that this has started; tell whether it is gone."""
        # One that has just begun has yet to go in.
        if self.process is not None and self.process.returncode is not None:
            _remove(self.folder)
        return not self.folder.exists()


class CpuLimit:
    """Makes cgroups below `base`, of which `files` say what their processes may have."""

    def __init__(self, base: Path, files: Mapping[str, str]) -> None:
        self._base = base
        self._files = files
        self._rooms: set[Room] = set()

    def make_room(self) -> Room:
        """Make a cgroup, whose process is then to be said. Raises OSError."""
        for room in tuple(self._rooms):
            if room.is_gone():
                self._rooms.discard(room)
        folder = self._base / f"{_PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        folder.mkdir()
        for name, said in self._files.items():
            (folder / name).write_text(said)
        room = Room(folder, os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        self._rooms.add(room)
        return room

    def clear(self) -> None:
        """Take away the cgroups that have been made, and those of servers that are no more, unless they are in use."""
        left = [room.folder for room in self._rooms]
        for folder in self._base.glob(f"{_PREFIX}[0-9]*-*"):
            pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if folder in left or not Path(f"/proc/{pid}").exists():
                _remove(folder)


@cache
def find(cores: float) -> CpuLimit | None:
    """Return what holds workers to so many cores; None: nothing, for 0. Raises InvalidSetting where that cannot be."""
    if not cores:
        return None
    try:
        limit = _limit(cores)
        os.close(limit.make_room().entrance)
        limit.clear()
    except OSError as error:
        raise InvalidSetting(
            f"worker_cpu is {cores:g}, and this server can make no cgroups ({error}): {_REMEDY}"
        ) from error
    atexit.register(limit.clear)
    return limit


def enter(entrance: int) -> None:
    """Go into a cgroup, for good as far as this process has no rights there. Raises OSError."""
    os.write(entrance, b"0")
    os.close(entrance)


def _remove(folder: Path) -> None:
    """Take away a cgroup, unless a process is left in it."""
    with suppress(OSError):
        folder.rmdir()


def _limit(cores: float) -> CpuLimit:
    quota = str(int(cores * _PERIOD_US))
    own = dict(_own())
    if "cpu" in own:
        folder = _mounted("cgroup", "cpu", own["cpu"])
        return CpuLimit(folder, {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": quota})
    folder = _mounted("cgroup2", "", own.get("", "/"))
    return CpuLimit(_sharing_out(folder), {"cpu.max": f"{quota} {_PERIOD_US}"})


def _own() -> Iterator[tuple[str, str]]:
    """Yield the controllers of version 1, and "" for version 2, with the cgroup that this process has there."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounted(kind: str, controller: str, path: str) -> Path:
    """Return the folder of a cgroup, in whichever place its hierarchy is mounted. Raises OSError."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, system = line.partition(" - ")
        root, place = mount.split()[3:5]
        name, _, options = system.split(" ", 2)
        if name == kind and (not controller or controller in options.split(",")):
            return Path(place) / path.removeprefix(root).lstrip("/")
    raise OSError(errno.ENOENT, f"no {kind} is mounted")


def _sharing_out(own: Path) -> Path:
    """Let a cgroup of version 2 share out processors to those below it, and return it. Raises OSError."""
    if own.name == _SERVER:
        own = own.parent
    if "cpu" not in (own / "cgroup.controllers").read_text().split():
        raise OSError(errno.ENOTSUP, f"{own} has no share of the processors to give away")
    # The topmost, which has no type, may have processes of its own; below any other that has some, none can go in.
    if (own / "cgroup.type").exists():
        (own / _SERVER).mkdir(exist_ok=True)
        (own / _SERVER / "cgroup.procs").write_text(str(os.getpid()))
        if others := (own / "cgroup.procs").read_text().split():
            raise OSError(errno.EBUSY, f"{own} has other processes, too: {', '.join(others[:5])}")
    (own / "cgroup.subtree_control").write_text("+cpu")
    return own
