"""What can be asked of a store about spans that are still to be sent.

An end is noted in the transaction that ends the instance, as long as somebody wants it: `TakeTraces` says so. Whoever
takes some has them for a while, and drops them when they were sent; what he does not drop others take.
"""

import msgspec

from stepwell.store.operations import InstanceHistory, Operation


class EndedInstance(msgspec.Struct, frozen=True, array_like=True):
    """An instance that has ended: which one it is, and its first record's body, which says whose trace it continues.

    `seq`: how many records it has.
    """

    row: int
    account: str
    workflow: str
    id: str
    created_at: int
    created: str
    seq: int


class TakeTraces(Operation[list[EndedInstance]], frozen=True):
    """Take up to `limit` instances that have ended, until a moment; from now on ends are noted, until another.

    Some may go on again by now, and are noted anew at their end.
    """

    now: int
    taken_until: int
    noted_until: int
    limit: int


class ReadEnded(Operation[list[InstanceHistory]], frozen=True):
    """Return instances with their histories, by row; those that are gone, or go on again, are left out."""

    instances: list[int]


class DropTraces(Operation[None], frozen=True):
    """Forget instances, by row: their spans were sent, or nobody wants them."""

    instances: list[int]
