"""The status of an instance without its log, and how far it says it is. Stepwell's own route."""

import msgspec
from starlette.responses import Response

from stepwell import answers, models
from stepwell.api import envelope
from stepwell.api.forcing import ForcedStep, shown
from stepwell.api.logs import Progress, progress
from stepwell.api.request import ApiRequest
from stepwell.children import Children
from stepwell.engine import Engine
from stepwell.store.label_operations import ReadLabels


class Relative(msgspec.Struct):
    """An instance that awaits this one, or that this one awaits or has awaited."""

    workflow: str
    id: str
    status: str


class InstanceStatus(models.ListedInstance):
    """What Cloudflare's list says of an instance, how it ended, and its progress.

    `output` is the JSON value itself, None until the instance is complete; `progress` is None until it said something.
    Of children, and of parents, the oldest hundred are told; of decisions by hand, the latest hundred, latest first.
    """

    step_count: int
    error: models.ErrorText | None
    output: msgspec.Raw | None
    labels: dict[str, str]
    progress: Progress | None
    parents: list[Relative]
    children: list[Relative]
    decisions: list[ForcedStep]


async def get_status(engine: Engine, request: ApiRequest) -> Response:
    """Answer with an instance's status and progress."""
    where = request.account, request.workflow, request.instance
    view = await engine.get(*where, with_steps=False)
    # Read after the status: progress is never older than it.
    page = await engine.log(*where, after=0, limit=1)
    found = await Children(engine).relatives(view.row)
    decided = await engine.forcing.decisions(view.row.row)
    listed = msgspec.structs.asdict(answers.listed_instance(view.row))
    return envelope.success(
        InstanceStatus(
            **listed,
            step_count=view.row.step_count,
            error=answers.error(view.log.error),
            output=None if view.output is None else msgspec.Raw(view.output.encode()),
            labels=(await engine.store.run(ReadLabels(view.row.row))).labels,
            progress=progress(page.progress),
            parents=[Relative(one.workflow, one.id, one.status) for one in found.parents],
            children=[Relative(one.workflow, one.id, one.status) for one in found.children],
            decisions=[shown(record) for record in decided],
        )
    )
