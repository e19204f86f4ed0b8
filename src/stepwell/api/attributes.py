"""What the attempts of an instance say of themselves, such as a model's tokens, and the sums. Stepwell's own route."""

import msgspec
from starlette.responses import Response

from stepwell import attributes, limits
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import StepEntry
from stepwell.engine import Engine

MOST_ATTEMPTS = 1_000


class DescribedAttempt(msgspec.Struct):
    """An attempt that has said something of itself; `type` is that of its entry in the log, `step` or `rollback`."""

    step: str
    type: str
    attempt: int
    attributes: dict[str, str | int | float | bool]


class InstanceAttributes(msgspec.Struct):
    """The sums of what are numbers, by name, and the attempts, of which the first thousand are told.

    `is_whole` is False where there are more: ask for those of a step. The sums are of all that were asked for.
    """

    totals: dict[str, int | float]
    attempts: list[DescribedAttempt]
    is_whole: bool


async def get_attributes(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the attributes of an instance's attempts that have ended, or of those of a step."""
    step = request.query.text("step", limits.LOGGED_NAME_LENGTH)
    view = await engine.get(request.account, request.workflow, request.instance)
    found = [
        DescribedAttempt(entry.name, entry.type, number, attempt.attributes)
        for entry in view.log.called
        if isinstance(entry, StepEntry) and step in (None, entry.name)
        for number, attempt in enumerate(entry.attempts, 1)
        if attempt.attributes
    ]
    totals = attributes.totals(attempt.attributes for attempt in found)
    return envelope.success(InstanceAttributes(totals, found[:MOST_ATTEMPTS], is_whole=len(found) <= MOST_ATTEMPTS))
