"""What Stepwell says no to: input that breaks a rule, and what is not there, or not as it would have to be."""

from stepwell.errors.base import StepwellError

# Operations that have a key of their own where they are refused. Source: as of the codes.
_CONTROLS = ("pause", "terminate")


class InvalidInput(StepwellError):
    """A value from outside breaks a rule. `field` names it; the message names value and remedy."""

    code = 10002
    http_status = 400

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class InvalidInstanceId(InvalidInput):
    """An instance id breaks the name rule."""


class UnknownScript(InvalidInput):
    """A workflow is to be made of a script or class that no worker has loaded.

    Answered with 400 because SDKs repeat a 5xx; the message has what is known.
    """


class WorkflowBelongs(InvalidInput):
    """A workflow is to be made of one script, and is another's."""

    def __init__(self, workflow: str, owner: str, script: str) -> None:
        self.workflow, self.owner, self.script = workflow, owner, script
        super().__init__(
            "script_name",
            f'body: workflow "{workflow}" belongs to the script "{owner}", not to "{script:.300}"; '
            "delete the workflow first, or use another name",
        )


class WorkflowNotFound(StepwellError):
    """No workflow of that name in the account."""

    code = 10200
    http_status = 404

    def __init__(self, workflow: str) -> None:
        self.workflow = workflow
        super().__init__(f'workflow.not_found: no workflow "{workflow}" in this account')


class QueueFull(StepwellError):
    """As many instances of a workflow are queued as may be."""

    code = 10429
    http_status = 429

    def __init__(self, workflow: str, most: int) -> None:
        super().__init__(
            f'workflow.queue_full: {most:,} instances of "{workflow}" are queued, and no more may be; '
            "try again when some of them run, or raise the setting queued_instances"
        )


class CreatedTooFast(StepwellError):
    """More instances are created in a second than may be. `retry_after_s`: when to try again, in seconds."""

    code = 10429
    http_status = 429

    def __init__(self, what: str, limit: int, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"instance.creation_rate: {what} may have {limit:,} new instances a second; try again later")


class VersionNotFound(StepwellError):
    """No version of that id in the workflow."""

    code = 10300
    http_status = 404

    def __init__(self, workflow: str, version: str) -> None:
        self.workflow, self.version = workflow, version
        super().__init__(f'version.not_found: no version "{version}" of workflow "{workflow}"')


class ScheduleNotFound(StepwellError):
    """The workflow has no schedule with that cron expression."""

    code = 10500
    http_status = 404

    def __init__(self, workflow: str, cron: str) -> None:
        self.workflow, self.cron = workflow, cron
        super().__init__(f'schedule.not_found: workflow "{workflow}" has no schedule "{cron:.300}"')


class LimitNotFound(StepwellError):
    """No limit of that name, which steps of the account share."""

    code = 10501
    http_status = 404

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f'limit.not_found: steps of the account share no limit "{name:.300}"')


class JobNotFound(StepwellError):
    """No job of that id in the account."""

    code = 10506
    http_status = 404

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f'job.not_found: the account has no job "{id:.300}"; it may have ended more than 30 days ago')


class WebhookNotFound(StepwellError):
    """No webhook of that id in the account."""

    code = 10504
    http_status = 404

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f'webhook.not_found: the account has no webhook "{id:.300}"')


class DeliveryNotFound(StepwellError):
    """No delivery of that id of the webhook."""

    code = 10505
    http_status = 404

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f'delivery.not_found: the webhook has no delivery "{id:.300}"; it may have been forgotten')


class SnapshotNotFound(StepwellError):
    """No snapshot of that number that the account has ever served; None: nothing was served before. `script`: of it."""

    code = 10503
    http_status = 404

    def __init__(self, row: int | None, script: str = "") -> None:
        self.row = row
        self.script = script
        of = f' of the script "{script:.100}"' if script else ""
        what = f"nothing{of} was served before what is served now" if row is None else f"no snapshot {row}{of}"
        what += "" if row is None else " was ever served"
        super().__init__(f"snapshot.not_found: {what}; `stepwell deployments list` shows what was")


class CodeRefused(StepwellError):
    """Code that was uploaded cannot be served; the message is the report for its author.

    Source: developers.cloudflare.com/workers/observability/errors/ (10021: a script that is not valid)
    """

    code = 10021
    http_status = 400

    def __init__(self, report: str) -> None:
        super().__init__(f"script.invalid: {report}")


class InstanceNotFound(StepwellError):
    """No instance of that id in the workflow."""

    code = 10400
    http_status = 404

    def __init__(self, workflow: str, instance: str) -> None:
        self.workflow, self.instance = workflow, instance
        super().__init__(f'instance.not_found: no instance "{instance}" in workflow "{workflow}"')


class StepNotFound(StepwellError):
    """No step of that name and type, or no such attempt of it, in the instance."""

    code = 10400
    http_status = 404

    def __init__(self, instance: str, step: str, type: str, attempt: int | None = None) -> None:
        self.instance, self.step = instance, step
        which = "" if attempt is None else f"attempt {attempt} of "
        super().__init__(
            f'step.not_found: no {which}{type} "{step:.300}" in instance "{instance}"; '
            "its log has the names, each with its count, such as charge-1"
        )


class InstanceAlreadyExists(StepwellError):
    """The id is taken. Answered with 400 because SDKs repeat a 409."""

    code = 10405
    http_status = 400

    def __init__(self, workflow: str, instance: str) -> None:
        self.workflow, self.instance = workflow, instance
        super().__init__(
            f'instance.already_exists: workflow "{workflow}" already has an instance "{instance}"; '
            "use another id, or leave it out to get a new one"
        )


class IdempotencyKeyReused(StepwellError):
    """An Idempotency-Key came before with another request."""

    code = 10002
    http_status = 400

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f'body: the Idempotency-Key "{key:.300}" came with another request before; a key stands for one request, '
            "and each new one needs a new key"
        )


class InstanceFinished(StepwellError):
    """The operation needs an instance that has not ended."""

    code = 10401
    http_status = 400

    def __init__(self, workflow: str, instance: str, status: str, operation: str) -> None:
        self.workflow, self.instance, self.status = workflow, instance, status
        key = f"cannot_{operation}" if operation in _CONTROLS else "finished"
        what = f'instance "{instance}" of workflow "{workflow}" is {status}'
        super().__init__(f"instance.{key}: cannot {operation}: {what}")


class StepNotInHistory(StepwellError):
    """A restart names a step that the instance has not begun."""

    # Cloudflare's own number for `cannot_restart` is not known.
    code = 10402
    http_status = 400

    def __init__(self, instance: str, name: str, type: str, count: int) -> None:
        self.instance, self.name = instance, name
        nth = "" if count == 1 else f" number {count}"
        found = f'Step "{name:.300}" not found in execution history: instance "{instance}" has begun no {type}{nth}'
        super().__init__(f"instance.cannot_restart: {found} of this name, which is without the count that logs show")


class NoFailedRollback(StepwellError):
    """A rollback is to go on that has not failed."""

    code = 10403
    http_status = 400

    def __init__(self, workflow: str, instance: str, status: str) -> None:
        what = f'instance "{instance}" of workflow "{workflow}" is {status}'
        super().__init__(f"instance.no_failed_rollback: {what}; no rollback of it has failed, to go on with")


class RestartedMeanwhile(StepwellError):
    """An instance has changed since the caller looked at its history. Nothing was written."""


class NotAuthenticated(StepwellError):
    """A token that is not known, was revoked or has expired; the message says which."""

    code = 10000
    http_status = 401
