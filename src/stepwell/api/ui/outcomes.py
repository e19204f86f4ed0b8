"""How many instances there were: the latest ends of some workflows, all ends of the last hours, and those that ran."""

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api import envelope
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.samples import STRETCH_MS, STRETCHES
from stepwell.store.workflow_operations import CountEnds, ListOutcomes

MOST_WORKFLOWS = 100
HOURS, HOUR_MS = 24, 3_600_000
# So many ends are looked at, of all workflows together and of each at least.
MOST_ENDS, LEAST_ENDS = 20_000, 200


class Ends(msgspec.Struct):
    """For each of the last hours how many ended with which status; `is_partial`: there were more than are counted."""

    hours: list[dict[str, int]]
    is_partial: bool


class Peaks(msgspec.Struct):
    """The most that were seen in each stretch of a day, the present one last; null: nobody looked then.

    `since`: when the first of those begins in which somebody looked, if that is not the whole day ago.
    """

    stretch_ms: int
    since: str | None
    most: dict[str, list[int | None]]


async def get_outcomes(engine: Engine, request: ApiRequest) -> Response:
    """Answer with statuses by workflow, those of the latest ends last. Raises InvalidInput."""
    names = list(dict.fromkeys(request.query.texts("workflow", limits.WORKFLOW_NAME_LENGTH)))
    if len(names) > MOST_WORKFLOWS:
        raise invalid("workflow", f"query parameter workflow may be given {MOST_WORKFLOWS} times, got {len(names)}")
    found = await engine.store.run(ListOutcomes(request.account, names))
    return envelope.success({name: statuses[::-1] for name, statuses in found.items()})


async def get_ends(engine: Engine, request: ApiRequest) -> Response:
    """Answer how many instances of an account ended in each of the last hours."""
    found = await engine.workflows(request.account, limit=MOST_WORKFLOWS)
    used = [row.name for row in found.rows if row.triggered_at]
    limit = max(LEAST_ENDS, MOST_ENDS // max(1, len(used)))
    since = engine.clock.now() - HOURS * HOUR_MS
    ends = await engine.store.run(CountEnds(request.account, used, since, HOUR_MS, limit))
    hours: list[dict[str, int]] = [{} for _ in range(HOURS)]
    for one in ends.counts:
        hour = hours[min(one.stretch, HOURS - 1)]
        hour[one.status] = hour.get(one.status, 0) + one.n
    return envelope.success(Ends(hours, ends.is_partial or found.total > len(found.rows)))


async def get_peaks(engine: Engine, request: ApiRequest) -> Response:
    """Answer how many instances of an account ran and waited at most, in each stretch of the last day."""
    most = engine.samples.of(request.account)
    before = next((at for at, one in enumerate(most["running"]) if one is not None), 0)
    first = engine.clock.now() // STRETCH_MS - STRETCHES + 1 + before
    return envelope.success(Peaks(STRETCH_MS, iso(first * STRETCH_MS) if before else None, most))
