"""What would become of an instance on other code, as its rehearsal has found."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """How an instance would fare. `GOES_ON`: as if nothing had changed, as far as its history reaches."""

    GOES_ON = "goes on"
    # It would run a step anew, or end, where its history has one that is then of no use.
    DIVERGES = "diverges"
    # A value on record does not fit the classes of the code.
    UNREADABLE = "unreadable"
    # The code would raise an error before it has come as far as the history.
    FAILS = "fails"
    # The code has no such workflow.
    MISSING = "missing"
    # It cannot be seen without doing what a rehearsal does not do.
    UNKNOWN = "unknown"

    @property
    def breaks(self) -> bool:
        """Whether the instance would not do what it has begun to do."""
        return self not in {Verdict.GOES_ON, Verdict.UNKNOWN}


class Call(msgspec.Struct, frozen=True):
    """A call that a history does not have: the step, its type, and the line of the author's code that makes it."""

    step: str
    type: str
    where: str | None = None


class Outlook(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rehearsal has found.

    `anew` are the calls that would be made next and are not on record; `unused` the steps on record that the code has
    not called by then. Those of a history that the code goes beyond are in `skipped`: it calls them no more, or in
    another place, and that changes nothing. `problem` says in words what is wrong, `where` at which line of the code.
    """

    verdict: Verdict
    anew: tuple[Call, ...] = ()
    unused: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    problem: str | None = None
    where: str | None = None

    @property
    def breaks(self) -> bool:
        """Whether the instance would not do what it has begun to do."""
        return self.verdict.breaks
