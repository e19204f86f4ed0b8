"""`stepwell instances move`: instances go on with another version of their code."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from stepwell.cli import choosing
from stepwell.cli.choosing import Chosen
from stepwell.cli.consent import Consent
from stepwell.cli.failures import FAILED
from stepwell.cli.output import Column, Item, Output
from stepwell.cli.progress import Progress, Stand
from stepwell.cli.terminal import say
from stepwell.client import Client
from stepwell.limits import BATCH_INSTANCES

_COLUMNS = (
    Column("instance", lambda item: str(item["id"])),
    Column("version", lambda item: str(item["version_id"])),
)
_HINT = "--force moves those that would break on it, or of which that cannot be foretold, too"


def move(  # noqa: PLR0913, PLR0917 - which ones, where to, and how that is shown
    client: Client,
    workflow: str,
    chosen: Chosen,
    version: str | None,
    consent: Consent,
    out: Output,
    *,
    is_forced: bool,
) -> int:
    """Move instances, if that is wanted; print those that were, and why others were not; return the exit code."""
    found = choosing.find(client, workflow, chosen)
    if not found.ids or not consent.covers("move", found, out):
        return 0
    ids = found.ids
    left: list[Item] = []
    with Progress("move", is_shown=not out.is_line_by_line) as progress:
        out.show_all(_moved(client, workflow, ids, (version, is_forced), left, progress), _COLUMNS)
    for one in left:
        at = f" ({one['where']})" if one["where"] else ""
        say(f"error: {one['id']} is not moved: {one['verdict'] or 'refused'}: {one['problem']}{at}")
    if left:
        say(f"done: {len(ids) - len(left):,} of {len(ids):,}; {_HINT}")
    return FAILED if left else 0


def _moved(  # noqa: PLR0913, PLR0917 - what is moved, how, and who hears of the rest
    client: Client,
    workflow: str,
    ids: Sequence[str],
    how: tuple[str | None, bool],
    left: list[Any],
    progress: Progress,
) -> Iterator[Item]:
    version, is_forced = how
    tried = 0
    remaining = iter(ids)
    while batch := list(itertools.islice(remaining, BATCH_INSTANCES)):
        for one in client.move(workflow, batch, version, is_forced=is_forced):
            tried += 1
            if one["is_moved"]:
                yield one
            else:
                left.append(one)
        progress.tell(Stand(tried, len(left), len(ids)))
