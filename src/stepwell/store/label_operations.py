"""The labels of an instance, as operations: pairs of texts by which people find it. They decide nothing.

Those that are given at its creation come with `CreateInstance`.
"""

import msgspec

from stepwell.store.operations import Operation


class Labels(msgspec.Struct, frozen=True, array_like=True):
    """The labels of an instance, and how many calls of its code that set some are stored."""

    labels: dict[str, str]
    calls: int


class KeptLabel(msgspec.Struct, frozen=True):
    """A label with where it came from: `given` at the creation (None: it was not); `value` None: taken away since."""

    name: str
    value: str | None
    given: str | None


class SetLabels(Operation[None], frozen=True):
    """Set labels of a turn's instance, as the `call`-th call of its code; those whose value is None are taken away.

    Sent again, also by a later turn that replays the code, it changes nothing. Raises TurnLost.
    """

    row: int
    turn: int
    call: int
    labels: dict[str, str | None]


class ReadLabels(Operation[Labels], frozen=True):
    """Return the labels of an instance, by name; none, if it is gone."""

    row: int


class ListKeptLabels(Operation[list[KeptLabel]], frozen=True):
    """Return the labels of an instance as they are kept, by name."""

    row: int
