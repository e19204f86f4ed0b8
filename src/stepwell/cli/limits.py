"""`stepwell limits`, over the API."""

import re
from collections.abc import Mapping
from typing import Any

import click

from stepwell.cli import times
from stepwell.cli.output import Column, Output
from stepwell.cli.terminal import say
from stepwell.client import Client

Item = Mapping[str, Any]


def _or_any(value: object) -> str:
    return "any" if value is None else str(value)


def _rate(rate: Item | None) -> str:
    return "-" if rate is None else f"{rate['limit']} in {rate['period_ms'] / 1000:g} s"


_WORKFLOWS = (
    Column("workflow", lambda one: str(one["workflow_name"])),
    Column("running", lambda one: str(one["running"])),
    Column("limit", lambda one: _or_any(one["concurrency"])),
    Column("queued", lambda one: str(one["queued"])),
    Column("key", lambda one: one["key"] or "-", rank=1),
    Column("per key", lambda one: _or_any(one["concurrency_per_key"]) if one["key"] else "-", rank=2),
    Column("starts", lambda one: _rate(one["rate"]), rank=3),
    Column("starts per key", lambda one: _rate(one["rate_per_key"]), is_wide=True),
    Column("singleton", lambda one: one["singleton"] or "-", is_wide=True),
    Column("priority", lambda one: one["priority"] or "-", is_wide=True),
)
_QUEUES = (
    Column("key", lambda queue: queue["key"] or "-"),
    Column("running", lambda queue: str(queue["running"])),
    Column("queued", lambda queue: str(queue["queued"])),
    Column("next since", lambda queue: times.ago(queue["next_queued_on"]) if queue["next_queued_on"] else "-"),
)


_SHARED = (
    Column("limit of steps", lambda one: str(one["name"])),
    Column("running", lambda one: str(one["running"])),
    Column("limit", lambda one: _or_any(one["concurrency"]) if one["source"] else "not set"),
    Column("queued", lambda one: str(one["queued"])),
    Column("starts", lambda one: _rate(one["rate"]), rank=1),
    Column("said by", lambda one: one["source"] or "-", rank=2),
    Column("next since", lambda one: times.ago(one["next_queued_on"]) if one["next_queued_on"] else "-", rank=3),
)
_RATE = re.compile(r"\s*(\d{1,9})\s+(?:in|per)\s+(.+)", re.DOTALL)


def show(client: Client, workflow: str | None, out: Output) -> int:
    """Print the limits of an account, or of a workflow, and how they stand; return the exit code."""
    if workflow is None:
        return _show_account(client.limits(), out)
    found = client.limits_of(workflow)
    if not out.is_text:
        out.show_one(found, (), workflow)
        return 0
    out.show_all([found], _WORKFLOWS, "workflow_name")
    if found["queues"]:
        click.echo()
        out.show_all(found["queues"], _QUEUES, "key")
    return 0


def change(client: Client, concurrency: int | None, out: Output) -> int:
    """Limit the account, and print all its limits; return the exit code."""
    return _show_account(client.limit_account(concurrency), out)


def to_rate(text: str | None) -> tuple[int, int] | None:
    """Return how many a rate allows, and in how many milliseconds; None: nothing was said. Raises BadParameter."""
    if text is None:
        return None
    found = _RATE.fullmatch(text)
    ms = None if found is None else times.to_ms(found[2].strip())
    if found is None or ms is None or ms < 1 or int(found[1]) < 1:
        raise click.BadParameter(
            f'must be a number and a duration, as "500 in 1 minute", got {text!r:.100}', param_hint="--rate"
        )
    return int(found[1]), ms


def share(client: Client, name: str, concurrency: int | None, rate: tuple[int, int] | None, out: Output) -> int:
    """Set a limit that steps share, and print it; return the exit code."""
    if concurrency is None and rate is None:
        raise click.UsageError("say what the limit allows: --concurrency N, or --rate, or both")
    found = client.share_limit(name, concurrency, rate)
    if not out.is_text:
        out.show_one(found, (), name)
        return 0
    out.show_all([found], _SHARED, "name")
    return 0


def unshare(client: Client, name: str, out: Output) -> int:
    """Take back what was set of a limit that steps share, and print all limits; return the exit code."""
    return _show_account(client.unshare_limit(name), out)


def _show_account(found: Item, out: Output) -> int:
    if out.is_whole:
        out.show_one(found, (), "account")
        return 0
    if not out.is_text:
        out.show_all(found["workflows"], _WORKFLOWS, "workflow_name")
        out.show_all(found["shared"], _SHARED, "name")
        return 0
    most = found["concurrency"]
    limit = "the account has no limit" if most is None else f"{found['running']} of {most} in the account run"
    say(limit)
    are_there = out.show_all(found["workflows"], _WORKFLOWS, "workflow_name")
    if not are_there:
        say("no workflow has limits")
    if found["shared"]:
        if are_there:
            click.echo()
        out.show_all(found["shared"], _SHARED, "name")
    return 0
