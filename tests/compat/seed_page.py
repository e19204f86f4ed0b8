"""The schema of "Get logs and status from instance", written from Cloudflare's reference and nothing of ours.

Every object refuses members that the page does not show. A comment marks each departure from the page: what
only the OpenAPI description and newer SDKs have, and which fields may be null although the page's types
cannot say it.

Source: developers.cloudflare.com/api/go/resources/workflows/subresources/instances/methods/get/
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

DateTime = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

Status = Literal[
    "queued",
    "running",
    "paused",
    "errored",
    "terminated",
    "complete",
    "waitingForPause",
    "waiting",
]


class Page(Struct, forbid_unknown_fields=True):
    """Base: no member beyond the declared ones."""


class Error(Page):
    message: str
    name: str


class Attempt(Page):
    end: DateTime | None  # null while it runs
    error: Error | None  # null unless it failed
    start: DateTime
    success: bool | None  # null while it runs


class Retries(Page):
    delay: str | float
    limit: float
    backoff: Literal["constant", "linear", "exponential"] | UnsetType = UNSET


class Config(Page):
    retries: Retries
    timeout: str | float
    sensitive: Literal["output"] | UnsetType = UNSET  # newer than the page


class Step(Page, tag_field="type", tag="step"):
    attempts: list[Attempt]
    config: Config
    end: DateTime | None  # null until it has ended
    name: str
    output: str | None  # null until it has succeeded, and when it returned nothing
    start: DateTime
    success: bool | None  # null until it has ended


class Sleep(Page, tag_field="type", tag="sleep"):
    end: DateTime
    error: Error | None  # null unless it failed
    finished: bool
    name: str
    start: DateTime


class Termination(Page, tag_field="type", tag="termination"):
    trigger: "TerminationTrigger"


class TerminationTrigger(Page):
    source: str


class Wait(Page, tag_field="type", tag="waitForEvent"):
    end: DateTime
    error: Error | None  # null unless it failed
    finished: bool
    name: str
    start: DateTime
    output: str | UnsetType = UNSET
    event_type: str | UnsetType = UNSET  # newer than the page


class Trigger(Page):
    source: Literal["unknown", "api", "binding", "event", "cron"]


class Instance(Page):
    end: DateTime | None  # null until it has ended
    error: Error | None  # null unless errored
    output: str | float | None  # null until complete, and when nothing was returned
    params: object
    queued: DateTime
    start: DateTime | None  # null until its first run
    status: Status
    step_count: Int64
    steps: list[Step | Sleep | Termination | Wait]
    success: bool | None  # null until it has ended
    trigger: Trigger
    version_id: Uuid = field(name="versionId")
    rollback: None  # newer than the page; required and null, since no rollback has run


class Problem(Page):
    code: Int64
    message: str


class ResultInfo(Page):
    count: Int64
    per_page: Int64
    total_count: Int64
    cursor: str
    page: Int64


class Envelope(Page):
    errors: list[Problem]
    messages: list[Problem]
    result: Instance
    success: Literal[True]
    result_info: ResultInfo
