"""What the methods of a binding are told: options as a dict or keywords, each held against what it may be.

Source: developers.cloudflare.com/workflows/build/workers-api/#workflow
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepwell import limits, values
from stepwell.control import FromStep
from stepwell.core.standing import KINDS
from stepwell.engine import NewInstance
from stepwell.errors import InvalidInput
from stepwell.expiry import said_of_instance, to_retention_ms
from stepwell.store.operations import Retention
from stepwell.subscriptions import Wanted, types_of
from stepwell.traces import current_headers

# What instances that a binding creates or controls say of it.
TRIGGER = "binding"
_RETENTION = {
    "successRetention": "success",
    "success_retention": "success",
    "errorRetention": "error",
    "error_retention": "error",
}
_CREATE = ("id", "params", "labels", "retention", "locationHint", "location_hint")
_SUBSCRIBE = ("cursor", "filter")


def known_options(method: str, options: object, known: Sequence[str]) -> Mapping[str, Any]:
    """Return the options of a method. Raises InvalidInput if they are no dict, or have one that is not known."""
    if not isinstance(options, Mapping):
        raise InvalidInput("options", f"{method}: the options must be a dict, got {options!r:.100}")
    for name in options:
        if name not in known:
            takes = ", ".join(known)
            raise InvalidInput("options", f'{method}: the option "{name!s:.100}" is not known; it takes {takes}')
    return options


def new_instance(options: object) -> NewInstance:
    """Return the instance that options ask for. Raises InvalidInput."""
    said = known_options("create", options, _CREATE)
    id, params = said.get("id"), said.get("params")
    if not isinstance(id, str | None):
        raise InvalidInput("id", f"create: `id` must be a text, got {id!r:.100}")
    text = "{}" if params is None else values.encode_json(params, "params")
    labels = said.get("labels") or {}
    return NewInstance(id, text, TRIGGER, _retention(said.get("retention")), labels, current_headers())


def _retention(said: object) -> Retention | None:
    """Return how long an instance is to be kept. Raises InvalidInput."""
    if said is None:
        return None
    if not isinstance(said, Mapping) or not said.keys() <= set(_RETENTION):
        expected = '{"successRetention": "7 days", "errorRetention": "30 days"}'
        raise InvalidInput("retention", f"create: `retention` must be such as {expected}; got {said!r:.100}")
    ms = {_RETENTION[name]: to_retention_ms(f"retention.{name}", given, "create") for name, given in said.items()}
    return said_of_instance(ms.get("success"), ms.get("error"))


def check_id(id: object) -> None:
    """Raise InvalidInput for what cannot be the id of an instance that is to be deleted."""
    if not isinstance(id, str) or not limits.is_addressed_instance_id(id):
        raise InvalidInput("ids", f"instance.invalid_id: {id!r:.100} is no id of an instance; nothing was deleted")


def from_step(said: object) -> FromStep | None:
    """Return the step that a restart begins at. Raises InvalidInput."""
    if said is None:
        return None
    match said:
        case {"name": str(name), **more} if more.keys() <= {"count", "type"}:
            count, type = more.get("count", 1), more.get("type", "do")
            if isinstance(count, int) and not isinstance(count, bool) and count >= 1 and type in KINDS:
                return FromStep(name, count, type)
    expected = '{"name": "charge", "count": 1, "type": "do"}, where type is one of ' + ", ".join(KINDS)
    raise InvalidInput("from", f"restart: `from` must be such as {expected}; got {said!r:.100}")


def wanted_events(options: Mapping[str, Any]) -> Wanted:
    """Return what a subscriber wants. Raises InvalidInput."""
    said = known_options("subscribe", options, _SUBSCRIBE)
    cursor, names = said.get("cursor"), said.get("filter")
    if cursor is not None and (isinstance(cursor, bool) or not isinstance(cursor, int) or cursor < 0):
        raise InvalidInput("cursor", f"subscribe: `cursor` must be the eventId of an event, got {cursor!r:.100}")
    if names is not None and not isinstance(names, list | tuple | set | frozenset):
        raise InvalidInput("filter", f"subscribe: `filter` must be a list of types, got {names!r:.100}")
    return Wanted(cursor or 0, types_of(names or ()))


def wanted_instances(batch: object, most: int) -> list[object]:
    """Return the options of each instance of a batch. Raises InvalidInput."""
    match batch:
        case {"instances": [*instances]}:
            return instances
        case {"count": count, **common}:
            if isinstance(count, bool) or not isinstance(count, int) or count > most:
                expected = f"`count` must be an integer from 1 to {most:,}"
                raise InvalidInput("batch", f"create_batch: {expected}, got {count!r:.100}")
            return [common] * count
        case [*instances]:
            return instances
        case _:
            expected = 'a list of options, {"instances": [...]} or {"count": n, ...}'
            raise InvalidInput("batch", f"create_batch takes {expected}, got {batch!r:.100}")
