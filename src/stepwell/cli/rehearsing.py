"""`stepwell check --store` and `--to`: what would become of the instances that have not ended, on other code."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from stepwell import cpu_limits, worker_user
from stepwell.cli.check import Form, print_in_form
from stepwell.cli.deploying import Uploading, reporting
from stepwell.cli.failures import FAILED, NOT_FOUND, USAGE, Failure
from stepwell.cli.progress import Progress, Stand
from stepwell.cli.stores import with_store
from stepwell.cli.terminal import clean, say
from stepwell.client import Client
from stepwell.errors import InvalidSetting, ScriptError, WorkflowNotFound
from stepwell.outlook import Verdict
from stepwell.project import Project
from stepwell.rehearsals import Rehearsals, RehearsalSettings
from stepwell.server_settings import tell
from stepwell.store import Store
from stepwell.store.opening import is_there, shown
from stepwell.worker_options import CodeOptions

Item = Mapping[str, Any]

_NAMED_AT_MOST = 5
_WORDS = {
    Verdict.MISSING: "would have no workflow",
    Verdict.FAILS: "would fail",
    Verdict.UNREADABLE: "{have} a value that could not be read any more",
    Verdict.DIVERGES: "would not do what {they} {have} begun to do",
    Verdict.UNKNOWN: "cannot be foretold",
}
_HINT = "without --check only new instances have it: those that run stay on their code, unless they are moved"
_READ = "`stepwell check PATH` looks at code without running it"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found: each instance that would not simply go on, and how many there are of each verdict."""

    instances: Sequence[Item]
    verdicts: Mapping[str, int]

    @property
    def looked_at(self) -> int:
        """How many there are."""
        return sum(self.verdicts.values())

    @property
    def breaks(self) -> bool:
        """Whether any instance would not do what it has begun to do."""
        return any(self.verdicts.get(verdict, 0) for verdict in Verdict if verdict.breaks)


def check_store(
    path: str, config: str | None, url: str, account: str, asked: tuple[str | None, Sequence[str]]
) -> Checked:
    """Hold the code at a path against a store: against those of a workflow, or of all (None), with variables.

    Raises Failure, behind a report for the author where it is his.
    """
    workflow, variables = asked
    try:
        project = Project.at(Path(path))
        told = tell((), os.environ, project.root, config).settings
        cpu_limits.find(told.worker_cpu)
        if (user := worker_user.wanted(told.worker_user)) is not None:
            worker_user.try_out(user, [project.source])
    except (ScriptError, InvalidSetting) as error:
        raise Failure(str(error), USAGE, _READ) from error
    if not is_there(url):
        raise Failure(f"there is no store at {shown(url)}", NOT_FOUND, "--store says where it is kept")
    if missing := [name for name in variables if name not in os.environ]:
        raise Failure(f'the environment variable "{missing[0]}" is not set', USAGE, "set it, or leave out --env")
    settings = RehearsalSettings(str(project.root), account, tuple(variables), told)

    async def work(store: Store) -> Checked:
        with _Gathering() as gathering:
            async with Rehearsals(store, CodeOptions(str(project.source)), settings) as rehearsals:
                async for answer in rehearsals.check(account, workflow):
                    gathering.take(msgspec.to_builtins(answer))
            return gathering.checked()

    try:
        return with_store(url, work)
    except WorkflowNotFound as error:
        hint = f"--store and --account say where it is sought: {shown(url)}, {account}"
        raise Failure(str(error), NOT_FOUND, hint) from error
    except ScriptError as error:
        for line in str(error).splitlines():
            say(line)
        raise Failure("the code cannot be loaded, so nothing was looked at", FAILED, _READ) from error


def check_server(client: Client, code: Uploading, workflow: str | None) -> Checked:
    """Hold code against the instances of a server. Raises Failure, behind a report for the author where it is his."""
    with _Gathering() as gathering, reporting(client):
        for answer in client.check(code.script, code.metadata, code.files, workflow):
            gathering.take(answer)
        return gathering.checked()


def insist(client: Client, code: Uploading) -> None:
    """Raise Failure, behind a report, where an instance of a server would break on code."""
    found = check_server(client, code, None)
    if found.breaks:
        _print(found, say)
        raise Failure(f"nothing has changed at {client.url}: instances would break on this code", FAILED, _HINT)


def report(found: Checked, form: Form, *, is_strict: bool) -> int:
    """Print what was found; return 1 if an instance would break, or, being strict, cannot be foretold."""
    if form == "text":
        _print(found, click.echo)
    else:
        whole = {"looked_at": found.looked_at, "verdicts": found.verdicts, "instances": found.instances}
        print_in_form(whole, form)
    return 1 if found.breaks or (is_strict and found.verdicts.get(Verdict.UNKNOWN, 0)) else 0


class _Gathering:
    """Takes the answers of a check, and shows how far it is."""

    def __init__(self) -> None:
        self._progress = Progress("check")
        self._instances: list[Item] = []
        self._verdicts: Mapping[str, int] = {}

    def __enter__(self) -> "_Gathering":
        self._progress.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._progress.__exit__(*raised)

    def take(self, answer: Item) -> None:
        """Take an answer: an instance, or how far it is."""
        if "verdict" in answer:
            self._instances.append(answer)
            return
        self._verdicts = answer["verdicts"]
        if not answer["is_done"]:
            self._progress.tell(Stand(answer["looked_at"], None, answer["looked_at"], has_more=True))

    def checked(self) -> Checked:
        """Return what has been found."""
        return Checked(self._instances, self._verdicts)


def _print(found: Checked, echo: Callable[[str], object]) -> None:
    """Print what becomes of instances, those of the same fate together, the worst first."""
    alike: dict[tuple[str, str, str, str], list[Item]] = {}
    for one in found.instances:
        fate = (one["verdict"], one["workflow"], one["problem"] or "", one["where"] or "")
        alike.setdefault(fate, []).append(one)
    ranks = {str(verdict): rank for rank, verdict in enumerate(_WORDS)}
    for (verdict, workflow, problem, where), ones in sorted(alike.items(), key=lambda item: ranks[item[0][0]]):
        subject = f"{len(ones):,} instance{'' if len(ones) == 1 else 's'} of {workflow}"
        echo(clean(f"{subject} {_words(verdict, len(ones))}"))
        echo(clean(f"  {where}: {problem}" if where else f"  {problem}"))
        echo(clean(f"  {_named(ones)}"))
    counts = found.verdicts
    breaking = sum(counts.get(verdict, 0) for verdict in Verdict if verdict.breaks)
    parts = [f"{counts.get(Verdict.GOES_ON, 0):,} go on", f"{breaking:,} break"]
    if unknown := counts.get(Verdict.UNKNOWN, 0):
        parts.append(f"{unknown:,} cannot be foretold")
    say(f"{found.looked_at:,} instance{'' if found.looked_at == 1 else 's'} looked at: {', '.join(parts)}")


def _words(verdict: str, count: int) -> str:
    one = count == 1
    return _WORDS[Verdict(verdict)].format(they="it" if one else "they", have="has" if one else "have")


def _named(ones: Sequence[Item]) -> str:
    named = ", ".join(one["id"] for one in ones[:_NAMED_AT_MOST])
    more = len(ones) - _NAMED_AT_MOST
    return f"{named} and {more:,} more" if more > 0 else named
