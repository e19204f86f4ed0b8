"""What would become of instances on code that is uploaded; nothing is kept or changed. Stepwell's own route."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api import scripts
from stepwell.api.request import ApiRequest
from stepwell.api.streams import Stream
from stepwell.engine import Engine
from stepwell.errors import StepwellError
from stepwell.rehearsals import CheckedInstance, CheckStand
from stepwell.store.operations import GetWorkflow

_HEADERS = {"cache-control": "no-store"}
_encode = msgspec.json.Encoder().encode


class CheckFailed(msgspec.Struct):
    """Why a check has ended before its end."""

    error: str


async def check_script(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a line of JSON for each instance that would not simply go on, and with how far that is."""
    deployments = scripts.deployments_of(request)
    workflow = request.query.text("workflow", limits.WORKFLOW_NAME_LENGTH)
    if workflow is not None:
        # Refused before the answer begins.
        await engine.store.run(GetWorkflow(request.account, workflow))
    upload = await scripts.read(request, scripts.name_of(request))
    ended = asyncio.Event()
    # Before a process is started.
    place = request.take_stream(ended.set)
    answers = deployments.check(request.account, upload, workflow)
    try:
        # What is wrong with the code is known by then.
        first = await anext(answers)
    except BaseException:
        place.end()
        raise
    return Stream(_lines(first, answers, ended), "application/x-ndjson", _HEADERS, place.end)


async def _lines(
    first: CheckedInstance | CheckStand,
    answers: AsyncGenerator[CheckedInstance | CheckStand, None],
    ended: asyncio.Event,
) -> AsyncGenerator[bytes, None]:
    yield _encode(first) + b"\n"
    async with aclosing(answers):
        try:
            async for answer in answers:
                if ended.is_set():
                    return
                yield _encode(answer) + b"\n"
        except StepwellError as error:
            # The answer has begun, and can say so in no other way.
            yield _encode(CheckFailed(str(error))) + b"\n"
