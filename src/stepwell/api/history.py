"""The history of an instance: its records as they stand in the store, without their values. Stepwell's own route."""

from collections.abc import Sequence
from typing import get_args

import msgspec
from starlette.responses import Response

from stepwell import answers, models
from stepwell.api import envelope
from stepwell.api.request import ApiRequest
from stepwell.core.forcing import TYPES
from stepwell.core.records import Record, Recorded
from stepwell.core.steplog import iso
from stepwell.engine import Engine
from stepwell.store import codec
from stepwell.store.operations import GetInstance, ReadHistory, RecordRow

KINDS = tuple(codec.name_of(kind) for kind in get_args(Record))
RECORDS_AT_ONCE = 1_000
# So many records one answer looks at. Where few of them are wanted it has few, and says where to go on.
_LOOKED_AT = 5_000


class RecordShown(msgspec.Struct):
    """A record: its number, when it was written, its kind, and what of the rest is no value of the author's.

    `event_seq` is the number of the record whose event a wait got; `until` is when a sleep ends, a wait times out or a
    step is tried again; `lost` that the turn before was lost; `patch` the name by which the code goes a newer way;
    `version` the one that the instance was moved to. What a kind does not have is None.
    """

    seq: int
    at: str
    kind: str
    step: str | None
    step_type: str | None
    attempt: int | None
    event_type: str | None
    event_seq: int | None
    until: str | None
    lost: bool | None
    action: str | None
    patch: str | None
    version: str | None
    by: str | None
    error: models.ErrorText | None


class History(msgspec.Struct):
    """A part of a history. `next` is what to give as `after` for what is behind it; `is_whole`: nothing is yet."""

    records: list[RecordShown]
    next: int
    is_whole: bool


async def get_history(engine: Engine, request: ApiRequest) -> Response:
    """Answer with records of an instance, oldest first."""
    after = request.query.number("after", lowest=0) or 0
    limit = request.query.number("limit", RECORDS_AT_ONCE) or 100
    kinds = frozenset(request.query.choices("kind", KINDS) or KINDS)
    where = request.account, request.workflow, request.instance
    found = await engine.store.run(GetInstance(*where, with_steps=False))
    return envelope.success(await _read(engine, found.row.row, after, limit, kinds))


async def _read(engine: Engine, row: int, after: int, limit: int, kinds: frozenset[str]) -> History:
    records: list[RecordShown] = []
    for _ in range(0, _LOOKED_AT, RECORDS_AT_ONCE):
        rows = await engine.store.run(ReadHistory(row, after, RECORDS_AT_ONCE))
        wanted = [one for one in rows if one.kind in kinds]
        taken = wanted[: limit - len(records)]
        records += _shown(taken)
        if len(taken) < len(wanted) or len(records) == limit:
            # What is behind the last one is asked for again, as the next answer's first.
            after = taken[-1].seq
            return History(
                records, after, is_whole=bool(rows) and after == rows[-1].seq and len(rows) < RECORDS_AT_ONCE
            )
        after = rows[-1].seq if rows else after
        if len(rows) < RECORDS_AT_ONCE:
            return History(records, after, is_whole=True)
    return History(records, after, is_whole=False)


def _shown(rows: Sequence[RecordRow]) -> list[RecordShown]:
    return [_show(row.kind, recorded) for row, recorded in zip(rows, codec.from_rows(rows), strict=True)]


def _show(kind: str, recorded: Recorded) -> RecordShown:
    seq, record = recorded
    key = getattr(record, "key", None)
    until = next((at for name in ("until", "deadline", "retry_at") if (at := getattr(record, name, None))), None)
    return RecordShown(
        seq,
        iso(record.at),
        kind,
        step=None if key is None else key.label,
        step_type=None if key is None else TYPES[key.kind],
        attempt=getattr(record, "attempt", None),
        event_type=getattr(record, "event_type", None),
        event_seq=getattr(record, "event_seq", None),
        until=None if until is None else iso(until),
        lost=getattr(record, "lost", None),
        action=getattr(record, "action", None),
        patch=getattr(record, "name", None),
        version=getattr(record, "version", None),
        by=getattr(record, "by", None) or getattr(record, "trigger", None),
        error=answers.error(getattr(record, "error", None)),
    )
