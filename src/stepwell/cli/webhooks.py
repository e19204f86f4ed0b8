"""`stepwell webhooks`: who is told of what instances do, over the API."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.cli import times
from stepwell.cli.consent import ask
from stepwell.cli.output import Column, Item, Output, counted
from stepwell.cli.terminal import say
from stepwell.client import Client


def _state(webhook: Item) -> str:
    return "enabled" if webhook["enabled"] else f"disabled ({str(webhook['disabled_as']).replace('_', ' ')})"


def _names(names: Sequence[object]) -> str:
    return ", ".join(map(str, names)) or "all"


def _last(delivery: Item) -> str:
    if not delivery["attempts"]:
        return "-"
    last = delivery["attempts"][-1]
    return str(last["problem"] or last["status"] or "under way")


_WEBHOOK = (
    Column("webhook", lambda webhook: str(webhook["id"])),
    Column("url", lambda webhook: str(webhook["url"])),
    Column("state", _state),
    Column("workflows", lambda webhook: _names(webhook["workflows"]), rank=1),
    Column("events", lambda webhook: _names(webhook["events"]), rank=2),
    Column("made", lambda webhook: times.ago(webhook["created_on"]), rank=3),
    Column("by", lambda webhook: str(webhook["created_by"]), rank=4),
)
_WAITING = (*_WEBHOOK, counted("pending", lambda webhook: webhook["pending"]))
_DELIVERY = (
    Column("delivery", lambda delivery: str(delivery["id"]), rank=3),
    Column("event", lambda delivery: str(delivery["type"]).rpartition(".")[2]),
    Column("workflow", lambda delivery: delivery["workflow_name"] or "-", rank=1),
    Column("instance", lambda delivery: delivery["instance_id"] or "-"),
    Column("was", lambda delivery: times.ago(delivery["occurred_on"]), rank=2),
    Column("outcome", lambda delivery: str(delivery["outcome"]).replace("_", " ")),
    counted("attempts", lambda delivery: len(delivery["attempts"])),
    Column("last", _last),
)
_SHOWN_ONCE = "the secret is shown only now; give it to the receiver"


def show_list(client: Client, out: Output) -> int:
    """Print the webhooks of the account; return the exit code."""
    if not out.show_all(client.webhooks(), _WEBHOOK) and out.is_text:
        say("no webhooks")
    return 0


def create(client: Client, wanted: Mapping[str, Any], out: Output) -> int:
    """Make a webhook, and print it with its secret; return the exit code."""
    return _show_secret(client.webhook("POST", body=wanted), out)


def rotate(client: Client, id: str, out: Output) -> int:
    """Give a webhook a new secret, and print it; return the exit code."""
    return _show_secret(client.webhook("POST", id, "secret"), out)


def describe(client: Client, id: str, out: Output) -> int:
    """Print a webhook, with how much waits for it; return the exit code."""
    out.show_one(client.webhook("GET", id), _WAITING, id)
    return 0


def change(client: Client, id: str, changes: Mapping[str, Any], out: Output) -> int:
    """Change a webhook, and print it as it is then; return the exit code."""
    out.show_one(client.webhook("PATCH", id, body=changes), _WEBHOOK, id)
    return 0


def delete(client: Client, id: str, *, is_sure: bool) -> int:
    """Delete a webhook, and what waits for it; return the exit code. Raises Failure if that is not wanted."""
    if not is_sure:
        ask(f"delete the webhook {id}, and what waits for it")
    client.webhook("DELETE", id)
    say(f"deleted {id}")
    return 0


def show_deliveries(client: Client, id: str, outcome: str | None, limit: int, out: Output) -> int:
    """Print what a webhook was sent, or is to be, newest first; return the exit code."""
    if not out.show_all(itertools.islice(client.deliveries(id, outcome), limit), _DELIVERY) and out.is_text:
        say("no deliveries")
    return 0


def send(client: Client, place: Sequence[str], out: Output) -> int:
    """Have a message sent, and print how it stands; return the exit code."""
    delivery = client.webhook("POST", *place)
    out.show_one(delivery, _DELIVERY, delivery["id"])
    return 0


def _show_secret(webhook: Item, out: Output) -> int:
    columns = (*_WEBHOOK[:2], Column("secret", lambda item: str(item["secret"])))
    out.show_one(webhook, columns, webhook["id"])
    if out.is_text:
        say(_SHOWN_ONCE)
    return 0
