"""How commands end that cannot do what is asked: a line that says why, a line that helps, and an exit code."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

import click

from stepwell import memory
from stepwell.cli.terminal import say
from stepwell.errors import (
    DeliveryNotFound,
    InstanceAlreadyExists,
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    JobNotFound,
    LimitNotFound,
    NoFailedRollback,
    NotAuthenticated,
    NotOfThisServer,
    RequestRefused,
    ScheduleNotFound,
    ServerUnreachable,
    SnapshotNotFound,
    StepNotFound,
    StepNotInHistory,
    StepwellError,
    WebhookNotFound,
    WorkflowNotFound,
)

# 0: done. What an instance came to is only told where it is waited for.
FAILED, USAGE, NOT_ALLOWED, NOT_FOUND, CONFLICT, UNREACHABLE = 1, 2, 3, 4, 5, 6
INSTANCE_ERRORED, INSTANCE_TERMINATED, TIMED_OUT = 7, 8, 9
INTERRUPTED = 130

# What a shell asks by which completes a command line.
COMPLETES = "_STEPWELL_COMPLETE"

_EXIT_BY_STATUS = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND, 409: CONFLICT}
_EXIT_BY_CODE = {
    InstanceAlreadyExists.code: CONFLICT,
    InstanceFinished.code: CONFLICT,
    StepNotInHistory.code: NOT_FOUND,
    NoFailedRollback.code: CONFLICT,
    InvalidInput.code: USAGE,
}
_HINT_BY_CODE = {
    WorkflowNotFound.code: "`stepwell workflows list` shows those there are; --url, --account or a profile may name "
    "another server",
    ScheduleNotFound.code: "`stepwell schedules list {workflow}` shows those there are",
    SnapshotNotFound.code: "`stepwell deployments list` shows those there are",
    JobNotFound.code: "`stepwell jobs list` shows those there are",
    WebhookNotFound.code: "`stepwell webhooks list` shows those there are",
    DeliveryNotFound.code: "`stepwell webhooks deliveries {id}` shows those there are",
    LimitNotFound.code: "`stepwell limits list` shows those there are",
    InstanceNotFound.code: "`stepwell instances list {workflow}` shows those there are",
    InstanceAlreadyExists.code: "leave out --id for a new one; `stepwell instances describe {workflow} {id}` shows it",
    InstanceFinished.code: "`stepwell instances describe {workflow} {id}` shows how it ended",
    StepNotInHistory.code: "`stepwell instances describe {workflow} {id}` shows its steps; a name is without its count",
}
_MAY_DEPLOY = (
    "`stepwell token create --scope deploy` makes a token that may; `stepwell serve --allow-deploy` takes code"
)
# A step and an instance that are not there have the same number: the hint is for both. So is it where a token may not
# do what is asked, or a server does not.
_HINT_BY_COMMAND = {
    ("deploy", NotAuthenticated.code): _MAY_DEPLOY,
    ("rollback", NotAuthenticated.code): _MAY_DEPLOY,
    ("step", StepNotFound.code): "`stepwell instances list {workflow}` shows the instances there are, "
    "`stepwell instances describe {workflow} {id}` the steps of this one",
}
_HINT_BY_EXIT = {
    NOT_ALLOWED: "`stepwell token create` makes a token, `stepwell login` keeps it; STEPWELL_TOKEN may have it, too",
    UNREACHABLE: "`stepwell dev` and `stepwell serve` start a server; --url, STEPWELL_URL or a profile names another",
}

_SERVER_FAULT = 500
_HINT_OF_FAULT = "nothing is wrong with the command: `stepwell doctor` looks at the server, and its log says more"
_HINT_OF_OTHERS = "it is Stepwell's own, and that server is Cloudflare's, or an older one; --url names another"

# How messages of Cloudflare's API begin; the number behind them says as much.
_KEY = re.compile(r"^workflows\.api\.error\.[\w.]+: ")

# Of a URL that click repeats, as it was not expected where it stands.
_PASSWORD = re.compile(r"(?<=://)[^\s:/@]*:[^\s/]*(?=@)|(?<=[?&])(?:ssl)?password=[^&\s)'\"]*")

_HELP = "`{command} --help` shows what can be given"
# A group without a command, to click 8.2 and later.
_HELP_IS_ASKED_FOR = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Failure(click.ClickException):
    """A command cannot do what is asked; the message says why, `hint` what helps."""

    def __init__(self, message: str, exit_code: int, hint: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # what click reads, of each error
        self.hint = hint


class Command(click.Command):
    """A command of which no error of ours becomes a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Do what the command does. Raises Failure."""
        try:
            return super().invoke(ctx)
        except StepwellError as error:
            raise failure_of(error) from error


class Commands(click.Group):
    """Commands that end as this module says."""

    command_class = Command
    group_class = type

    def main(self, *args: Any, **more: Any) -> Any:
        """Do what the command line says, or answer a shell that completes it, and exit."""
        memory.collect_seldom()
        if asked := os.environ.get(COMPLETES):
            from stepwell.cli import completion

            sys.exit(completion.answer(self, asked))
        # How things are shown is for this command line alone.
        copy_context().run(self._main, *args, **more)

    def _main(self, *args: Any, **more: Any) -> None:
        try:
            # Commands exit by themselves; what comes back is the code of what click does alone, such as --help.
            sys.exit(super().main(*args, **{**more, "standalone_mode": False}) or 0)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            if isinstance(error, _HELP_IS_ASKED_FOR):
                error.show()
            else:
                say(f"error: {_PASSWORD.sub('', error.format_message())}")
                say(f"hint: {_hint_of(error)}")
            sys.exit(error.exit_code)


def failure_of(error: StepwellError, **named: str) -> Failure:
    """Return how the command ends that runs and meets an error. `named`: what hints name beside its parameters."""
    exit_code = _exit_code(error)
    return Failure(reason_of(error), exit_code, _hint(error, exit_code, named))


def reason_of(error: StepwellError) -> str:
    """Return an error's message as people get it, with the number that a server gave it."""
    if not isinstance(error, RequestRefused):
        return str(error)
    request = f", request {error.request_id or 'without an id'}" if _is_asked_for("verbose") else ""
    return f"{message_of(error)} ({error.error_code}{request})"


def message_of(error: RequestRefused) -> str:
    """Return a server's message as people get it."""
    return _KEY.sub("", str(error))


def _is_asked_for(flag: str) -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(f"stepwell.{flag}"))


def _exit_code(error: StepwellError) -> int:
    match error:
        case NotOfThisServer():
            return FAILED
        case RequestRefused():
            return _EXIT_BY_CODE.get(error.error_code, _EXIT_BY_STATUS.get(error.status, FAILED))
        case ServerUnreachable():
            return UNREACHABLE
        case _:
            return FAILED


def _hint(error: StepwellError, exit_code: int, named: Mapping[str, str]) -> str:
    ctx = click.get_current_context()
    params = {**ctx.params, **named}
    given = {name: shlex.quote(str(value)) for name, value in params.items() if value is not None}
    said = {"workflow": "WORKFLOW", "id": "ID", **given, "command": ctx.command_path}
    return (_hint_by_code(error, ctx.info_name) or _HINT_BY_EXIT.get(exit_code, _HELP)).format_map(said)


def _hint_by_code(error: StepwellError, command: str | None) -> str | None:
    if isinstance(error, NotOfThisServer):
        return _HINT_OF_OTHERS
    if not isinstance(error, RequestRefused):
        return None
    hint = _HINT_BY_COMMAND.get((command or "", error.error_code)) or _HINT_BY_CODE.get(error.error_code)
    return hint or (_HINT_OF_FAULT if error.status >= _SERVER_FAULT else None)


def _hint_of(error: click.ClickException) -> str:
    if isinstance(error, Failure):
        return error.hint
    ctx = getattr(error, "ctx", None)
    return _HELP.format(command="stepwell" if ctx is None else ctx.command_path)
