"""What a store cannot do."""

from stepwell.errors.base import StepwellError


class StoreError(StepwellError):
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store refused a read or write for now (full disk, lost connection). Nothing was written."""


class StoreDamaged(StoreError):
    """The file is not a healthy Stepwell store."""


class StoreInUse(StoreError):
    """Another server, whose process id the message names, holds the store."""


class StoreTooNew(StoreError):
    """The store was written by a newer Stepwell."""


class PageTooSlow(StoreError):
    """A list was given up, as reading it took too long; the message says how to ask for less."""

    http_status = 503


class StreamDropped(StoreError):
    """The stream is not there any more: its instance was deleted, or its step has begun another."""

    def __init__(self, stream: int) -> None:
        self.stream = stream
        super().__init__(f"the stream {stream} was deleted meanwhile, or its step has begun another")


class RehearsalStopped(StoreError):
    """A rehearsal was asked for what it does not do."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"this is a rehearsal, in which nothing is changed: {operation} is not done")


class OutOfOrder(StoreError):
    """A commit came before its predecessor of the same turn. Nothing was written."""
