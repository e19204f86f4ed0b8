"""Jobs: one change of all instances that match a search, made by the server. Stepwell's own routes."""

from typing import Annotated, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import durations, limits, models
from stepwell.api import body, envelope, wishes
from stepwell.api.instance_search import Trigger, wanted_by
from stepwell.api.paging import NumberedPage
from stepwell.api.query import Query
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store.job_operations import JobFailure, JobRow, Verb
from stepwell.store.search_operations import Wanted

PER_PAGE = 50
MOST_PER_PAGE = 100

_Searched = Annotated[str, Meta(min_length=1, max_length=limits.SEARCHED_TEXT_LENGTH)]
_Id = Annotated[str, Meta(min_length=1, max_length=limits.INSTANCE_ID_LENGTH)]


class JobFilter(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Which instances are meant: those that a search with these parameters finds."""

    status: list[models.Status] = []
    label: Annotated[list[str], Meta(max_length=limits.LABELS)] = []
    prefix: Annotated[str, Meta(min_length=1, max_length=limits.ADDRESSED_INSTANCE_ID_LENGTH)] | None = None
    version: _Id | None = None
    trigger: Trigger | None = None
    error: _Searched | None = None
    error_text: _Searched | None = None
    duration_min: str | None = None
    duration_max: str | None = None
    date_start: str | None = None
    date_end: str | None = None
    ended_start: str | None = None
    ended_end: str | None = None


class JobBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done, and to which instances. A member that is not known is refused: it could have meant fewer."""

    action: Verb
    workflow_name: Annotated[str, Meta(min_length=1, max_length=limits.WORKFLOW_NAME_LENGTH)] | None = None
    filter: JobFilter = msgspec.field(default_factory=JobFilter)


class JobProblem(msgspec.Struct):
    """An instance that could not be changed."""

    workflow_name: str
    instance_id: str
    message: str


class JobShown(msgspec.Struct):
    """A job, and how far it is."""

    id: str
    action: Verb
    workflow_name: str | None
    filter: dict[str, str | list[str]]
    status: Literal["running", "complete", "cancelled"]
    created_on: str
    created_by: str
    ended_on: str | None
    looked_to: str | None
    done: int
    passed_over: int
    failed: int
    left: int
    failures: list[JobProblem]


async def start_job(engine: Engine, request: ApiRequest) -> Response:
    """Begin to change all instances that match."""
    sent = await request.body()
    asked = body.decode(sent or b"{}", JobBody)
    key = wishes.idempotency_key(request.http.headers, "start job", sent)
    given = {name: value for name, value in msgspec.structs.asdict(asked.filter).items() if value not in (None, [])}
    wanted = wanted_by(Query(urlencode(given, doseq=True).encode(), "the filter's"))
    job = await engine.jobs.start(request.account, asked.action, asked.workflow_name, wanted, request.by, key)
    return envelope.success(_shown(job))


async def list_jobs(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of jobs, newest first."""
    page = NumberedPage.asked_by(request.query, per_page=PER_PAGE, most=MOST_PER_PAGE)
    found = await engine.jobs.list(request.account, limit=page.per_page, offset=page.offset)
    return envelope.success([_shown(job) for job in found.jobs], page.info(len(found.jobs), found.total))


async def get_job(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a job."""
    return envelope.success(_shown(await engine.jobs.get(request.account, request.job)))


async def cancel_job(engine: Engine, request: ApiRequest) -> Response:
    """End a job, and answer with it."""
    return envelope.success(_shown(await engine.jobs.cancel(request.account, request.job)))


def _shown(job: JobRow) -> JobShown:
    return JobShown(
        job.id,
        job.verb,
        job.workflow,
        _filter(job.wanted),
        "running" if job.ended_at is None else "cancelled" if job.is_cancelled else "complete",
        iso(job.created_at),
        job.created_by,
        None if job.ended_at is None else iso(job.ended_at),
        None if job.place is None else iso(job.place[0]),
        job.done,
        job.passed_over,
        job.failed,
        job.left,
        [_problem(failure) for failure in job.failures],
    )


def _problem(failure: JobFailure) -> JobProblem:
    return JobProblem(failure.workflow, failure.id, failure.message)


def _filter(wanted: Wanted) -> dict[str, str | list[str]]:
    """Return what is searched for as a search takes it."""
    lists = {"status": [*wanted.statuses], "label": [f"{name}={value}" for name, value in wanted.labels.items()]}
    texts = {
        "prefix": wanted.id_prefix,
        "version": wanted.version,
        "trigger": wanted.trigger,
        "error": wanted.error_name,
        "error_text": wanted.error_text,
        "duration_min": None if wanted.least_ms is None else durations.in_words(wanted.least_ms),
        "duration_max": None if wanted.most_ms is None else durations.in_words(wanted.most_ms),
        "date_start": _moment(wanted.created_from),
        "date_end": _moment(wanted.created_to),
        "ended_start": _moment(wanted.ended_from),
        "ended_end": _moment(wanted.ended_to),
    }
    return {
        **{name: value for name, value in lists.items() if value},
        **{name: text for name, text in texts.items() if text is not None},
    }


def _moment(at: int | None) -> str | None:
    return None if at is None else iso(at)
