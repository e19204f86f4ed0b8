"""Code that is uploaded to a running server: kept as a snapshot, tried, and served if it can be, all of it or nothing.

It is tried in the worker that is to run it. Until that has loaded it, and the store has taken its workflows in the
transaction that makes it what is served, nothing has changed: who runs goes on, and so does what is created.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from stepwell import snapshots, wrangler
from stepwell.adoption import Adoption
from stepwell.audit import asking
from stepwell.clock import SystemClock
from stepwell.durations import DAY_MS
from stepwell.errors import CodeRefused, InvalidInput, ScriptError, SnapshotNotFound
from stepwell.rehearsals import CheckedInstance, CheckStand, Trying
from stepwell.store import Store
from stepwell.store.snapshot_operations import (
    DropSnapshots,
    FindServed,
    GetSnapshot,
    ListServed,
    SaveSnapshot,
    Snapshot,
)

# How long a version that was uploaded is kept if it is not deployed.
KEPT_MS = 30 * DAY_MS


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of an upload, or of a deployment: by which tool it came, and what people wrote."""

    source: str = "api"
    triggered_by: str | None = None
    message: str | None = None
    tag: str | None = None

    def to_text(self) -> str:
        """Return it as the store keeps it."""
        return msgspec.json.encode(self).decode()


ROLLBACK = Said(triggered_by="rollback")

to_said = msgspec.json.Decoder(Said).decode


class Upload(Struct, frozen=True):
    """Files by their paths, and which of them is served: `source` is a file, or "." for all that lie in the folder.

    `config` is what a wrangler file would say, if anything; a file of that name among the others says it instead.
    """

    script: str
    files: Mapping[str, bytes]
    source: str
    config: Mapping[str, Any]
    said: Said


class Deployment(Struct, frozen=True):
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

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables that all code here is given."""
        return self._trying.variables

    async def deploy(self, account: str, upload: Upload) -> Deployment:
        """Serve what is uploaded; what cannot be served leaves nothing.

        Raises CodeRefused with a report for the author, InvalidInput or StoreError.
        """
        self._check(account)
        kept_until = SystemClock().now() + snapshots.TRIED_MS
        # What is deployed is told when it is served: what cannot be served has never been there.
        with asking(None):
            snapshot = await self._save(account, upload, self._taken(upload), kept_until)
        try:
            return await self.serve(account, snapshot, upload.said)
        except CodeRefused:
            await self._store.run(DropSnapshots(kept_until, snapshot.row))
            raise

    async def keep(self, account: str, upload: Upload) -> Deployment:
        """Keep what is uploaded for 30 days, to be deployed later, if it can be loaded; nothing is served.

        Raises CodeRefused with a report for the author, InvalidInput or StoreError.
        """
        self._check(account)
        taken = self._taken(upload)
        began = time.monotonic()
        try:
            async with self._checking, self._trying.rehearsing(self._store, account, taken.files, taken.source):
                load_ms = _since(began)
        except ScriptError as error:
            raise CodeRefused(str(error)) from error
        snapshot = await self._save(account, upload, taken, SystemClock().now() + KEPT_MS)
        return Deployment(snapshot, load_ms, self._adoption.serves_fetch)

    async def roll_back(self, account: str, row: int | None, script: str = "", said: Said = ROLLBACK) -> Deployment:
        """Serve again what was served before: the snapshot of that number; None: the last but one of a script.

        No script is named: the one that was deployed last. All others stay as they are.

        Raises SnapshotNotFound, CodeRefused, InvalidInput or StoreError.
        """
        self._check(account)
        if row is None:
            last = None if script else await self._store.run(FindServed(account))
            script = last.script if last else script
            served = await self._store.run(ListServed(account, 2, script))
            found = served[1] if len(served) > 1 else None
        else:
            found = await self._store.run(FindServed(account, row))
        if found is None or (script and found.script != script):
            raise SnapshotNotFound(row, script)
        return await self.serve(account, found, said)

    async def serve(self, account: str, snapshot: Snapshot, said: Said) -> Deployment:
        """Serve a snapshot that is kept. Raises CodeRefused, InvalidInput or StoreError."""
        self._check(account)
        served = msgspec.structs.replace(snapshot, deployed=said.to_text())
        began = time.monotonic()
        try:
            await self._adoption.deploy(served)
        except ScriptError as error:
            raise CodeRefused(str(error)) from error
        load_ms = _since(began)
        found = await self._store.run(FindServed(account, served.row))
        return Deployment(found or served, load_ms, self._adoption.serves_fetch)

    async def _save(self, account: str, upload: Upload, taken: snapshots.TakenSnapshot, kept_until: int) -> Snapshot:
        packages = json.dumps(await asyncio.to_thread(snapshots.packages))
        python, now, said = snapshots.python(), SystemClock().now(), upload.said.to_text()
        made_with = (taken.source, python, packages)
        saved = SaveSnapshot(account, taken.sha256, *made_with, list(taken.files), now, kept_until, upload.script, said)
        row = await self._store.run(saved)
        found = await self._store.run(GetSnapshot(row))
        return found or Snapshot(row, taken.sha256, *made_with, now, 0, upload.script, said)

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


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
