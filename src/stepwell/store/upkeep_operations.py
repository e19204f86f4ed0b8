"""What a store is asked, and told, by those who look whether all is well in it."""

from typing import Literal

import msgspec

from stepwell.store.operations import Operation


class ListAccounts(Operation[list[str]], frozen=True):
    """Return the accounts that have workflows."""


Counted = Literal["ended", "slots", "queued", "key", "limit"]


class Miscount(msgspec.Struct, frozen=True, array_like=True):
    """Something that is counted as what it is not.

    `what`: 'ended', the instances of a workflow that ended with the status `part`; 'slots', those with a slot of it;
    'queued', those that wait for one; 'key', those of the key `part` with a slot; 'limit', the steps with a slot of a
    limit that they share. `of` is the row of the workflow, or of the limit, `named` what people call it.
    """

    what: Counted
    of: int
    part: str
    counted: int
    there: int
    named: str


class FindMiscounts(Operation[list[Miscount]], frozen=True):
    """Return what is counted as what it is not; reads every unfinished instance of limited workflows, and all ends."""


class Recount(Operation[int], frozen=True):
    """Let what is counted be what is there, while others go on; return how many counts were wrong.

    Who waits for a slot that turns out to be free gets it; of a limit that steps share, with the next GiveSlots.
    """

    now: int


class RepairInstance(Operation[bool], frozen=True):
    """Let the row of an instance say what its history says of its steps and its starts; tell whether it was so.

    It was not if the instance has gone on meanwhile: it is done for the `turn` and `seq` that it was decided upon.
    `due_at`: it is made due then, unless a worker that is known has it, it is paused, has ended, or waits for a slot.
    """

    row: int
    turn: int
    seq: int
    step_count: int
    started_at: int | None
    renewed_at: int | None
    due_at: int | None = None
