"""The audit log as our own routes and commands show it: entries page by page, and whole as JSON lines or as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stepwell.core.steplog import iso
from stepwell.store import Store
from stepwell.store.audit_operations import AuditAction, AuditEntry, ListAudit, Way

# So many are read at a time where all are.
AT_ONCE = 500
# A spreadsheet takes a cell that begins so for a formula.
# Source: owasp.org/www-community/attacks/CSV_Injection
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class AuditEntryShown(msgspec.Struct):
    """An entry of the audit log; what it does not have is null."""

    id: str
    at: str
    action: AuditAction
    who: str
    way: Way
    token_id: str | None
    address: str
    agent: str
    workflow_name: str | None
    instance_id: str | None
    thing: str | None
    detail: dict[str, Any]


FIELDS = AuditEntryShown.__struct_fields__


def shown(entry: AuditEntry) -> AuditEntryShown:
    """Return an entry as it is shown."""
    return msgspec.convert(
        {
            "id": str(entry.row),
            "at": iso(entry.at),
            "action": entry.action,
            "who": entry.who,
            "way": entry.way,
            "token_id": entry.token,
            "address": entry.address,
            "agent": entry.agent,
            "workflow_name": entry.workflow,
            "instance_id": entry.instance,
            "thing": entry.thing,
            "detail": msgspec.json.decode(entry.detail),
        },
        AuditEntryShown,
    )


async def pages(store: Store, wanted: ListAudit) -> AsyncIterator[list[AuditEntryShown]]:
    """Yield all entries that are wanted, newest first, as many at a time as its limit says."""
    while found := await store.run(wanted):
        yield [shown(entry) for entry in found]
        wanted = replace(wanted, before=found[-1].row)


def as_lines(entries: Sequence[AuditEntryShown]) -> bytes:
    """Return entries as JSON, each in a line."""
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def members_of(entries: Iterable[AuditEntryShown]) -> list[dict[str, Any]]:
    """Return entries by their members."""
    return [msgspec.structs.asdict(entry) for entry in entries]


def csv_head() -> bytes:
    """Return the first line of the CSV."""
    return _csv([FIELDS])


def as_csv(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Return entries, by their members, as lines of CSV; what would be a formula there begins with an apostrophe."""
    return _csv([[_cell(entry.get(name)) for name in FIELDS] for entry in entries])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        text = msgspec.json.encode(value).decode() if value else ""
    else:
        text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()
