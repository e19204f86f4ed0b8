"""What can be asked of a store about limits: who may run, and who waits for a slot."""

import msgspec

from stepwell.store.operations import Operation


class QueueRow(msgspec.Struct, frozen=True, array_like=True):
    """The instances of a key: how many have a slot, and how many wait (up to a bound), the next of them since.

    `since` None: none waits, or it is the one that holds its key.
    """

    key: str
    held: int
    queued: int
    since: int | None


class GateRow(msgspec.Struct, frozen=True, array_like=True):
    """The limits of a workflow: what its code declares, as JSON, how many instances may run (None: any number).

    `queues` are those in which somebody waits, or has a slot, the next one to be served first, up to a bound.
    """

    workflow: str
    limits: str
    most: int | None
    held: int
    queued: int
    queues: list[QueueRow]


class SharedLimitRow(msgspec.Struct, frozen=True, array_like=True):
    """A limit that steps share, as JSON: as it holds, and whether somebody has set it so, whatever code declares.

    `limit` None: nobody has said yet what it allows, and no step begins. `held` steps have a slot, `waiting` wait for
    one (up to a bound), the next of them since `since`; None: none does.
    """

    name: str
    limit: str | None
    is_set: bool
    held: int
    waiting: int
    since: int | None


class Gates(msgspec.Struct, frozen=True, array_like=True):
    """The limits of an account: how many instances may run (None: any number), gates, and limits that steps share."""

    concurrency: int | None
    gates: list[GateRow]
    shared: list[SharedLimitRow] = []


class ListGates(Operation[Gates], frozen=True):
    """Return the limits of an account and its workflows; those that have none are not there.

    `workflow`: of that one alone, and none that steps share. At most `queues` of each; in each at most `most` of those
    that wait are counted. Raises WorkflowNotFound.
    """

    account: str
    workflow: str | None = None
    queues: int = 50
    most: int = 10_000


class LimitAccount(Operation[None], frozen=True):
    """Let at most so many instances of an account run at a time; None: any number. What runs, runs on."""

    account: str
    concurrency: int | None
    now: int


class SlotAnswer(msgspec.Struct, frozen=True, array_like=True):
    """When an attempt may begin that has asked for a slot; None: it waits, and its instance gets *slot given*."""

    start_at: int | None


class AskSlot(Operation[SlotAnswer], frozen=True):
    """Ask for a slot of a limit that steps share, for the next attempt of a step; it keeps the one that it has.

    Who has to wait does so in the order of asking. A limit that nobody knows becomes known, and gives none. Raises
    TurnLost.
    """

    row: int
    turn: int
    account: str
    limit: str
    step: str  # its key, as JSON
    now: int


class LeaveSlot(Operation[None], frozen=True):
    """Give back the slot of a step, or its place among those that wait; whoever is next gets it.

    A turn that has been lost gives nothing back that its successor may use by now, unless the instance has ended.
    """

    row: int
    turn: int
    account: str
    limit: str
    step: str
    now: int


class GiveSlots(Operation[None], frozen=True):
    """Give slots, of workflows and of limits that steps share, where somebody waits and there is room.

    Who makes room gives them; here is gone on with what was more than one transaction gives.
    """

    now: int


class SweepSlots(Operation[int], frozen=True):
    """Take back slots whose instances will not give them back: it has ended, is paused or gone, or waits elsewhere.

    Those that were given within `spared_ms` stay. Answers how many there were; whoever is next gets them.
    """

    now: int
    spared_ms: int


class QueuePlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a queue stands among all: by the number of its workflow, and its key."""

    workflow: int
    key: str


class ForgetLimits(Operation[int], frozen=True):
    """Forget the gates and the limits that steps share to which nothing refers any more. Answers how many there were.

    A limit stays as long as the newest code of any workflow declares it, somebody has set it, a step has a slot or
    waits, or a start counts for its rate.
    """

    now: int


class ForgetQueues(Operation[QueuePlace | None], frozen=True):
    """Look at the queues of keys behind a place, at most so many, and forget those that are empty.

    One with a rate stays as long as a start counts. Answers where to go on; None: these were the last.
    """

    now: int
    after: QueuePlace | None = None
    most: int = 500


class ShareLimit(Operation[None], frozen=True):
    """Set a limit that steps of an account share, as JSON, whatever code declares; None: as code declares it again.

    Raises LimitNotFound for one that is to be taken back, and that nobody knows.
    """

    account: str
    name: str
    limit: str | None
    now: int
