"""Operations on jobs, which are Stepwell's own."""

from collections.abc import Mapping

from stepwell.api.jobs import JobBody, JobShown
from stepwell.api.openapi.of_stepwell import STEPWELL
from stepwell.api.openapi.operation import (
    ACCOUNT,
    BAD_BODY,
    LARGE_BODY,
    NO_JOB,
    NO_WORKFLOW,
    Answer,
    Body,
    Key,
    Operation,
)

JOBS = f"{ACCOUNT}/stepwell/jobs"
_PAGE = ("count", "per_page", "total_count", "page", "total_pages")

OPERATIONS: Mapping[Key, Operation] = {
    f"GET {JOBS}": Operation(
        id="stepwell-jobs-list",
        tag=STEPWELL,
        description="Lists the jobs of the account, newest first, a page at a time. One that ended is kept for 30 "
        "days.",
        answer=Answer(list[JobShown], _PAGE),
        cli=("stepwell jobs list",),
    ),
    f"POST {JOBS}": Operation(
        id="stepwell-jobs-start",
        tag=STEPWELL,
        description="Begins a job: the server pauses, resumes, terminates, restarts or deletes all instances that "
        "match a search, also if it is restarted meanwhile, and, in a database, if its host is lost. Each instance "
        "that there is now is changed once; what is so already or has ended is passed over.",
        answer=Answer(JobShown),
        body=Body(
            JobBody,
            "What is to be done, and to which instances.",
            {"action": "pause", "workflow_name": "order", "filter": {"label": ["customer=nobody"]}},
        ),
        refused=(BAD_BODY, NO_WORKFLOW, LARGE_BODY),
        cli=("stepwell jobs start pause order --label customer=nobody --yes",),
    ),
    f"GET {JOBS}/{{job_id}}": Operation(
        id="stepwell-jobs-get",
        tag=STEPWELL,
        description="Gets a job: how far it is, and which instances could not be changed.",
        answer=Answer(JobShown),
        refused=(NO_JOB,),
        cli=("stepwell jobs describe 0b9a4d1c-0000-4000-8000-000000000003",),
    ),
    f"POST {JOBS}/{{job_id}}/cancel": Operation(
        id="stepwell-jobs-cancel",
        tag=STEPWELL,
        description="Ends a job. What it has done stays; one that has ended stays as it is.",
        answer=Answer(JobShown),
        refused=(NO_JOB,),
        cli=("stepwell jobs cancel 0b9a4d1c-0000-4000-8000-000000000003",),
    ),
}
