"""What a model is told that asked for something that cannot be: why, and by which tool it goes on."""

from http import HTTPStatus

import click

from stepwell.cli.failures import Failure, reason_of
from stepwell.cli.mcp.texts import harmless, shortened
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    NotOfThisServer,
    RequestRefused,
    ScheduleNotFound,
    ServerUnreachable,
    StepNotInHistory,
    StepwellError,
    WorkflowNotFound,
)

_MOST = 2_000
_BY_CODE = {
    WorkflowNotFound.code: "list_workflows has those there are.",
    ScheduleNotFound.code: "list_schedules has those there are.",
    InstanceAlreadyExists.code: "get_instance shows it; leave out id for a new one.",
    InstanceFinished.code: "get_instance shows how it ended; restart_instance begins it again.",
    # The same as that of a step.
    InstanceNotFound.code: "search_instances finds the instances there are, get_instance has the steps of one.",
    StepNotInHistory.code: "get_instance has the names and types of its steps.",
}
_BY_STATUS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Do not try again: whoever runs `stepwell mcp` gives it another token (STEPWELL_TOKEN).",
    HTTPStatus.FORBIDDEN: "Do not try again: the token may not do this; whoever runs `stepwell mcp` may give it "
    "another one (STEPWELL_TOKEN).",
}
_UNREACHABLE = "Start the server, or see that STEPWELL_URL names the right one; then call the tool again."
_OF_OTHERS = "It is Stepwell's own, and that server is Cloudflare's, or an older one."


def told(error: StepwellError | click.ClickException) -> str:
    """Return what a model is told of an error: the reason, and what helps if anything does."""
    reason, remedy = _told(error)
    return harmless(shortened(f"{reason}\n{remedy}".strip(), _MOST))


def _told(error: StepwellError | click.ClickException) -> tuple[str, str]:
    match error:
        case Failure():
            return error.format_message(), error.hint
        case click.ClickException():
            return error.format_message(), ""
        case NotOfThisServer():
            return reason_of(error), _OF_OTHERS
        case RequestRefused():
            return reason_of(error), _BY_CODE.get(error.error_code) or _BY_STATUS.get(error.status, "")
        case ServerUnreachable():
            return str(error), _UNREACHABLE
        case _:
            return str(error), ""
