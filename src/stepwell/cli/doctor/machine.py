"""This machine: Python, libraries, limits of the system; and an author's code, which is not run."""

import os
import platform
import re
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import apsw

from stepwell import __version__, checks
from stepwell.cli.check import files_of
from stepwell.cli.doctor.finding import Finding, fault, many, ok, warning
from stepwell.errors import InvalidSetting, ScriptError, StoreError
from stepwell.project import Project
from stepwell.server_settings import tell
from stepwell.store.sqlite.file import check_sqlite

OLDEST_PYTHON = (3, 11)
# Each worker, stream and request that waits takes some.
_FEW_DESCRIPTORS = 1_024
# A requirement of the package: its name, and the oldest release that will do.
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?>=([0-9.]+)$")


def look_at_machine() -> Iterator[Finding]:
    """Yield how this machine is."""
    yield _python()
    yield _sqlite()
    yield from _libraries()
    yield _descriptors()


def look_at_code(path: str, config: str | None) -> Iterator[Finding]:
    """Yield how the workflows of a path are; nothing if there is no Python file."""
    try:
        project = Project.at(Path(path))
        told = tell((), os.environ, project.root, config)
        found = [
            finding
            for file in sorted(files_of(Path(path)))
            for finding in checks.check(file, retries_per_step=told.settings.retries_per_step)
        ]
    except InvalidSetting as error:
        yield fault("settings", str(error), "`stepwell settings` lists all, and where each value comes from")
        return
    except (ScriptError, OSError) as error:
        yield fault("workflows", str(error), "give another PATH, or mend the file")
        return
    changed = sum(origin != "default" for origin in told.origins.values())
    yield ok("settings", f"{len(told.origins)} settings, {changed} of them changed")
    if found:
        yield warning(
            "workflows", f"{many(len(found), 'finding')}, the first: {found[0]}", "`stepwell check` lists all"
        )
    elif project.files:
        yield ok("workflows", f"`stepwell check` finds nothing in {project.source}")


def _python() -> Finding:
    shown = f"Python {platform.python_version()}, Stepwell {__version__}, {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return fault("python", shown, f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer")
    return ok("python", shown)


def _sqlite() -> Finding:
    shown = apsw.sqlite_lib_version()
    try:
        check_sqlite(shown)
    except StoreError as error:
        return fault("sqlite", str(error), "`pip install --upgrade apsw`")
    return ok("sqlite", f"SQLite {shown}, which apsw brings")


def _libraries() -> Iterator[Finding]:
    """Yield which libraries are missing or too old; else that all are there."""
    lines = [line for line in requires("stepwell") or () if "extra ==" not in line]
    count = 0
    for name, oldest in (found.groups() for line in lines if (found := _first(line))):
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield fault("libraries", f"{name} is missing", f"`pip install '{name}>={oldest}'`")
            continue
        if _numbers(installed) < _numbers(oldest):
            yield fault("libraries", f"{name} {installed} is too old", f"`pip install '{name}>={oldest}'`")
        count += 1
    yield ok("libraries", f"{count} are there")


def _first(line: str) -> "re.Match[str] | None":
    return _REQUIREMENT.match(line.partition(";")[0].strip())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text.partition("+")[0])[:3])


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FEW_DESCRIPTORS:
        most = "unlimited" if hard < 0 else f"{hard:,}"
        return warning(
            "file descriptors",
            f"a process may have {soft:,} files open",
            f"`ulimit -n 4096` before the server (at most {most}), or LimitNOFILE= of its systemd unit",
        )
    return ok("file descriptors", "no limit" if soft < 0 else f"a process may have {soft:,}")
