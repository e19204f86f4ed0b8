"""Instances to be searched for, and a small oracle that knows which of them match."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from stepwell.core.failures import Failure
from stepwell.core.records import Completed, Created, Failed, Paused, Terminated, Waiting
from stepwell.store import codec
from stepwell.store.operations import (
    ClaimDue,
    Claims,
    CreateInstance,
    InstanceRow,
    Operation,
    RegisterWorker,
    RegisterWorkflow,
    Release,
)
from stepwell.store.search_operations import Found, SearchInstances, Wanted
from tests.store.difference import Side
from tests.store.scenes import NOW

WORKFLOWS = ("orders", "returns")
VERSIONS = {"orders": ("acme-orders-version-1", "acme-orders-version-2"), "returns": ("acme-returns-version-1",)}
ENDED = {"complete", "errored", "terminated"}
# What has begun and not ended is asked for at this moment.
ASKED_AT = NOW + 1_000

_NAMES = ("env", "customer")
_VALUES = ("a", "b")
_ERRORS = ("ValueError", "Declined")
_MESSAGES = ("no funds", "NO Straße", "broken", "\0", "")


@dataclass(frozen=True)
class Specimen:
    """An instance that is to be: what of it can be searched for. `status` queued: it has not begun."""

    workflow: str
    id: str
    created_at: int
    status: str = "queued"
    trigger: str = "api"
    lasts_ms: int = 0
    error: tuple[str, str] = ("ValueError", "no funds")
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def started_at(self) -> int | None:
        """When it began: at once, if it did."""
        return None if self.status == "queued" else self.created_at

    @property
    def ended_at(self) -> int | None:
        """When it ended, if it did."""
        return self.created_at + self.lasts_ms if self.status in ENDED else None

    def matches(self, wanted: Wanted, version: str) -> bool:
        """Tell whether all is true of it that is wanted."""
        errored = self.status == "errored"
        lasted = None if self.started_at is None else (self.ended_at or ASKED_AT) - self.started_at
        return all(
            (
                not wanted.statuses or self.status in wanted.statuses,
                wanted.labels.items() <= self.labels.items(),
                wanted.id_prefix is None or self.id.startswith(wanted.id_prefix),
                wanted.version in (None, version),
                wanted.trigger in (None, self.trigger),
                wanted.error_name is None or (errored and self.error[0] == wanted.error_name),
                wanted.error_text is None or (errored and wanted.error_text.casefold() in self.error[1].casefold()),
                _between(lasted, wanted.least_ms, wanted.most_ms),
                _between(self.created_at, wanted.created_from, wanted.created_to),
                _between(self.ended_at, wanted.ended_from, wanted.ended_to),
            )
        )


def _between(value: int | None, low: int | None, high: int | None) -> bool:
    if (low, high) == (None, None):
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


class Population:
    """Instances in a store, one after the other; `version` is that of each, by its row."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.there: dict[tuple[int, int], tuple[Specimen, str]] = {}
        for name in WORKFLOWS:
            self._put(name, 1)
        (self._worker,) = self._do(_worker())

    def add(self, specimen: Specimen) -> None:
        """Make an instance as it is to be."""
        at = specimen.created_at
        record = codec.to_row(Created(at, specimen.trigger, "{}"))
        named = ("acme", specimen.workflow, specimen.id)
        (row,) = self._do(CreateInstance(*named, specimen.trigger, record, at, labels=specimen.labels))
        assert isinstance(row, InstanceRow), row
        self.there[row.created_at, row.row] = (specimen, row.version)
        if specimen.status != "queued":
            self._begin(specimen, row)

    def renew(self) -> None:
        """Let orders have another version, which those have that come later."""
        self._put("orders", 2)

    def expected(self, workflow: str | None, wanted: Wanted, *, ascending: bool) -> list[str]:
        """Return the ids of those that match, in order."""
        places = [
            place
            for place, (specimen, version) in self.there.items()
            if workflow in (None, specimen.workflow) and specimen.matches(wanted, version)
        ]
        return [self.there[place][0].id for place in sorted(places, reverse=not ascending)]

    def search(self, operation: SearchInstances) -> Found:
        """Ask the store."""
        found = self._side.reading.outcome(operation)
        assert isinstance(found, Found), found
        return found

    def _put(self, name: str, n: int) -> None:
        ids = (f"acme-{name}-{n}", f"acme-{name}-version-{n}")
        self._do(RegisterWorkflow("acme", name, name, "Class", f"a{n}", *ids, NOW))

    def _begin(self, specimen: Specimen, row: InstanceRow) -> None:
        # Nothing else is due: what does not begin is due far ahead, and comes last.
        (claims,) = self._do(ClaimDue(self._worker, specimen.created_at, 1))
        assert isinstance(claims, Claims)
        (turn,) = claims.turns
        assert turn.row == row.row
        if specimen.status == "running":
            return
        at = specimen.created_at + specimen.lasts_ms
        last = _LAST[specimen.status](at, Failure(*specimen.error))
        ended_at = at if specimen.status in ENDED else None
        (released,) = self._do(
            Release(turn.row, turn.turn, 1, 2, [codec.to_row(last)], 0, specimen.status, None, ended_at, at)
        )
        assert not isinstance(released, Exception), released

    def _do(self, operation: Operation[Any]) -> list[Any]:
        return list(self._side.write([operation]).outcomes)


_LAST: dict[str, Any] = {
    "waiting": lambda at, _: Waiting(at),
    "paused": lambda at, _: Paused(at),
    "complete": lambda at, _: Completed(at, "1"),
    "errored": Failed,
    "terminated": lambda at, _: Terminated(at, "api"),
}


def _worker() -> Operation[Any]:
    return RegisterWorker("worker", 2**62, NOW)


_moments = st.integers(NOW, NOW + 12)
_spans = st.integers(0, 12)
STATUSES = ("queued", "running", "waiting", "paused", "complete", "errored", "terminated")


@st.composite
def populations(draw: st.DrawFn) -> Sequence[Specimen]:
    """Draw instances: those that do not begin come last."""
    count = draw(st.integers(6, 18))
    drawn = [
        Specimen(
            draw(st.sampled_from(WORKFLOWS)),
            f"{draw(st.sampled_from('ab'))}{draw(st.sampled_from('xy'))}{number}",
            draw(_moments),
            draw(st.sampled_from(STATUSES)),
            draw(st.sampled_from(("api", "cron"))),
            draw(_spans),
            (draw(st.sampled_from(_ERRORS)), draw(st.sampled_from(_MESSAGES))),
            draw(st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_VALUES))),
        )
        for number in range(count)
    ]
    return sorted(drawn, key=lambda specimen: specimen.status == "queued")


_WISHES: dict[str, st.SearchStrategy[Any]] = {
    "statuses": st.lists(st.sampled_from(STATUSES), min_size=1, max_size=4, unique=True).map(tuple),
    "labels": st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_VALUES), min_size=1),
    "id_prefix": st.sampled_from(("a", "ax", "b")),
    "version": st.sampled_from((*VERSIONS["orders"], "none")),
    "trigger": st.sampled_from(("api", "cron")),
    "error_name": st.sampled_from(_ERRORS),
    "error_text": st.sampled_from(("no", "STRASSE", "\0", "funds")),
    "least_ms": _spans,
    "most_ms": _spans,
    "created_from": _moments,
    "created_to": _moments,
    "ended_from": _moments,
    "ended_to": _moments,
}


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    """Draw what is searched for: one thing or two, as of many at once nothing is true."""
    names = draw(st.lists(st.sampled_from(list(_WISHES)), min_size=draw(st.integers(0, 1)), max_size=2, unique=True))
    return Wanted(**{name: draw(_WISHES[name]) for name in names})
