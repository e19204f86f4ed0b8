"""How the latest instances of some workflows have ended: what the list of workflows draws beside each."""

from starlette.responses import Response

from stepwell import limits
from stepwell.api import envelope
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.engine import Engine
from stepwell.store.workflow_operations import ListOutcomes

MOST_WORKFLOWS = 100


async def get_outcomes(engine: Engine, request: ApiRequest) -> Response:
    """Answer with statuses by workflow, those of the latest ends last. Raises InvalidInput."""
    names = list(dict.fromkeys(request.query.texts("workflow", limits.WORKFLOW_NAME_LENGTH)))
    if len(names) > MOST_WORKFLOWS:
        raise invalid("workflow", f"query parameter workflow may be given {MOST_WORKFLOWS} times, got {len(names)}")
    found = await engine.store.run(ListOutcomes(request.account, names))
    return envelope.success({name: statuses[::-1] for name, statuses in found.items()})
