"""As whom workers run author code, where the setting `worker_user` says so: not as the user of the server.

A worker begins as the server's user, with our code alone, and becomes the other one for good before it loads a line of
the author's. What that user may then read, write and signal is the system's to say, and not ours.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from stepwell.errors import InvalidSetting

if TYPE_CHECKING:
    import pwd

NONE = "none"
"""What the setting says where workers run as the user of the server."""
# To the system's calls the number behind it means "leave it as it is".
_MOST = 2**32 - 2
# What programs go by and no secret is in. What else the server's environment has is named by --env, or stays there.
_PASSED = {"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_PASSED_PREFIXES = ("LC_", "PYTHON")
# The first name that cannot be read; what a worker imports is tried before.
_TRY = """
import os, sys, stepwell.worker_process, stepwell.fetch
sys.exit(next((path for path in sys.argv[1:] if not os.access(path, os.R_OK)), None))
"""
# Of Linux: <linux/prctl.h>.
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
# Of the three bits of a mode that are somebody's: to read a file, to pass through a folder.
_READ, _PASS = 4, 1


class WorkerUser(Struct, frozen=True):
    """A user who is not root, with the one group that he has there. `said` is what the setting says."""

    said: str
    uid: int
    gid: int
    name: str
    home: str

    def environment(self, variables: Iterable[str]) -> dict[str, str]:
        """Return what a worker finds around it: of this process's only what is harmless, and these variables."""
        kept = {name: value for name, value in os.environ.items() if _is_passed(name)}
        own = {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}
        return kept | own | {name: os.environ[name] for name in variables if name in os.environ}

    def become(self) -> None:
        """Let this process be of this user from now on, and never again of another. Raises InvalidSetting.

        Whoever has started it may have been that already.
        """
        if os.getuid() != self.uid:
            os.setgroups([])
            os.setgid(self.gid)
            # By root it sets all three: the real one, the effective and the saved.
            os.setuid(self.uid)
        if sys.platform == "linux":
            _renounce()
        if problem := self._problem():
            raise InvalidSetting(f"worker_user is {self.said}: a worker {problem}, so it runs no code")

    def barred_at(self, path: Path) -> Path | None:
        """Return what keeps this user from reading a path: it, or a folder above it; None: no mode does."""
        path = path.absolute()
        for part in (*reversed(path.parents), path):
            found = part.stat()
            shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
            if not (found.st_mode >> shift) & (_READ if part == path else _PASS):
                return part
        return None

    def _problem(self) -> str | None:
        """Say what of the one that it was a process still is."""
        # macOS has no way to ask for the saved ones; there, too, `setuid` sets them.
        users = set(os.getresuid()) if hasattr(os, "getresuid") else {os.getuid(), os.geteuid()}
        groups = set(os.getresgid()) if hasattr(os, "getresgid") else {os.getgid(), os.getegid()}
        if users != {self.uid} or groups | set(os.getgroups()) != {self.gid}:
            return f"is of the users {sorted(users)} and the groups {sorted(groups | set(os.getgroups()))}"
        try:
            os.setuid(0)
        except PermissionError:
            return "has capabilities" if sys.platform == "linux" and _has_capabilities() else None
        return "can become root again"


@cache
def find(said: str) -> WorkerUser | None:
    """Return the user that the setting names; None: it names none. Raises InvalidSetting."""
    if said == NONE:
        return None
    # Imported here: they are Unix's, and commands load this module everywhere.
    import grp  # noqa: PLC0415 - see above
    import pwd  # noqa: PLC0415 - see above

    user, _, group = said.partition(":")
    try:
        uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise _refused(said, "no user has this name; make one, such as with: useradd --system stepwell-code") from None
    try:
        gid = None if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise _refused(said, f"no group is called {group}; make one, such as with: groupadd --system {group}") from None
    entry = _entry(uid)
    if gid is None and entry is None:
        raise _refused(said, f"no user has this number; give a group, too, as in {user}:{user}")
    if gid is None and entry is not None:
        gid = entry.pw_gid
    assert gid is not None
    if not (0 < uid <= _MOST and 0 < gid <= _MOST):
        raise _refused(said, "it must be neither root nor in root's group; name a user who has no rights here")
    if entry is None:
        return WorkerUser(said, uid, gid, str(uid), "/")
    return WorkerUser(said, uid, gid, entry.pw_name, entry.pw_dir)


def wanted(said: str) -> WorkerUser | None:
    """Return the user as whom a server that is this process is to run its workers; None: its own.

    Raises InvalidSetting where it cannot.
    """
    user = find(said)
    if user is None:
        return None
    missing = [name for name in ("setgroups", "setgid", "setuid") if not hasattr(os, name)]
    if missing:
        raise _refused(said, f"this system has no {missing[0]}; leave it out: --set worker_user={NONE}")
    if os.geteuid() != 0:
        raise _refused(
            said,
            "only root can run workers as another user, and this is not root; start it as root (systemd: without "
            f"User=), or leave the setting out: --set worker_user={NONE}",
        )
    return user


def try_out(user: WorkerUser, reads: Sequence[Path]) -> None:
    """Start a process of that user which imports what workers do, and sees whether it may read these paths.

    Raises InvalidSetting. Takes a fifth of a second.
    """
    command = [sys.executable, "-P", "-c", _TRY, *map(str, reads)]
    try:
        tried = subprocess.run(  # noqa: S603  # Python itself, on paths of ours
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=user.environment(()),
            user=user.uid,
            group=user.gid,
            # Python 3.12.0 leaves root's groups where none are given.
            extra_groups=[user.gid],
        )
    except PermissionError as error:
        if error.filename is not None:
            raise _barred(user, _runtime(), str(error)) from error
        problem = f"this process may not change its user ({error}); give it CAP_SETUID and CAP_SETGID"
        raise _refused(user.said, problem) from error
    if tried.returncode:
        *_, last = tried.stderr.strip().splitlines() or [f"its exit code is {tried.returncode}"]
        unread = [path for path in reads if str(path) == last]
        raise _barred(user, unread or _runtime(), last)


def _runtime() -> list[Path]:
    """Return what no worker can do without: Python, its library, the packages, and ours."""
    found = [sys.executable, os.path.realpath(sys.executable), os.__file__, msgspec.__file__, __file__]
    return [Path(path) for path in found]


def _barred(user: WorkerUser, paths: Iterable[Path], said: str) -> InvalidSetting:
    """Name the first of some paths that a user cannot read, and where that ends; else what was said."""
    for path in paths:
        if barred := user.barred_at(path):
            right = "x" if barred.is_dir() else "r"
            return _refused(
                user.said,
                f"workers could not read {path}, as {barred} is closed to that user; let him pass, such as with "
                f"chmod o+{right} {barred}, or have it where all may read it",
            )
    return _refused(user.said, f"workers could not run as that user here: {said}")


def _entry(uid: int) -> "pwd.struct_passwd | None":
    import pwd  # noqa: PLC0415 - it is Unix's, and commands load this module everywhere

    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _is_passed(name: str) -> bool:
    return name in _PASSED or name.startswith(_PASSED_PREFIXES)


def _renounce() -> None:
    """Let no program that this process starts have more rights than it, nor others of its user look into it. Linux."""
    # Imported here: it takes milliseconds that other workers need not spend.
    import ctypes  # noqa: PLC0415 - see above

    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl({option}) is refused")


def _has_capabilities() -> bool:
    said = Path("/proc/self/status").read_text()
    return any(
        int(line.split()[1], 16) for line in said.splitlines() if line.startswith(("CapPrm", "CapEff", "CapAmb"))
    )


def _refused(said: str, problem: str) -> InvalidSetting:
    return InvalidSetting(f"worker_user is {said}: {problem}")
