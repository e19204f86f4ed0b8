"""How the oracle says no."""

# The code by which the API tells each error. Source: docs/compatibility.md and developers.cloudflare.com/api/.
CODES = {
    "CreatedTooFast": 10429,
    "IdempotencyKeyReused": 10002,
    "InstanceAlreadyExists": 10405,
    "InstanceFinished": 10401,
    "InstanceNotFound": 10400,
    "InvalidInput": 10002,
    "InvalidInstanceId": 10002,
    "JobNotFound": 10506,
    "LimitNotFound": 10501,
    "NoFailedRollback": 10403,
    "NotAuthenticated": 10000,
    "QueueFull": 10429,
    "ScheduleNotFound": 10500,
    "StepNotFound": 10400,
    "StepNotInHistory": 10402,
    "UnknownScript": 10002,
    "VersionNotFound": 10300,
    "WorkflowBelongs": 10002,
    "WorkflowNotFound": 10200,
}


class Refused(Exception):
    """An operation that cannot be done, by the name of its error."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.code = CODES[name]
        super().__init__(name)
