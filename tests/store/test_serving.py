"""What the other end of a worker's line may ask for."""

import asyncio
import socket
from typing import Any

import pytest

from stepwell.errors import StoreError
from stepwell.store.audit_operations import Asked, Audited, ForgetAudit, ListAudit
from stepwell.store.operations import ListWorkflows, Operation
from stepwell.store.remote import RemoteStore
from stepwell.store.serving import WorkerLine
from stepwell.store.sqlite import SqliteStore
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken, TokenRow

TOKEN = AddToken(TokenRow("a", "acme", "own", "hash", None, ["deploy"], 1))


async def test_worker_gets_no_token_and_no_audit_log() -> None:
    """Not by an operation that wraps another, either; all else goes on, and nothing was done."""
    store = SqliteStore.in_memory()
    ours, theirs = socket.socketpair()
    ended = asyncio.Event()
    line, worker = WorkerLine(store, lambda _: None, ended.set), RemoteStore(lambda _: None, lambda: None)
    await line.connect(ours)
    await worker.connect(theirs)
    asked: list[Operation[Any]] = [
        TOKEN,
        Audited(TOKEN, Asked("command", "ann", 1)),
        FindToken("a"),
        ListTokens(),
        RevokeToken("a", 1),
        ListAudit("acme", 10),
        ForgetAudit(1, 10),
    ]

    for operation in asked:
        with pytest.raises(StoreError, match=r"a worker may not ask for \w+(Token|Tokens|Audit): only the server does"):
            await worker.run(operation)

    assert (await worker.run(ListWorkflows("acme", 10, 0))).total == 0
    assert await store.run(ListTokens()) == []
    await worker.close()
    await ended.wait()
    await store.close()
