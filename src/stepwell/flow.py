"""Flow control: how many instances of a workflow run at a time, and how many start in a period.

An author declares it on his class, as `flow = Flow(...)`. The store keeps it with the workflow and holds every worker
to it: an instance that may not run waits in a queue, and who makes room says who is next.
"""

from typing import Any, Literal

import msgspec

from stepwell import durations
from stepwell.errors import ScriptError
from stepwell.limits import LIMIT_NAME_RULE, MOST_CONCURRENCY, is_limit_name

# One level of priority is worth so much waiting, unless the author says otherwise.
AGEING = "1 minute"
MOST_PRIORITY = 100
LONGEST_KEY = 200
LONGEST_PERIOD_MS = 366 * durations.DAY_MS


class Rate(msgspec.Struct, frozen=True):
    """At most `limit` in any `period`, which is milliseconds or a duration such as "1 minute"."""

    limit: int
    period: int | str


class SharedLimit(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many steps that name this limit may run at a time in an account, and how many of their attempts may begin.

    What is left out has no limit. One that has neither lets nobody begin: it is not known yet.
    """

    concurrency: int | None = None
    rate: Rate | None = None


class Flow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many instances of a workflow may run or start; what is left out has no limit.

    `limit` counts those that run: one that sleeps, waits for an event or a retry, or is paused does not, and queues
    again to go on. It is Cloudflare's `concurrency.limit`, which wins where a client or a wrangler file gives it.
    `key` names a member of the params, as `customer.id`: instances with the same value there belong together, those
    without it do, too. `limit_per_key` and `rate_per_key` hold for each value; the values take turns.
    `rate` counts starts, in any period as long as its own: an instance starts once, also if it sleeps and goes on.
    `priority` names a member of the params, a whole number from -100 to 100: the larger goes first. An instance with
    one more counts as if it had waited longer by `ageing`, so none waits for ever.
    `singleton`: of each key one instance at a time, from its start to its end, also while it sleeps: others wait for
    that with "queue"; with "skip" a creation is answered with the one that is there.
    `shared` are limits by name, which steps of all workflows of the account share: `step.do(..., limit="openai")`.
    """

    limit: int | None = None
    key: str | None = None
    limit_per_key: int | None = None
    rate: Rate | None = None
    rate_per_key: Rate | None = None
    priority: str | None = None
    ageing: int | str = AGEING
    singleton: Literal["queue", "skip"] | None = None
    shared: dict[str, SharedLimit] = {}


def to_text(flow: object, where: str) -> str | None:
    """Return what an author has declared as JSON, with times in milliseconds; None: nothing that limits anything.

    `where` names the class. Raises ScriptError, which names the member.
    """
    if flow is None:
        return None
    if not isinstance(flow, Flow):
        raise ScriptError(f"{where}.flow must be a stepwell.Flow, got {flow!r:.100}")
    checked = Flow(
        limit=_count(flow.limit, f"{where}.flow: limit"),
        key=_path(flow.key, f"{where}.flow: key"),
        limit_per_key=_count(flow.limit_per_key, f"{where}.flow: limit_per_key"),
        rate=_rate(flow.rate, f"{where}.flow: rate"),
        rate_per_key=_rate(flow.rate_per_key, f"{where}.flow: rate_per_key"),
        priority=_path(flow.priority, f"{where}.flow: priority"),
        ageing=_period(flow.ageing, f"{where}.flow: ageing"),
        singleton=flow.singleton,
        shared=_shared(flow.shared, f"{where}.flow: shared"),
    )
    if flow.singleton not in (None, "queue", "skip"):
        raise ScriptError(f'{where}.flow: singleton must be "queue" or "skip", got {flow.singleton!r:.100}')
    for name in ("limit_per_key", "rate_per_key"):
        if getattr(flow, name) is not None and flow.key is None:
            raise ScriptError(f'{where}.flow: {name} needs a key: name a member of the params, as key="customer.id"')
    if checked == Flow(ageing=checked.ageing):
        return None
    return msgspec.json.encode(checked).decode()


def from_text(text: str | None) -> Flow:
    """Return what has been declared."""
    return NO_FLOW if text is None else _decode(text)


def without_shared(text: str | None) -> str | None:
    """Return what has been declared of the instances of a workflow; None: nothing that limits them."""
    own = msgspec.structs.replace(from_text(text), shared={})
    return None if own == Flow(ageing=own.ageing) else msgspec.json.encode(own).decode()


def shared_text(limit: SharedLimit | None) -> str | None:
    """Return a limit that steps share as JSON; None: there is none."""
    return None if limit is None else msgspec.json.encode(limit).decode()


def shared_of(text: str | None) -> SharedLimit:
    """Return a limit that steps share."""
    return SharedLimit() if text is None else _decode_shared(text)


class Place(msgspec.Struct, frozen=True):
    """Where an instance queues: its key, and by how many milliseconds it counts as having waited longer."""

    key: str = ""
    bias_ms: int = 0


def place_of(flow: Flow, params: str) -> Place:
    """Return where an instance with these params (JSON) queues. Raises ValueError, saying what is wrong with them."""
    if flow.key is None and flow.priority is None:
        return Place()
    members = msgspec.json.decode(params)
    priority = 0 if flow.priority is None else _member(members, flow.priority)
    if priority is None:
        priority = 0
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > MOST_PRIORITY:
        raise ValueError(
            f"params.{flow.priority}, the priority, must be a whole number from -{MOST_PRIORITY} to {MOST_PRIORITY}"
        )
    ageing_ms = durations.to_ms(flow.ageing) or 0
    return Place("" if flow.key is None else _key(_member(members, flow.key), flow.key), priority * ageing_ms)


def _key(value: Any, path: str) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    if len(text) > LONGEST_KEY or "\0" in text:
        raise ValueError(f"params.{path}, the key, must have at most {LONGEST_KEY} characters, and none of them null")
    return text


def _member(value: Any, path: str) -> Any:
    """Return a member of a member; None: there is none."""
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _count(given: object, what: str) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_CONCURRENCY:
        raise ScriptError(f"{what} must be a whole number from 1 to {MOST_CONCURRENCY:,}, got {given!r:.100}")
    return given


def _path(given: object, what: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not all(given.split(".")):
        raise ScriptError(f'{what} must name a member of the params, such as "customer.id", got {given!r:.100}')
    return given


def _shared(given: object, what: str) -> dict[str, SharedLimit]:
    if not isinstance(given, dict):
        raise ScriptError(f'{what} must be limits by name, as {{"openai": SharedLimit(8)}}, got {given!r:.100}')
    checked = {}
    for name, limit in given.items():
        if not is_limit_name(name):
            raise ScriptError(f"{what}: the name of a limit must be {LIMIT_NAME_RULE}, got {name!r:.200}")
        place = f'{what} "{name}"'
        if not isinstance(limit, SharedLimit):
            raise ScriptError(f"{place} must be a stepwell.SharedLimit, such as SharedLimit(8), got {limit!r:.100}")
        checked[name] = SharedLimit(
            _count(limit.concurrency, f"{place}: concurrency"), _rate(limit.rate, f"{place}: rate")
        )
        if checked[name] == SharedLimit():
            raise ScriptError(f"{place} must have a concurrency or a rate, such as SharedLimit(8)")
    return checked


def _rate(given: object, what: str) -> Rate | None:
    if given is None:
        return None
    if not isinstance(given, Rate):
        raise ScriptError(f'{what} must be a stepwell.Rate, such as Rate(100, "1 minute"), got {given!r:.100}')
    limit = _count(given.limit, f"{what}: limit")
    assert limit is not None
    return Rate(limit, _period(given.period, f"{what}: period"))


def _period(given: object, what: str) -> int:
    ms = durations.to_ms(given)
    if ms is None or not 1 <= ms <= LONGEST_PERIOD_MS:
        raise ScriptError(f"{what} must be {durations.EXPECTED}, at most a year, got {given!r:.100}")
    return ms


NO_FLOW = Flow()
_decode = msgspec.json.Decoder(Flow).decode
_decode_shared = msgspec.json.Decoder(SharedLimit).decode
