"""What is searched for, in SQL: as conditions on an instance, and as the parts of indexes that have what fits them."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from stepwell.core.instance import UNFINISHED, Status
from stepwell.store.search_operations import Wanted
from stepwell.store.sql.rows import Row

# The values of parameters, by their names.
Named = dict[str, Any]

_LASTED = "(ended_at - started_at)"
# The last character there is: what begins with a text lies before the text with this behind it.
_LAST = "\U0010ffff"


class Access(Struct, frozen=True):
    """A part of an index, or several, that have all instances that fit a condition.

    `pieces` are (the column with the instance's row, a part of an index, up to `:most` entries). What each of `sources`
    has is in the order of creation: (table, its column with the instance's row, condition).
    """

    pieces: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str, str], ...] = ()

    @property
    def is_ordered(self) -> bool:
        """Whether it can be walked along in the order of creation."""
        return bool(self.sources)

    @property
    def all(self) -> str:
        """The statement that returns (created_at, row) of all: one, as each way to a server and back takes its time."""
        return " union all ".join(
            f"select created_at, row from (select created_at, {row} as row {entries}) as piece_{number}"
            for number, (row, entries) in enumerate(self.pieces)
        )

    @property
    def count(self) -> str:
        """The statement that counts them."""
        counts = (f"(select count(*) from (select 1 {entries}) as entries)" for _, entries in self.pieces)
        return f"select {' + '.join(counts)}"

    @classmethod
    def of_all(cls) -> "Access":
        """All instances of a workflow."""
        return _ordered([("instances indexed by instances_by_creation", "row", "workflow = :workflow")])


def conditions(wanted: Wanted, named: Named) -> list[str]:
    """Return the conditions on an instance `i`, and put their values among those that are named."""
    return [
        *_texts(wanted, named),
        *_labels(wanted, named),
        *_moments(wanted, named),
    ]


def accesses(wanted: Wanted, named: Named) -> list[Access]:
    """Return the parts of indexes that have what is wanted, those with the fewest first, as far as can be told.

    Their values have been named by `conditions`.
    """
    return [*_narrow(wanted, named), *_ranges(wanted), *_wide(wanted, named)]


def walk(access: Access, wanted: Wanted, *, ascending: bool, goes_on: bool) -> str:
    """Return the statement that walks along an index from (`:at`, `:row`), up to `:size` instances."""
    direction, beyond = ("asc", ">") if ascending else ("desc", "<")
    bounds = list(_created(wanted))
    pieces = []
    for number, (table, row, condition) in enumerate(access.sources):
        more = [*bounds, f"(created_at, {row}) {beyond} (:at, :row)"] if goes_on else bounds
        pieces.append(
            f"""
            select created_at, row
            from (
                select created_at, {row} as row
                from {table}
                where {" and ".join([condition, *more])}
                order by created_at {direction}, {row} {direction}
                limit :size
            ) as source_{number}
            """
        )
    return f"{'union all'.join(pieces)} order by created_at {direction}, row {direction} limit :size"


def place_of(columns: Row) -> tuple[int, int]:
    """Return the place of an instance from what a piece, or a walk, returns."""
    created_at, row = columns
    return created_at, row


def _texts(wanted: Wanted, named: Named) -> Iterator[str]:
    if wanted.statuses:
        names = _name(named, "status", wanted.statuses)
        yield f"i.status in ({', '.join(names)})"
    if wanted.error_name is not None or wanted.error_text is not None:
        named["errored"] = Status.ERRORED.value
        yield "i.status = :errored"
    if wanted.error_name is not None:
        named["error"] = wanted.error_name
        yield "(select e.name from errors as e where e.instance = i.row) = :error"
    if wanted.id_prefix is not None:
        named["prefix"], named["prefix_end"] = wanted.id_prefix, wanted.id_prefix + _LAST
        yield "i.id >= :prefix and i.id < :prefix_end"
    if wanted.version is not None:
        named["version"] = wanted.version
        yield "i.version = :version"
    if wanted.trigger is not None:
        named["trigger"] = wanted.trigger
        yield "i.trigger = :trigger"


def _labels(wanted: Wanted, named: Named) -> Iterator[str]:
    names = _name(named, "label", wanted.labels)
    values = _name(named, "value", wanted.labels.values())
    for name, value in zip(names, values, strict=True):
        # Asked for each instance by itself: PostgreSQL would else gather all that have the label first.
        yield f"(select l.value from labels as l where l.instance = i.row and l.name = {name}) = {value}"


def _moments(wanted: Wanted, named: Named) -> Iterator[str]:
    bounds = {
        "i.created_at >= :created_from": ("created_from", wanted.created_from),
        "i.created_at <= :created_to": ("created_to", wanted.created_to),
        "i.ended_at >= :ended_from": ("ended_from", wanted.ended_from),
        "i.ended_at <= :ended_to": ("ended_to", wanted.ended_to),
        "coalesce(i.ended_at, :now) - i.started_at >= :least_ms": ("least_ms", wanted.least_ms),
        "coalesce(i.ended_at, :now) - i.started_at <= :most_ms": ("most_ms", wanted.most_ms),
    }
    for condition, (name, value) in bounds.items():
        if value is not None:
            named[name] = value
            yield condition


def _narrow(wanted: Wanted, named: Named) -> Iterator[Access]:
    """Yield what mostly has few entries."""
    if wanted.id_prefix is not None:
        yield _unordered("instances", "id >= :prefix and id < :prefix_end", "id")
    if wanted.error_name is not None:
        yield _ordered(
            [("errors indexed by errors_by_name", "instance", "workflow = :workflow and name = :error")], wanted
        )
    names = zip(_name(named, "label", wanted.labels), _name(named, "value", wanted.labels.values()), strict=True)
    for name, value in names:
        condition = f"workflow = :workflow and name = {name} and value = {value}"
        yield _ordered([("labels indexed by labels_by_value", "instance", condition)], wanted)


def _ranges(wanted: Wanted) -> Iterator[Access]:
    """Yield what is not in the order of creation."""
    ended = _between("ended_at", ended_from=wanted.ended_from, ended_to=wanted.ended_to)
    if ended:
        yield _unordered("instances indexed by instances_by_end", f"ended_at is not null and {ended}", "ended_at")
    lasted = _between(_LASTED, least_ms=wanted.least_ms, most_ms=wanted.most_ms)
    if lasted:
        table = "instances indexed by instances_by_duration"
        of_ended = _unordered(table, f"ended_at is not null and {lasted}", _LASTED)
        of_others = _with_statuses([f"'{status}'" for status in sorted(UNFINISHED)], wanted)
        yield Access(of_ended.pieces + of_others.pieces)


def _wide(wanted: Wanted, named: Named) -> Iterator[Access]:
    """Yield what may have many entries."""
    if wanted.version is not None:
        condition = "workflow = :workflow and version = :version"
        yield _ordered([("instances indexed by instances_by_version", "row", condition)], wanted)
    if wanted.trigger is not None:
        condition = "workflow = :workflow and trigger = :trigger"
        yield _ordered([("instances indexed by instances_by_trigger", "row", condition)], wanted)
    statuses = [":errored"] if "errored" in named else _name(named, "status", wanted.statuses)
    if statuses:
        yield _with_statuses(statuses, wanted)


def _with_statuses(statuses: list[str], wanted: Wanted) -> Access:
    table = "instances indexed by instances_by_status"
    return _ordered([(table, "row", f"workflow = :workflow and status = {one}") for one in statuses], wanted)


def _ordered(sources: list[tuple[str, str, str]], wanted: Wanted | None = None) -> Access:
    created = [] if wanted is None else list(_created(wanted))
    pieces = tuple(
        (row, f"from {table} where {' and '.join([condition, *created])} order by created_at limit :most")
        for table, row, condition in sources
    )
    return Access(pieces, tuple(sources))


def _unordered(table: str, condition: str, order: str) -> Access:
    # The order is that of the index: PostgreSQL's planner would else look through the table, where it thinks that many
    # fit.
    return Access((("row", f"from {table} where workflow = :workflow and {condition} order by {order} limit :most"),))


def _created(wanted: Wanted) -> Iterator[str]:
    if wanted.created_from is not None:
        yield "created_at >= :created_from"
    if wanted.created_to is not None:
        yield "created_at <= :created_to"


def _between(what: str, **bounds: int | None) -> str:
    """Return that something lies between two bounds, the lower one first; empty: there are none."""
    signs = zip(bounds.items(), (">=", "<="), strict=True)
    return " and ".join(f"{what} {sign} :{name}" for (name, value), sign in signs if value is not None)


def _name(named: Named, name: str, values: Any) -> list[str]:
    """Name several values, and return the parameters for them."""
    numbered = {f"{name}_{number}": value for number, value in enumerate(values)}
    named.update(numbered)
    return [f":{one}" for one in numbered]
