"""`stepwell jobs`, over the API: one change of all instances that match, made by the server."""

import itertools
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from stepwell.cli import terminal, times
from stepwell.cli.consent import ask
from stepwell.cli.failures import FAILED, TIMED_OUT
from stepwell.cli.output import Column, Item, Output, counted
from stepwell.cli.progress import Progress, Stand, detaching
from stepwell.cli.redrawing import Drawing
from stepwell.cli.searching import Search
from stepwell.cli.terminal import say
from stepwell.cli.waiting import Waiting
from stepwell.client import Client, Result

# How often a job that is waited for is asked for.
_LOOK_EVERY_S = 0.5

_TO_THE_END = Waiting(waits=True)

# One stands for as many or more.
_MOST_LEFT = 10_000

_JOB = (
    Column("job", lambda job: str(job["id"])),
    Column("action", lambda job: str(job["action"])),
    Column("workflow", lambda job: job["workflow_name"] or "all"),
    Column("status", lambda job: str(job["status"]), is_status=True),
    counted("done", lambda job: job["done"]),
    counted("passed over", lambda job: job["passed_over"], rank=3),
    counted("failed", lambda job: job["failed"]),
    Column(
        "left",
        lambda job: f"{job['left']:,}{'+' if job['left'] >= _MOST_LEFT else ''}",
        rank=3,
        piped=lambda job: str(job["left"]),
    ),
    Column("which", lambda job: _which(job["filter"]), rank=1),
    Column("begun", lambda job: times.ago(job["created_on"]), rank=2),
    Column("by", lambda job: str(job["created_by"]), rank=4),
    Column("looked to", lambda job: job["looked_to"] or "-", is_wide=True),
)
_FAILURE = (
    Column("workflow", lambda failure: str(failure["workflow_name"])),
    Column("instance", lambda failure: str(failure["instance_id"])),
    Column("why", lambda failure: str(failure["message"])),
)


def asked_for(action: str, workflow: str | None, search: Search) -> Mapping[str, Any]:
    """Return what the API is told of a job to begin."""
    given = {name: value if isinstance(value, str) else [*value] for name, value in search.items() if value}
    return {"action": action, "workflow_name": workflow, "filter": given}


def make_sure(asked: Mapping[str, Any]) -> None:
    """Ask whether a job is to begin. Raises Failure if not."""
    workflow, which = asked["workflow_name"], asked["filter"]
    instances = f"all instances of {workflow or 'all workflows'}"
    ask(f"{asked['action']} {instances}{f' with {_which(which)}' if which else ''}", workflow or "all")


def start(client: Client, asked: Mapping[str, Any], out: Output) -> int:
    """Begin a job, and print it; return the exit code."""
    job = client.start_job(asked)
    out.show_one(job, _JOB, job["id"])
    return 0


def start_and_wait(client: Client, asked: Mapping[str, Any], out: Output, waiting: Waiting = _TO_THE_END) -> int:
    """Begin a job, wait for its end, and print it with what has failed; return the exit code."""
    job = client.start_job(asked)
    if waiting.watches:
        return _watch(client, job, waiting, out)
    deadline = waiting.deadline()
    with _detaching(client, job), Progress(job["action"]) as progress:
        while job["status"] == "running":
            progress.tell(_stand(job))
            if not deadline.pause(_LOOK_EVERY_S):
                progress.clear()
                return _out_of_time(job, waiting)
            job = client.job(job["id"])
    return _show(job, out)


def describe(client: Client, id: str, out: Output, waiting: Waiting) -> int:
    """Print a job with what has failed, and how far it is until it ends, if it is watched; return the exit code."""
    job = client.job(id)
    if waiting.watches:
        return _watch(client, job, waiting, out)
    _show(job, out)
    return 0


def _watch(client: Client, job: Result, waiting: Waiting, out: Output) -> int:
    """Show each change of a job until it ends: on a terminal in place of what it was, in a pipe as a line."""
    deadline, drawing, told = waiting.deadline(), Drawing(), ""
    with _detaching(client, job):
        while job["status"] == "running":
            if out.is_text and terminal.can_go_back():
                drawing.draw(out.table([job], _JOB))
            elif job.text != told:
                out.show_one(job, _JOB, job["id"])
                sys.stdout.flush()
            told = job.text
            if not deadline.pause(_LOOK_EVERY_S):
                return _out_of_time(job, waiting)
            job = client.job(job["id"])
        drawing.draw([])
    return _show(job, out)


def _detaching(client: Client, job: Item) -> AbstractContextManager[None]:
    """Give what lets a job go on at Ctrl-C, and cancels it at a second one."""
    id = job["id"]
    return detaching(f"stepwell jobs describe {id} --watch", lambda: client.cancel_job(id))


def _out_of_time(job: Item, waiting: Waiting) -> int:
    say(f"{job['id']} is still running after {waiting.timeout_s:g} s")
    return TIMED_OUT


def _stand(job: Item) -> Stand:
    met = job["done"] + job["passed_over"] + job["failed"]
    return Stand(met, job["failed"], met + job["left"], has_more=job["left"] >= _MOST_LEFT)


def cancel(client: Client, id: str, out: Output) -> int:
    """End a job, and print it; return the exit code."""
    job = client.cancel_job(id)
    out.show_one(job, _JOB, job["id"])
    return 0


def show_list(client: Client, limit: int, out: Output) -> int:
    """Print jobs, newest first; return the exit code."""
    if not out.show_all(itertools.islice(client.jobs(), limit), _JOB) and out.is_text:
        say("no jobs")
    return 0


def _show(job: Result, out: Output) -> int:
    out.show_one(job, _JOB, job["id"])
    if out.is_text and job["failures"]:
        click.echo()
        out.show_all(job["failures"], _FAILURE, "instance_id")
    return 0 if job["status"] == "complete" and not job["failed"] else FAILED


def _which(filters: Mapping[str, Any]) -> str:
    """Return which instances are meant, as the options say it."""
    each = [(name, value) for name, values in filters.items() for value in ([values] if _is_one(values) else values)]
    return " ".join(f"{name}={value}" for name, value in each) or "-"


def _is_one(value: object) -> bool:
    return isinstance(value, str)
