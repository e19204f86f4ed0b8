"""What can be asked of a store about the facts that the logs of its servers tell: the latest ones, of all hosts."""

import msgspec

from stepwell.limits import FACTS
from stepwell.store.operations import Operation


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """A line of a log: when and how grave, what happened, in which process of which host, and to what.

    `account` None: it is of no account, so it is the operator's.
    """

    at: int
    level: str
    event: str
    message: str
    host: str
    process: str
    account: str | None = None
    workflow: str | None = None
    instance: str | None = None


class NotedFact(msgspec.Struct, frozen=True, array_like=True):
    """A fact with its number; they ascend."""

    row: int
    fact: Fact


class NoteFacts(Operation[None], frozen=True):
    """Add facts; those before the last `most` are forgotten."""

    facts: list[Fact]
    most: int = FACTS


class ListFacts(Operation[list[NotedFact]], frozen=True):
    """Return up to `limit` facts, the latest first; of an account, or of all and of none (None).

    `before`: older than the one of a number. All else: those alone that have this.
    """

    account: str | None
    limit: int
    event: str | None = None
    workflow: str | None = None
    instance: str | None = None
    process: str | None = None
    before: int | None = None
