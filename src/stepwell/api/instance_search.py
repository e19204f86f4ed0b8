"""Searches for instances, in a workflow or in all of an account, and instances with labels. Stepwell's own routes.

A page comes by cursor: what is created meanwhile neither moves nor repeats anything.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import msgspec
from starlette.responses import Response

from stepwell import answers, labels, limits, models, searches
from stepwell.api import envelope, new_instance, wishes
from stepwell.api.paging import after_instance, instance_cursor
from stepwell.api.query import Query
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.searches import Page
from stepwell.store.search_operations import Wanted

PER_PAGE = 50
MOST_PER_PAGE = 100
Trigger = Literal["unknown", "api", "binding", "event", "cron"]
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
_LONGEST_LABEL = limits.LABEL_NAME_LENGTH + 1 + limits.LABEL_VALUE_LENGTH


class SearchInfo(models.ResultInfo):
    """Where a page stands. `is_partial`: no more was found in the time that a search has; the cursor goes on there.

    `looked_to` is the creation up to which it has looked then.
    """

    has_more: bool = False
    is_partial: bool = False
    looked_to: str | None = None


class LabelledInstance(models.CreatedInstance):
    """An instance that has just been created, with its labels."""

    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class InstanceSearch:
    """What somebody searches for, and which page of it he wants."""

    wanted: Wanted
    page: Page

    @classmethod
    def asked_by(cls, query: Query) -> "InstanceSearch":
        """Return the search that a query asks for. Raises InvalidInput."""
        page = Page(
            limit=query.number("per_page", MOST_PER_PAGE) or PER_PAGE,
            after=after_instance(query.cursor()),
            ascending=query.choice("direction", ("asc", "desc")) == "asc",
        )
        return cls(wanted_by(query), page)


def wanted_by(query: Query) -> Wanted:
    """Return which instances a query searches for. Raises InvalidInput."""
    return Wanted(
        statuses=tuple(dict.fromkeys(query.choices("status", models.STATUSES))),
        labels=_labels(query),
        id_prefix=query.text("prefix", limits.ADDRESSED_INSTANCE_ID_LENGTH),
        version=query.text("version", limits.INSTANCE_ID_LENGTH),
        trigger=query.choice("trigger", TRIGGERS),
        error_name=query.text("error", limits.SEARCHED_TEXT_LENGTH),
        error_text=query.text("error_text", limits.SEARCHED_TEXT_LENGTH),
        least_ms=query.duration("duration_min"),
        most_ms=query.duration("duration_max"),
        created_from=query.moment("date_start"),
        created_to=query.moment("date_end"),
        ended_from=query.moment("ended_start"),
        ended_to=query.moment("ended_end"),
    )


async def search_workflow(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of a workflow's instances that match."""
    return await _search(engine, request, request.workflow)


async def search_account(engine: Engine, request: ApiRequest) -> Response:
    """Answer with a page of the instances that match, of all workflows."""
    return await _search(engine, request, None)


async def create_with_labels(engine: Engine, request: ApiRequest) -> Response:
    """Create an instance with labels; it is due at once."""
    body = await request.body()
    key = wishes.idempotency_key(request.http.headers, "create with labels", request.workflow, body)
    new = new_instance.decode_labelled(body, new_instance.caller_of(request.http.headers))
    row = await engine.create(request.account, request.workflow, new, key)
    created = msgspec.structs.asdict(answers.created_instance(row))
    return envelope.success(LabelledInstance(**created, labels=dict(sorted(new.labels.items()))))


async def _search(engine: Engine, request: ApiRequest, workflow: str | None) -> Response:
    asked = InstanceSearch.asked_by(request.query)
    found = await searches.search(engine, request.account, workflow, asked.wanted, asked.page)
    info = SearchInfo(
        count=len(found.instances),
        per_page=asked.page.limit,
        cursor="" if found.looked_to is None else instance_cursor(*found.looked_to),
        has_more=found.looked_to is not None,
        is_partial=found.is_partial,
        looked_to=None if found.looked_to is None or not found.is_partial else iso(found.looked_to[0]),
    )
    return envelope.success(found.instances, info)


def _labels(query: Query) -> dict[str, str]:
    given = query.texts("label", _LONGEST_LABEL)
    label = f"{query.called} label"
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        problem = labels.problem_of({name: value}) if sign else f"there is no = in {text!r:.300}"
        if problem is not None:
            raise invalid("label", f"{label} must be a name and a value, such as customer=ann: {problem}")
        if found.setdefault(name, value) != value:
            raise invalid("label", f'{label} asks for two values of {name}: "{found[name]}" and "{value}"')
    if len(found) > limits.LABELS:
        raise invalid("label", f"{label} is given {len(found)} times; at most {limits.LABELS} are allowed")
    return found
