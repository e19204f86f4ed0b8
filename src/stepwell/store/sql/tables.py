"""The tables of a store, as both databases have them: what a copy of a store takes along, and nothing else.

Not here is what belongs to one database alone: the versions of its schema, the numbers of its transactions, which
hosts have it open, and who has signed in there.
"""

from collections.abc import Callable
from zlib import crc32

from msgspec import Struct

from stepwell.store.sql.records import is_whole
from stepwell.store.sql.rows import Row


class Table(Struct, frozen=True):
    """A table: its columns, those of its primary key first in `key`.

    `is_numbered`: its rows have numbers that a database gives out, and that others name. `at_once`: so many rows are
    few enough to be in memory together. `is_whole`: holds a row against its checksum. `ended`: what columns are in a
    copy, whatever they were.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    is_numbered: bool = False
    at_once: int = 1_000
    is_whole: Callable[[Row], bool] | None = None
    ended: tuple[tuple[str, int | None], ...] = ()

    @property
    def count(self) -> str:
        """The statement that counts its rows."""
        return f"select count(*) from {self.name}"

    @property
    def last(self) -> str:
        """The statement that returns the largest number of a row, 0 if there is none."""
        return f"select coalesce(max(row), 0) from {self.name}"

    @property
    def read(self) -> str:
        """The statement that returns its rows, in the order of their keys."""
        return f"select {', '.join(self.columns)} from {self.name} order by {', '.join(self.key)}"

    def place_of(self, row: Row) -> str:
        """Return how people find a row: its key."""
        named = dict(zip(self.columns, row, strict=True))
        return ", ".join(f"{name} {named[name]}" for name in self.key)


def _columns(names: str) -> tuple[str, ...]:
    return tuple(names.split())


def _is_text_whole(row: Row) -> bool:
    *_, body, crc = row
    return bool(crc32(body.encode()) == crc)


def _is_body_whole(row: Row) -> bool:
    *_, body, crc = row
    return bool(crc32(body) == crc)


# An instance that lacks records, and a record that lacks its value. Those that are being deleted may.
GAPS = """
    select 'the history of instance row', i.row
    from instances as i
    join workflows as w on w.row = i.workflow
    left join (
        select instance, count(*) as count, max(seq) as last
        from records
        group by instance
    ) as r on r.instance = i.row
    where r.count is null
        or r.count <> i.seq
        or r.last <> i.seq
    union all
    select 'the set of large values of instance row', i.row
    from records as r
    join instances as i on i.row = r.instance
    join workflows as w on w.row = i.workflow
    left join payloads as p on p.row = r.payload
    where r.payload is not null
        and p.row is null
    limit 1
    """
_ROW = ("row",)

TABLES = (
    Table(
        "workflows",
        _ROW,
        _columns("row id account name script class_name version created_at modified_at triggered_at snapshot"),
        is_numbered=True,
    ),
    Table(
        "versions",
        _ROW,
        _columns(
            "row id account workflow script class_name sha256 created_at params_schema step_limit settings declared "
            "snapshot flow"
        ),
        is_numbered=True,
        at_once=100,
    ),
    Table(
        "scripts",
        _columns("account name class_name"),
        _columns("account name class_name sha256 params_schema snapshot flow"),
        at_once=100,
    ),
    Table(
        "graphs",
        _columns("account script class_name sha256"),
        _columns("account script class_name sha256 body note"),
        at_once=16,
    ),
    Table("deleted_workflows", _ROW, _ROW),
    # Whoever worked on the one store does not work on the other: what it held is claimed there as after a crash.
    Table(
        "workers",
        _ROW,
        _columns("row name lease_until created_at snapshot blocked_since blocked_stack"),
        is_numbered=True,
        ended=(("lease_until", 0), ("blocked_since", None), ("blocked_stack", None)),
    ),
    Table(
        "instances",
        _ROW,
        _columns(
            "row account workflow id version status trigger due_at queued_at turn n owner seq step_count lost_turns "
            "created_at modified_at started_at ended_at renewed_at restarted_seq has_rollbacks awaited logged log_n "
            "snapshot slot bias key success_retention_ms error_retention_ms labelled tx"
        ),
        is_numbered=True,
    ),
    Table(
        "records",
        _columns("instance seq"),
        _columns("instance seq turn n kind at body value payload size crc tx"),
        at_once=200,
        is_whole=is_whole,
    ),
    Table("payloads", _ROW, _columns("row instance body crc"), is_numbered=True, at_once=8, is_whole=_is_text_whole),
    Table("log_lines", _columns("instance n"), _columns("instance n at step attempt level body"), at_once=100),
    Table("notes", _columns("instance name"), _columns("instance name at value"), at_once=100),
    Table("labels", _columns("instance name"), _columns("instance name value given workflow created_at")),
    Table("errors", ("instance",), _columns("instance workflow created_at name message"), at_once=100),
    Table("children", _columns("child parent event_type"), _columns("child parent event_type follows")),
    Table("streams", _ROW, _columns("row instance step turn attempt"), is_numbered=True),
    Table("pieces", _ROW, _columns("row stream n key body crc"), is_numbered=True, at_once=16, is_whole=_is_body_whole),
    Table("encryption_keys", _columns("name"), _columns("name proof")),
    # Whatever hosts there were: the sum is what counts.
    Table("ended_counts", _columns("workflow status host"), _columns("workflow status host n")),
    Table("gates", _columns("workflow"), _columns("workflow account limits most held queued served started")),
    Table("queues", _columns("workflow key"), _columns("workflow key held served started ready holder")),
    Table("starts", _ROW, _columns("row workflow key n at"), is_numbered=True),
    Table("shared_limits", _ROW, _columns("row account name declared given held started"), is_numbered=True),
    Table(
        "shared_slots", _columns("instance step"), _columns("instance step shared_limit since turn start_at has_begun")
    ),
    Table("shared_starts", _columns("shared_limit n"), _columns("shared_limit n at")),
    Table(
        "schedules",
        _columns("workflow cron"),
        _columns(
            "workflow cron time_zone overlap paused_at next_at last_at last_instance unfinished skipped skipped_at"
        ),
    ),
    Table("terminations", _columns("workflow"), _columns("workflow statuses upto")),
    Table(
        "jobs",
        _columns("account id"),
        _columns(
            "account id verb workflow wanted created_at created_by upto place_at place_row done passed_over failed "
            "failures ended_at is_cancelled"
        ),
        at_once=100,
    ),
    Table(
        "account_settings", _columns("account"), _columns("account success_retention_ms error_retention_ms concurrency")
    ),
    Table("event_triggers", _columns("account script"), _columns("account script triggers modified_at"), at_once=100),
    Table(
        "tokens",
        _ROW,
        _columns("row id account name hash email permissions created_at expires_at revoked_at"),
        is_numbered=True,
    ),
    # Behind the instances: what comes in with a copy is told nobody.
    Table(
        "webhooks",
        _ROW,
        _columns(
            "row id account url secret earlier_secret earlier_until workflows events disabled_at disabled_why "
            "deleted_at created_at created_by"
        ),
        is_numbered=True,
        at_once=100,
    ),
    Table(
        "deliveries",
        _ROW,
        _columns("row webhook event workflow_name instance_id version at attempts tries next_at ended_at outcome log"),
        is_numbered=True,
    ),
    Table(
        "audit",
        _ROW,
        _columns("row account at action way who token address agent workflow_name instance_id thing detail"),
        is_numbered=True,
    ),
    Table("traces", _columns("instance"), _columns("instance taken_until")),
    Table("tracing", _columns("one"), _columns("one until")),
    Table(
        "idempotency_keys", _ROW, _columns("row account key request answer at workflow"), is_numbered=True, at_once=100
    ),
    Table(
        "snapshots",
        _ROW,
        _columns(
            "row account sha256 source python packages created_at served_at script annotations deployed kept_until"
        ),
        is_numbered=True,
        at_once=100,
    ),
    Table(
        "snapshot_files",
        _columns("snapshot path"),
        _columns("snapshot path body crc"),
        at_once=8,
        is_whole=_is_body_whole,
    ),
)
