"""An operation that is done once under a key, however often it is sent."""

import msgspec
from msgspec import Struct

from stepwell.limits import IDEMPOTENCY_KEY_MS
from stepwell.store.job_operations import StartJob
from stepwell.store.operations import AppendEvent, CreateInstance, Operation
from stepwell.store.webhook_operations import AddWebhook


class IdempotencyKey(Struct, frozen=True):
    """What a caller calls a request, so that it is done once however often it is sent; `request` is its hash."""

    key: str
    request: str


class OnceAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What the operation answered when it was done, as msgpack, and when that was."""

    body: bytes
    at: int


class FindOnce(Operation[OnceAnswer | None], frozen=True):
    """Return what was answered under a key; None if nothing was. Raises IdempotencyKeyReused as Once does."""

    account: str
    key: str
    request: str
    now: int
    kept_ms: int = IDEMPOTENCY_KEY_MS


class Once(Operation[OnceAnswer], frozen=True):
    """Do an operation unless it was done under this key before; then answer what it answered.

    `request` is a hash of all that the caller said. Keys are an account's own, and are kept for `kept_ms`,
    or until the workflow is deleted.
    Raises IdempotencyKeyReused if the key came with another request, and what the operation raises: then nothing is
    kept of the key.
    """

    account: str
    key: str
    request: str
    now: int
    operation: CreateInstance | AppendEvent | StartJob | AddWebhook
    kept_ms: int = IDEMPOTENCY_KEY_MS
