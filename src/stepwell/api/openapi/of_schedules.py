"""Operations on schedules, which are Stepwell's own."""

from collections.abc import Mapping

from stepwell import models
from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import (
    BAD_BODY,
    LARGE_BODY,
    NO_SCHEDULE,
    NO_WORKFLOW,
    OWN_SCHEDULE,
    OWN_SCHEDULES,
    Answer,
    Body,
    Key,
    Operation,
)
from stepwell.schedules import ScheduleChanges, ScheduleShown

_PAGE = ("count", "per_page", "total_count", "page", "total_pages")
_MISSING = (NO_WORKFLOW, NO_SCHEDULE)

OPERATIONS: Mapping[Key, Operation] = {
    f"GET {OWN_SCHEDULES}": Operation(
        id="stepwell-schedules-list",
        tag=STEPWELL,
        description="Lists the account's schedules by workflow and cron expression, a page at a time.",
        answer=Answer(list[ScheduleShown], _PAGE),
        cli=("stepwell schedules list",),
    ),
    f"GET {OWN_SCHEDULE}": Operation(
        id="stepwell-schedules-get",
        tag=STEPWELL,
        description="Gets a schedule of a workflow.",
        answer=Answer(ScheduleShown),
        refused=_MISSING,
    ),
    f"PATCH {OWN_SCHEDULE}": Operation(
        id="stepwell-schedules-edit",
        tag=STEPWELL,
        description="Pauses a schedule, resumes it, or changes its time zone or its overlap. It stays so for as long "
        "as the workflow has the expression. A schedule that is resumed, or gets another time zone, fires next after "
        "that moment.",
        answer=Answer(ScheduleShown),
        body=Body(ScheduleChanges, "What is to change.", {"overlap": "skip", "time_zone": "Europe/Berlin"}),
        refused=(BAD_BODY, *_MISSING, LARGE_BODY),
        cli=('stepwell schedules set order "0 9 * * MON-FRI" --overlap skip --time-zone Europe/Berlin',),
    ),
    f"POST {OWN_SCHEDULE}/run": Operation(
        id="stepwell-schedules-run",
        tag=STEPWELL,
        description="Creates an instance of a schedule at once, whether it is paused and whatever its overlap says. "
        "Its id begins with `manual-`, its trigger is `api`, and its `schedule` has this moment.",
        answer=Answer(models.CreatedInstance),
        refused=_MISSING,
        cli=('stepwell schedules run order "0 9 * * MON-FRI"',),
    ),
}
