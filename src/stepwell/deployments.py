"""Code that is uploaded to a running server: kept as a snapshot, tried, and served if it can be, all of it or nothing.

It is tried in the worker that is to run it. Until that has loaded it, and the store has taken its workflows in the
transaction that makes it what is served, nothing has changed: who runs goes on, and so does what is created.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from stepwell import snapshots, wrangler
from stepwell.adoption import Adoption
from stepwell.clock import SystemClock
from stepwell.errors import CodeRefused, InvalidInput, ScriptError, SnapshotNotFound
from stepwell.rehearsals import CheckedInstance, CheckStand, Trying
from stepwell.store import Store
from stepwell.store.snapshot_operations import FindServed, ListServed, SaveSnapshot, Snapshot


@dataclass(frozen=True, slots=True)
class Upload:
    """Files by their paths, and which of them is served: `source` is a file, or "." for all that lie in the folder.

    `config` is what a wrangler file would say, if anything; a file of that name among the others says it instead.
    """

    files: Mapping[str, bytes]
    source: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is served now, how long it took to load, in milliseconds, and whether it answers HTTP requests."""

    snapshot: Snapshot
    load_ms: int
    serves_fetch: bool


class Deployments:
    """Takes code for an account, and goes back to what was served before."""

    def __init__(self, store: Store, adoption: Adoption, account: str, trying: Trying) -> None:
        self._store = store
        self._adoption = adoption
        self._account = account
        self._trying = trying
        # One check at a time: each runs code.
        self._checking = asyncio.Lock()

    async def check(
        self, account: str, upload: Upload, workflow: str | None = None
    ) -> AsyncGenerator[CheckedInstance | CheckStand, None]:
        """Yield what would become of instances, of a workflow or of all (None), if they ran on what is uploaded.

        Nothing is kept, and nothing changed. Raises CodeRefused with a report for the author, InvalidInput,
        WorkflowNotFound or StoreError, all but the last before the first answer.
        """
        self._check(account)
        taken = self._taken(upload)
        try:
            async with (
                self._checking,
                self._trying.rehearsing(self._store, account, taken.files, taken.source) as rehearsals,
                aclosing(rehearsals.check(account, workflow)) as answers,
            ):
                async for answer in answers:
                    yield answer
        except ScriptError as error:
            raise CodeRefused(str(error)) from error

    async def deploy(self, account: str, upload: Upload) -> Deployment:
        """Serve what is uploaded. Raises CodeRefused with a report for the author, InvalidInput or StoreError."""
        self._check(account)
        taken = self._taken(upload)
        packages = json.dumps(await asyncio.to_thread(snapshots.packages))
        made_with = (snapshots.python(), packages, list(taken.files), SystemClock().now())
        row = await self._store.run(SaveSnapshot(account, taken.sha256, taken.source, *made_with))
        return await self._serve(Snapshot(row, taken.sha256, taken.source, *made_with[:2], made_with[3], 0))

    async def roll_back(self, account: str, row: int | None) -> Deployment:
        """Serve again what was served before: the snapshot of that number; None: the last but one.

        Raises SnapshotNotFound, CodeRefused, InvalidInput or StoreError.
        """
        self._check(account)
        if row is None:
            served = await self._store.run(ListServed(account, 2))
            found = served[1] if len(served) > 1 else None
        else:
            found = await self._store.run(FindServed(account, row))
        if found is None:
            raise SnapshotNotFound(row)
        return await self._serve(found)

    async def _serve(self, snapshot: Snapshot) -> Deployment:
        began = time.monotonic()
        try:
            await self._adoption.deploy(snapshot)
        except ScriptError as error:
            raise CodeRefused(str(error)) from error
        load_ms = int((time.monotonic() - began) * 1000)
        found = await self._store.run(FindServed(self._account, snapshot.row))
        return Deployment(snapshot if found is None else found, load_ms, self._adoption.serves_fetch)

    def _taken(self, upload: Upload) -> snapshots.TakenSnapshot:
        files = dict(upload.files)
        if upload.config and files.keys().isdisjoint(wrangler.FILES):
            files[wrangler.WRITTEN_FILE] = json.dumps(upload.config, indent=2, sort_keys=True).encode()
        try:
            return snapshots.of_files(files, upload.source, self._trying.told.snapshot_size)
        except ScriptError as error:
            raise CodeRefused(str(error)) from error

    def _check(self, account: str) -> None:
        if account != self._account:
            problem = f'this server runs the workflows of the account "{self._account}", not of "{account:.100}"'
            raise InvalidInput(
                "account_id", f"{problem}; deploy to a server that was started with --account {account:.100}"
            )
