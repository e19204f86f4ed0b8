"""The limits of an account and of its workflows: who may run, and who waits. Stepwell's own routes.

Cloudflare's own side of it, `concurrency` of a workflow, is in `workflow_body.py`.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.responses import Response

from stepwell import flow
from stepwell.api import envelope
from stepwell.api.refusals import invalid
from stepwell.api.request import ApiRequest
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.flow import LONGEST_PERIOD_MS, Flow, Rate, SharedLimit
from stepwell.limits import MOST_CONCURRENCY
from stepwell.store.flow_operations import GateRow, Gates, QueueRow, SharedLimitRow


class LimitsBody(msgspec.Struct):
    """How many instances of the account may run at a time; null: any number."""

    concurrency: Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)] | None


class RateBody(msgspec.Struct):
    """At most so many in any period."""

    limit: Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)]
    period_ms: Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_MS)]


class SharedLimitBody(msgspec.Struct):
    """What a limit that steps share allows; null: any number. One of both is to be said."""

    concurrency: Annotated[int, Meta(ge=1, le=MOST_CONCURRENCY)] | None = None
    rate: RateBody | None = None


class RateShown(msgspec.Struct):
    """At most so many in any period."""

    limit: int
    period_ms: int


class SharedLimitShown(msgspec.Struct):
    """A limit that steps share, and how it stands."""

    name: str
    concurrency: int | None
    rate: RateShown | None
    source: Literal["code", "api"] | None
    running: int
    queued: int
    next_queued_on: str | None


class QueueShown(msgspec.Struct):
    """The instances of a key."""

    key: str
    running: int
    queued: int
    next_queued_on: str | None


class WorkflowLimits(msgspec.Struct):
    """The limits of a workflow, and how they stand."""

    workflow_name: str
    concurrency: int | None
    key: str | None
    concurrency_per_key: int | None
    rate: RateShown | None
    rate_per_key: RateShown | None
    priority: str | None
    singleton: str | None
    running: int
    queued: int
    queues: list[QueueShown]


class AccountLimits(msgspec.Struct):
    """The limits of an account: its own, those of its workflows that have any, and those that steps share."""

    concurrency: int | None
    running: int
    workflows: list[WorkflowLimits]
    shared: list[SharedLimitShown]


async def get_limits(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the limits of the account, and how they stand."""
    return envelope.success(_shown(await engine.limits(request.account)))


async def change_limits(engine: Engine, request: ApiRequest) -> Response:
    """Limit the account, and answer with all its limits."""
    asked = await request.decode(LimitsBody)
    await engine.limit_account(request.account, asked.concurrency)
    return envelope.success(_shown(await engine.limits(request.account)))


async def get_limits_of_workflow(engine: Engine, request: ApiRequest) -> Response:
    """Answer with the limits of a workflow, and how they stand."""
    found = await engine.limits(request.account, request.workflow)
    gate = found.gates[0] if found.gates else GateRow(request.workflow, "{}", None, 0, 0, [])
    return envelope.success(_workflow(gate))


async def share_limit(engine: Engine, request: ApiRequest) -> Response:
    """Set a limit that steps share, and answer with it."""
    asked = await request.decode(SharedLimitBody)
    if asked.concurrency is None and asked.rate is None:
        raise invalid("body", "body: a limit that steps share must have a concurrency or a rate, such as 8")
    rate = None if asked.rate is None else Rate(asked.rate.limit, asked.rate.period_ms)
    await engine.share_limit(request.account, request.limit, SharedLimit(asked.concurrency, rate))
    (shown,) = [limit for limit in _shown(await engine.limits(request.account)).shared if limit.name == request.limit]
    return envelope.success(shown)


async def unshare_limit(engine: Engine, request: ApiRequest) -> Response:
    """Take back what was set of a limit that steps share, and answer with all limits of the account."""
    await engine.share_limit(request.account, request.limit, None)
    return envelope.success(_shown(await engine.limits(request.account)))


def _shown(found: Gates) -> AccountLimits:
    running = sum(gate.held for gate in found.gates)
    return AccountLimits(found.concurrency, running, [*map(_workflow, found.gates)], [*map(_shared, found.shared)])


def _shared(row: SharedLimitRow) -> SharedLimitShown:
    allows, source = flow.shared_of(row.limit), _source(row)
    since = None if row.since is None else iso(row.since)
    return SharedLimitShown(row.name, allows.concurrency, _rate(allows.rate), source, row.held, row.waiting, since)


def _source(row: SharedLimitRow) -> Literal["code", "api"] | None:
    if row.limit is None:
        return None
    return "api" if row.is_set else "code"


def _workflow(gate: GateRow) -> WorkflowLimits:
    declared: Flow = flow.from_text(gate.limits)
    return WorkflowLimits(
        gate.workflow,
        gate.most,
        declared.key,
        declared.limit_per_key,
        _rate(declared.rate),
        _rate(declared.rate_per_key),
        declared.priority,
        declared.singleton,
        gate.held,
        gate.queued,
        [_queue(queue) for queue in gate.queues if queue.held or queue.queued],
    )


def _queue(queue: QueueRow) -> QueueShown:
    return QueueShown(queue.key, queue.held, queue.queued, None if not queue.since else iso(queue.since))


def _rate(rate: Rate | None) -> RateShown | None:
    return None if rate is None else RateShown(rate.limit, int(rate.period))
