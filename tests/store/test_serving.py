"""What the other end of a worker's line may ask for."""

import asyncio
import socket
from typing import Any

import pytest

from stepwell.errors import StoreError
from stepwell.store.audit_operations import Asked, Audited, ForgetAudit, ListAudit
from stepwell.store.control_operations import DeleteInstance
from stepwell.store.operations import ListWorkflows, Operation
from stepwell.store.remote import RemoteStore
from stepwell.store.serving import WorkerLine
from stepwell.store.session_operations import BeginSession, FindSession, ListSessions, SessionRow
from stepwell.store.snapshot_operations import SaveSnapshot, ServeSnapshot, SnapshotFile
from stepwell.store.sqlite import SqliteStore
from stepwell.store.token_operations import AddToken, FindToken, ListTokens, RevokeToken, TokenRow
from stepwell.store.webhook_operations import AddWebhook, TakeDeliveries

TOKEN = AddToken(TokenRow("a", "acme", "own", "hash", None, ["deploy"], 1))


async def test_worker_gets_no_credentials_and_no_audit_log() -> None:
    """Tokens, sessions, secrets of webhooks, entries of others, also within another operation; all else goes on."""
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
        Audited(DeleteInstance("acme", "orders", "a", 1), Asked("token", "ann", 1)),
        ListSessions(),
        FindSession("a"),
        BeginSession("acme", SessionRow("a", "acme", "a", "hash", 1, 1)),
        AddWebhook("acme", "a", "https://example.com/", "whsec_YQ==", [], [], 1, "ann", 50),
        TakeDeliveries(1, 2, 10, 10),
        SaveSnapshot("acme", "aa", ".", "3.13", "{}", [SnapshotFile("/etc/cron.d/own", b"")], 1),
    ]

    for operation in asked:
        with pytest.raises(StoreError, match=r"a worker may not ask for \w+: only the server does"):
            await worker.run(operation)

    assert (await worker.run(ListWorkflows("acme", 10, 0))).total == 0
    assert await worker.run(Audited(ServeSnapshot("acme", 0, 1), Asked("token", "ann", 1))) == []
    assert await store.run(ListTokens()) == []
    await worker.close()
    await ended.wait()
    await store.close()
