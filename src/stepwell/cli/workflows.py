"""`stepwell workflows`, over the API: by routes that are Cloudflare's too."""

import itertools
import sys
from collections.abc import Iterator, Sequence

import click

from stepwell import limits
from stepwell.cli import times
from stepwell.cli.consent import Consent, ask
from stepwell.cli.output import Column, Item, Output, counted
from stepwell.cli.terminal import clean, say
from stepwell.client import Client, Result

# How many versions are shown beside a workflow.
_VERSIONS = 10

_NAME = Column("workflow", lambda workflow: str(workflow["name"]))
_CLASS = Column("class", lambda workflow: str(workflow["class_name"]), rank=3)
_LISTED = (
    _NAME,
    counted("instances", lambda workflow: sum(_counts(workflow).values())),
    counted("running", lambda workflow: _counts(workflow).get("running", 0), rank=1),
    counted("errored", lambda workflow: _counts(workflow).get("errored", 0), rank=1),
    Column("last instance", lambda workflow: times.ago(workflow.get("triggered_on")), rank=2),
    _CLASS,
    Column("script", lambda workflow: str(workflow["script_name"]), rank=4),
    Column("created", lambda workflow: times.ago(workflow["created_on"]), is_wide=True),
    Column("changed", lambda workflow: times.ago(workflow["modified_on"]), is_wide=True),
    Column("id", lambda workflow: str(workflow["id"]), is_wide=True),
)


def _limit(version: Item) -> str:
    concurrency = version.get("concurrency")
    return str(concurrency["limit"]) if concurrency else "-"


def _steps(version: Item) -> str:
    most = version.get("limits")
    return str(most["steps"]) if most else "-"


def _kept(version: Item) -> str:
    """Return how long instances are kept, by their end."""
    said = version.get("default_retention") or {}
    kept = (("complete", "success_retention"), ("failed", "error_retention"))
    return ", ".join(f"{end} {_span(said[name])}" for end, name in kept if name in said) or "-"


def _span(ms: object) -> str:
    # Cloudflare says it in words where it was set in words.
    return times.span_of(ms / 1000) if isinstance(ms, int) else str(ms)


_VERSION = (
    Column("version", lambda version: str(version["id"])),
    Column("created", lambda version: times.ago(version["created_on"])),
    Column("class", lambda version: str(version["class_name"]), rank=1),
    Column("at a time", _limit, rank=3),
    Column("most steps", _steps, rank=4),
    Column("kept", _kept, rank=5),
    Column("graph", lambda version: "graph" if version.get("has_dag") else "-", rank=2),
)


def check(name: str) -> str:
    """Return the name of a workflow. Raises click.BadParameter for what is none: paths are made of it."""
    if not limits.is_workflow_name(name):
        raise click.BadParameter(
            f"{name!r:.100} is no name of a workflow; it has 1 to {limits.WORKFLOW_NAME_LENGTH} letters, digits, "
            "hyphens and underscores",
            param_hint="NAME",
        )
    return name


def show_list(client: Client, out: Output) -> int:
    """Print the workflows of the account; return the exit code."""
    if not out.show_all(client.workflows(), _LISTED, "name") and out.is_text:
        say("no workflow; `stepwell serve PATH` and `stepwell dev PATH` serve those of PATH")
    return 0


def describe(client: Client, name: str, out: Output) -> int:
    """Print a workflow with its newest versions; return the exit code."""
    workflow = client.workflow(check(name))
    if not out.is_text:
        out.show_one(workflow, (), str(workflow["name"]))
        return 0
    versions = list(itertools.islice(client.versions(name), _VERSIONS + 1))
    _show(workflow, versions[:_VERSIONS], out)
    if len(versions) > _VERSIONS:
        say(f"the newest {_VERSIONS}; `stepwell workflows versions {name}` lists all")
    return 0


def show_versions(client: Client, name: str, limit: int, out: Output) -> int:
    """Print the versions of a workflow, the newest first; return the exit code."""
    out.show_all(itertools.islice(client.versions(check(name)), limit), _VERSION)
    return 0


def delete(client: Client, name: str, consent: Consent, out: Output) -> int:
    """Delete a workflow with all its instances, if that is wanted; return the exit code."""
    workflow = client.workflow(check(name))
    what = f"delete the workflow {name} and its {_count(workflow):,} instances"
    if consent.is_for_show:
        out.show_all([workflow], (_NAME,), "name")
        say(f"nothing is done; without --dry-run: {what}")
        return 0
    if not consent.is_given:
        ask(what, name)
    deleted = client.delete_workflow(name)
    out.show_one(deleted, (Column("workflow", lambda _: name), Column("status", lambda _: "deleted")), name)
    return 0


def _show(workflow: Result, versions: Sequence[Result], out: Output) -> None:
    if not sys.stdout.isatty():
        for texts in _rows(workflow, versions):
            click.echo("\t".join(map(clean, texts)))
        return
    for line in _head(workflow):
        click.echo(clean(line))
    if versions:
        click.echo()
        out.show_all(versions, _VERSION)


def _head(workflow: Result) -> Iterator[str]:
    """Yield what people are told of a workflow, a line for each thing."""
    last = times.ago(workflow.get("triggered_on"))
    yield f"{workflow['name']}   class {workflow['class_name']}   script {workflow['script_name']}"
    created, changed = times.ago(workflow["created_on"]), times.ago(workflow["modified_on"])
    yield f"created {created}   changed {changed}   id {workflow['id']}"
    counts = ", ".join(f"{count:,} {status}" for status, count in _told_counts(workflow))
    yield f"instances  {_count(workflow):,}{f': {counts}' if counts else ''}   last {last}"
    for schedule in workflow.get("schedules") or []:
        yield f"schedule   {schedule['cron']}   next {_next(schedule)}"


def _rows(workflow: Result, versions: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """Yield the lines that a pipe gets: what each is about, and its texts."""
    moments = (workflow["created_on"], workflow["modified_on"], workflow.get("triggered_on") or "-")
    named = (workflow["name"], workflow["class_name"], workflow["script_name"])
    yield ("workflow", *map(str, (*named, *moments, workflow["id"])))
    for status, count in _told_counts(workflow):
        yield ("instances", status, str(count))
    for schedule in workflow.get("schedules") or []:
        yield ("schedule", str(schedule["cron"]), _next(schedule))
    for version in versions:
        texts = (_limit(version), _steps(version), _kept(version), "graph" if version.get("has_dag") else "-")
        yield ("version", str(version["id"]), str(version["created_on"]), str(version["class_name"]), *texts)


def _next(schedule: Item) -> str:
    return str(schedule.get("next_instance") or "-")


def _counts(workflow: Item) -> dict[str, int]:
    counts = workflow.get("instances")
    return {str(status): int(count) for status, count in counts.items()} if isinstance(counts, dict) else {}


def _count(workflow: Item) -> int:
    return sum(_counts(workflow).values())


def _told_counts(workflow: Item) -> list[tuple[str, int]]:
    """Return how many instances have each status that some have."""
    return [(status, count) for status, count in _counts(workflow).items() if count]
