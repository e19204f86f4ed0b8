"""The operations on children, and what the end of an instance does to its parents and children."""

import json
from collections.abc import Callable
from contextlib import suppress

from stepwell.core.records import EventReceived
from stepwell.errors import InstanceAlreadyExists, InstanceNotFound, TurnLost, WorkflowNotFound
from stepwell.store import codec
from stepwell.store.child_operations import (
    AwaitChild,
    ChildLink,
    ListRelatives,
    Member,
    ReadFamily,
    Relative,
    Relatives,
    StartChild,
)
from stepwell.store.operations import CreateInstance, RecordRow
from stepwell.store.sql.events import tell_event
from stepwell.store.sql.records import end_of
from stepwell.store.sql.rows import Connection, Statement, every
from stepwell.store.sql.targets import Target, find_target, hold_turn
from stepwell.store.sql.transaction import Transaction

_LINK = """
    insert into children (child, parent, event_type, follows)
    values (:child, :parent, :event_type, :follows)
    on conflict do nothing
    """
_AWAITED = """
    update instances
    set awaited = 1
    where row = :row
    """
_PARENTS = """
    select parent, event_type
    from children
    where child = :child
    order by parent, event_type
    """
_FOLLOWERS = """
    select i.row
    from children as c
    join instances as i on i.row = c.child
    where c.parent = :parent
        and c.follows = 1
        and i.ended_at is null
        and i.workflow not in (
            select row
            from deleted_workflows
        )
    order by i.row
    """
# Once each, however many events tell of one; and none is looked at beyond the limit.
_RELATIVES = """
    select w.name, i.id, i.status
    from children as c
    join instances as i on i.row = c.{one}
    join workflows as w on w.row = i.workflow
    where c.{other} = :row
        and not exists (
            select 1
            from children as earlier
            where earlier.child = c.child
                and earlier.parent = c.parent
                and earlier.event_type < c.event_type
        )
    order by c.{one}
    limit :limit
    """
# `union` leaves out what is there already: none awaits itself over others, but a file that is damaged may say so.
_FAMILY = Statement(
    """
    with recursive family (row, parent) as (
        select :row, null
        union
        select c.child, c.parent
        from family as f
        join children as c on c.parent = f.row
        limit :limit
    )
    select f.row, f.parent, w.name, i.id, i.status
    from family as f
    cross join instances as i on i.row = f.row
    join workflows as w on w.row = i.workflow
    """,
    # PostgreSQL has no limit inside of a recursion; it stops when the one outside has enough. Each parent is asked
    # for its children by itself: so they come in the order of SQLite's index.
    postgres="""
    with recursive family (row, parent) as (
        select cast(:row as bigint), cast(null as bigint)
        union
        select c.child, c.parent
        from family as f
        cross join lateral (
            select child, parent
            from children
            where parent = f.row
            order by child
        ) as c
    )
    select f.row, f.parent, w.name, i.id, i.status
    from (
        select row, parent, row_number() over () as place
        from (
            select row, parent
            from family
            limit :limit
        ) as nearest
    ) as f
    join instances as i on i.row = f.row
    join workflows as w on w.row = i.workflow
    order by f.place
    """,
)
_UNLINK = """
    delete from children
    where child = :row
    """
_UNLINK_PARENT = """
    delete from children
    where parent = :row
    """


def start_child(
    transaction: Transaction, operation: StartChild, create: Callable[[Transaction, CreateInstance], object]
) -> None:
    """Do StartChild."""
    creation = operation.creation
    _check_turn(transaction, operation.link)
    with suppress(InstanceAlreadyExists):
        create(transaction, creation)
    target = find_target(transaction, creation.account, creation.workflow, creation.id)
    _await(transaction, target, operation.link, creation.now)


def await_child(transaction: Transaction, operation: AwaitChild) -> None:
    """Do AwaitChild."""
    link = operation.link
    _check_turn(transaction, link)
    try:
        target = find_target(transaction, operation.account, operation.workflow, operation.id)
    except (InstanceNotFound, WorkflowNotFound):
        _tell(transaction, link.parent, link.event_type, DELETED, operation.now)
    else:
        _await(transaction, target, link, operation.now)


# What a parent hears of a child that is not there any more.
DELETED = json.dumps({"status": "deleted"})


def tell_parents(transaction: Transaction, child: int, end: RecordRow | None, now: int) -> None:
    """Let those hear of a child's end who await it; None: it was deleted."""
    said = DELETED if end is None else _said(end)
    for parent, event_type in every(transaction.connection, _PARENTS, (child,)):
        _tell(transaction, parent, event_type, said, now)


def followers(transaction: Transaction, parent: int) -> list[int]:
    """Return the rows of the children that end with a parent and have not ended."""
    return [row for (row,) in every(transaction.connection, _FOLLOWERS, (parent,))]


def unlink(transaction: Transaction, row: int) -> None:
    """Forget whom an instance awaits, and who awaits it."""
    transaction.execute(_UNLINK, (row,))
    transaction.execute(_UNLINK_PARENT, (row,))


def list_relatives(connection: Connection, operation: ListRelatives) -> Relatives:
    """Do ListRelatives."""
    parents = every(connection, _RELATIVES.format(one="parent", other="child"), (operation.row, operation.limit))
    children = every(connection, _RELATIVES.format(one="child", other="parent"), (operation.row, operation.limit))
    return Relatives([Relative(*columns) for columns in parents], [Relative(*columns) for columns in children])


def read_family(connection: Connection, operation: ReadFamily) -> list[Member]:
    """Do ReadFamily."""
    return [Member(*columns) for columns in every(connection, _FAMILY, (operation.row, operation.limit))]


def _check_turn(transaction: Transaction, link: ChildLink) -> None:
    """Raise TurnLost if the parent has been ended or restarted meanwhile: what followed it has ended with it."""
    if not hold_turn(transaction, link.parent, link.turn):
        raise TurnLost(link.parent, link.turn)


def _await(transaction: Transaction, child: Target, link: ChildLink, now: int) -> None:
    transaction.execute(_LINK, (child.row, link.parent, link.event_type, link.follows))
    transaction.execute(_AWAITED, (child.row,))
    if child.ended_at is not None:
        _tell(transaction, link.parent, link.event_type, _end_of(transaction, child.row), now)


def _tell(transaction: Transaction, parent: int, event_type: str, said: str, now: int) -> None:
    tell_event(transaction, parent, codec.to_row(EventReceived(now, event_type, said)))


def _end_of(transaction: Transaction, row: int) -> str:
    transaction.flush()
    return _said(end_of(transaction.connection, row))


def _said(end: RecordRow) -> str:
    """Return what a parent hears of a child's end: its status, and its stored value or its error."""
    body = json.loads(end.body)
    match end.kind:
        case "completed":
            return json.dumps({"status": "complete", "value": end.value})
        case "failed":
            return json.dumps({"status": "errored", "error": body["error"]})
        case _:
            return json.dumps({"status": "terminated"})
