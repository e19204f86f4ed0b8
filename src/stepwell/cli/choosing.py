"""Which instances a command changes: those that are named, or all that match, which is a job of the server's."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from stepwell.cli import completing
from stepwell.cli.options import Command, combined
from stepwell.cli.searching import Search, searched
from stepwell.cli.terminal import say

if TYPE_CHECKING:
    from stepwell.cli.consent import Consent
    from stepwell.cli.output import Output
    from stepwell.cli.targets import Targets
    from stepwell.client import Client

IDS = click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=completing.instances)
# Up to so many are counted, to be named in the question.
_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the command line says of which instances are meant. `waits`: for the end of the job."""

    ids: Sequence[str]
    search: Search
    waits: bool = True

    @property
    def is_search(self) -> bool:
        """Whether all that match are meant, rather than those that are named."""
        return any(self.search.values())


def which(command: Command) -> Command:
    """Give a command what says which instances it is about: ids, or what they have to match.

    It gets a Chosen as `chosen`. Raises click.UsageError.
    """

    @combined(IDS, searched)
    @functools.wraps(command)
    def with_chosen(*arguments: Any, ids: Sequence[str], search: Search, **more: Any) -> None:
        found = Chosen(ids, search)
        if found.is_search and (ids or more.get("filename")):
            raise click.UsageError(
                "ids name instances, options such as --status say which match; give the ones or the others"
            )
        command(*arguments, chosen=found, **more)

    return with_chosen


def chosen(command: Command) -> Command:
    """Give a command that changes instances what says which, and whether it waits; it gets a Chosen as `chosen`."""

    @which
    @combined(click.option("--no-wait", is_flag=True, help="Of all that match: do not wait for the end of the job."))
    @functools.wraps(command)
    def with_wait(*arguments: Any, chosen: Chosen, no_wait: bool, **more: Any) -> None:
        command(*arguments, chosen=replace(chosen, waits=not no_wait), **more)

    return with_wait


def find(client: "Client", workflow: str, chosen: Chosen) -> "Targets":
    """Return the instances of a workflow that are meant, each by its id; none, which is said, where none is like that.

    Raises Failure.
    """
    from stepwell.cli import targets

    if not chosen.is_search:
        return targets.find(client, workflow, chosen.ids)
    ids = tuple(str(one["id"]) for one in client.search(workflow, chosen.search))
    if not ids:
        say("no instance is like that, so there is nothing to do")
    return targets.Targets(client, workflow, ids)


def change_all(client: "Client", asked: tuple[str, str], chosen: Chosen, consent: "Consent", out: "Output") -> int:
    """Let the server change all instances of a workflow that match, if that is wanted; return the exit code."""
    from stepwell.cli import consent as consents
    from stepwell.cli import jobs
    from stepwell.cli.targets import Targets

    action, workflow = asked
    if consent.is_for_show or not consent.is_given:
        most = None if consent.is_for_show else _COUNTED + 1
        ids = tuple(str(one["id"]) for one in itertools.islice(client.search(workflow, chosen.search), most))
        if len(ids) > _COUNTED and not consent.is_for_show:
            consents.ask(f"{action} more than {_COUNTED:,} instances of {workflow}", workflow)
        elif not consent.covers(action, Targets(client, workflow, ids), out):
            return 0
        if not ids:
            say("no instance is like that, so there is nothing to do")
            return 0
    start = jobs.start_and_wait if chosen.waits else jobs.start
    return start(client, jobs.asked_for(action, workflow, chosen.search), out)
