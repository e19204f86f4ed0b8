"""What can be asked of a store about instances that others have started, and await.

The end of a child and the event that tells its parents are one transaction.
"""

import msgspec

from stepwell.store.operations import CreateInstance, Operation


class ChildLink(msgspec.Struct, frozen=True, array_like=True):
    """Who awaits a child: the parent's row and turn, the type of the event that tells it, whether the child follows it.

    One that follows is terminated where its parent ends without having completed or errored.
    """

    parent: int
    turn: int
    event_type: str
    follows: bool = True


class StartChild(Operation[None], frozen=True):
    """Create an instance, or find the one of this id, and let a parent hear of its end.

    Raises what CreateInstance raises, but for InstanceAlreadyExists; and TurnLost if the parent's turn is another by
    now.
    """

    creation: CreateInstance
    link: ChildLink


class AwaitChild(Operation[None], frozen=True):
    """Let a parent hear of a child's end, which may have come before.

    One that is not there any more has been deleted. Raises TurnLost if the parent's turn is another by now.
    """

    account: str
    workflow: str
    id: str
    link: ChildLink
    now: int


class Relative(msgspec.Struct, frozen=True, array_like=True):
    """An instance that has started another one, or was started by it."""

    workflow: str
    id: str
    status: str


class Relatives(msgspec.Struct, frozen=True, array_like=True):
    """Who awaits an instance, and whom it awaits or has awaited, oldest first."""

    parents: list[Relative]
    children: list[Relative]


class ListRelatives(Operation[Relatives], frozen=True):
    """Return parents and children of an instance, up to `limit` of each."""

    row: int
    limit: int = 100


class Member(msgspec.Struct, frozen=True, array_like=True):
    """An instance of a family; `parent` is the row of the one that awaits it, None: nobody of the family does."""

    row: int
    parent: int | None
    workflow: str
    id: str
    status: str


class ReadFamily(Operation[list[Member]], frozen=True):
    """Return an instance, its children, their children, and so on, the nearest first, up to `limit` of them."""

    row: int
    limit: int
