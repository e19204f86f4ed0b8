"""What cannot be undone is asked for first: on a terminal by a question, elsewhere by `--yes`."""

import sys
from dataclasses import dataclass

import click

from stepwell.cli.failures import USAGE, Failure
from stepwell.cli.output import Column, Output
from stepwell.cli.targets import Targets
from stepwell.cli.terminal import clean, say

_HINT = "-y or --yes does it without asking"
_YES = {"y", "yes"}
_ID = (Column("instance", lambda item: str(item["id"])),)


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said beforehand: to do it without asking, or to do nothing and show to what it would be done."""

    is_given: bool = False
    is_for_show: bool = False

    def covers(self, verb: str, targets: Targets, out: Output) -> bool:
        """Tell whether something is to be done to instances; ask if nothing was said, or print their ids.

        Raises Failure if the answer is no, or there is nobody to ask.
        """
        if self.is_for_show:
            out.show_all([{"id": id} for id in targets.ids], _ID)
            say(f"nothing is done; without --dry-run: {verb} {_told(targets)}")
            return False
        if not self.is_given and targets.ids:
            count = len(targets.ids)
            ask(f"{verb} {_told(targets)}", None if count == 1 else str(count))
        return True


def ask(what: str, wanted: str | None = None) -> None:
    """Ask whether this is to be done: yes or no, or by typing what is wanted.

    Raises Failure if the answer is no, or there is nobody to ask.
    """
    # The question goes to standard error, as the output is for what is done.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"this has to be confirmed, and there is no terminal to ask on: {what}", USAGE, _HINT)
    asked = "[y/N]:" if wanted is None else f"type {wanted}:"
    click.echo(clean(f"{what}? {asked} "), nl=False, err=True)
    answer = sys.stdin.readline().strip()
    is_yes = answer.casefold() in _YES if wanted is None else answer == wanted
    if not is_yes:
        raise Failure("nothing is done, as that was no yes", USAGE, _HINT)


def _told(targets: Targets) -> str:
    ids = targets.ids
    return f"{ids[0] if len(ids) == 1 else f'{len(ids)} instances'} of {targets.workflow}"
