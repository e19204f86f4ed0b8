"""What becomes of a step, decided by hand. Stepwell's own route."""

from typing import Annotated, Literal, assert_never

import msgspec
from starlette.responses import Response

from stepwell import limits
from stepwell.api import body, envelope
from stepwell.api.request import ApiRequest
from stepwell.core.failures import MESSAGE_CHARACTERS, NAME_CHARACTERS, Failure
from stepwell.core.forcing import TYPES
from stepwell.core.records import Action, StepForced
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.forcing import Decision

LoggedName = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.LOGGED_NAME_LENGTH)]


class ActionBody(msgspec.Struct, tag_field="action", forbid_unknown_fields=True):
    """What is to become of a step."""

    step: LoggedName


class RetryBody(ActionBody, tag="retry"):
    """Begin the next attempt now."""

    type: Literal["step", "rollback"] = "step"


class SkipBody(ActionBody, tag="skip"):
    """End a sleep now."""


class CompleteBody(ActionBody, tag="complete"):
    """Let a step return a value, or a wait get a payload."""

    value: msgspec.Raw
    type: Literal["step", "waitForEvent", "rollback"] = "step"


class ForcedErrorBody(msgspec.Struct, forbid_unknown_fields=True):
    """The error that a step fails with."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS)]
    message: Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARACTERS)] = ""


class FailBody(ActionBody, tag="fail"):
    """Let a step or a wait fail for good."""

    error: ForcedErrorBody
    type: Literal["step", "waitForEvent", "rollback"] = "step"


AnyActionBody = RetryBody | SkipBody | CompleteBody | FailBody


class ForcedStep(msgspec.Struct):
    """What was decided of a step, when and by whom."""

    step: str
    type: str
    action: str
    by: str
    timestamp: str


async def force_step(engine: Engine, request: ApiRequest) -> Response:
    """Decide what becomes of a step; its turn acts upon it at once."""
    asked: AnyActionBody = await request.decode(AnyActionBody)  # type: ignore[arg-type]  # a union
    decision = _decision(asked, request.by)
    at = await engine.forcing.force(request.account, request.workflow, request.instance, decision)
    return envelope.success(ForcedStep(decision.step, decision.type, decision.action, decision.by, iso(at)))


def shown(record: StepForced) -> ForcedStep:
    """Show a decision that is on record."""
    return ForcedStep(record.key.label, TYPES[record.key.kind], record.action, record.by, iso(record.at))


def _decision(asked: AnyActionBody, by: str) -> Decision:
    match asked:
        case RetryBody(step=step, type=type):
            return Decision(step, Action.RETRY, type, by=by)
        case SkipBody(step=step):
            return Decision(step, Action.SKIP, "sleep", by=by)
        case CompleteBody(step=step, type=type, value=value):
            return Decision(step, Action.COMPLETE, type, body.json_text(value, "value"), by=by)
        case FailBody(step=step, type=type, error=error):
            return Decision(step, Action.FAIL, type, error=Failure(error.name, error.message), by=by)
        case _:
            assert_never(asked)
