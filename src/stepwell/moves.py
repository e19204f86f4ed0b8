"""Instances that are moved to another version of their code, where they would go on; and where somebody insists.

Each is rehearsed on that version, and moved as it was when it was: one that has got further meanwhile is rehearsed
again.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec
from msgspec import Struct

from stepwell.clock import Clock
from stepwell.core.open_calls import fold_calls
from stepwell.core.records import AttemptInterrupted, Moved, Record
from stepwell.errors import (
    InstanceFinished,
    InstanceNotFound,
    InvalidInput,
    RestartedMeanwhile,
    ScriptError,
)
from stepwell.outlook import Outlook, Verdict
from stepwell.rehearsals import Rehearsals, Trying
from stepwell.store import Store, codec
from stepwell.store.control_operations import MoveInstance
from stepwell.store.operations import GetInstance, GetWorkflow, InstanceHistory
from stepwell.store.snapshot_operations import ReadSnapshotFiles
from stepwell.store.workflow_operations import GetVersionCode, VersionCode

# One that gets further each time is not waited for.
_TRIES = 10


class MovedInstance(msgspec.Struct, frozen=True):
    """What became of an instance: whether it is on the version now, and what its rehearsal has found.

    `verdict` is None where nothing was rehearsed; `problem` says why it has not been moved, or what it was moved in
    spite of.
    """

    id: str
    is_moved: bool
    version_id: str | None
    verdict: str | None
    problem: str | None
    where: str | None


class Moves(Struct, frozen=True):
    """Moves instances of one server's account."""

    store: Store
    clock: Clock
    trying: Trying

    async def move(
        self, account: str, workflow: str, ids: Sequence[str], version: str | None, *, is_forced: bool
    ) -> list[MovedInstance]:
        """Move instances to a version of their workflow, the newest if it is None; return what became of each.

        `is_forced`: also those that would break on it, or that cannot be foretold; none is rehearsed. Raises
        WorkflowNotFound, VersionNotFound, or InvalidInput where the code of the version is not in the store.
        """
        if version is None:
            version = (await self.store.run(GetWorkflow(account, workflow))).version
        code = await self.store.run(GetVersionCode(account, workflow, version))
        async with AsyncExitStack() as opened:
            moving = _Moving(self, opened, code, is_forced=is_forced)
            return [await moving.move(account, workflow, id) for id in ids]


class _Moving:
    """Moves instances to one version; the process that rehearses them is started when there is a first one."""

    def __init__(self, moves: Moves, opened: AsyncExitStack, code: VersionCode, *, is_forced: bool) -> None:
        self._moves = moves
        self._store = moves.store
        self._opened = opened
        self._code = code
        self._is_forced = is_forced
        self._rehearsals: Rehearsals | None = None

    async def move(self, account: str, workflow: str, id: str) -> MovedInstance:
        """Move an instance; return what became of it. Raises InvalidInput where the version's code is not there."""
        has, version = None, self._code.version.id
        for _ in range(_TRIES):
            try:
                found = await self._store.run(GetInstance(account, workflow, id))
            except InstanceNotFound as error:
                return MovedInstance(id, False, None, None, str(error), None)
            has = found.row.version
            if found.row.ended_at is not None:
                finished = InstanceFinished(workflow, id, found.row.status, "move")
                return MovedInstance(id, False, has, None, str(finished), None)
            if has == version:
                return MovedInstance(id, True, has, None, None, None)
            outlook = await self._outlook(account, workflow, id)
            if outlook is not None and outlook.verdict is not Verdict.GOES_ON:
                return MovedInstance(id, False, has, outlook.verdict, outlook.problem, outlook.where)
            try:
                await self._store.run(self._moving(found))
            except (RestartedMeanwhile, InstanceFinished):
                continue
            return MovedInstance(id, True, version, None if outlook is None else outlook.verdict, None, None)
        problem = "it gets further while it is looked at; pause it, move it, and resume it"
        return MovedInstance(id, False, has, Verdict.UNKNOWN, problem, None)

    async def _outlook(self, account: str, workflow: str, id: str) -> Outlook | None:
        """Return what would become of an instance; None: that is not asked."""
        snapshot = self._code.snapshot
        if snapshot is None:
            raise InvalidInput(
                "version_id",
                f'body: version_id: the code of the version "{self._code.version.id}" is not in the store, so nothing '
                "can be moved to it; `stepwell serve` keeps what it serves, and `stepwell dev` has all instances go on "
                "with the newest code",
            )
        if self._is_forced:
            return None
        try:
            if self._rehearsals is None:
                files = await self._store.run(ReadSnapshotFiles(snapshot.row))
                rehearsing = self._moves.trying.rehearsing(self._store, account, files, snapshot.source)
                self._rehearsals = await self._opened.enter_async_context(rehearsing)
            return await self._rehearsals.rehearse(account, workflow, id)
        except ScriptError as error:
            raise InvalidInput("version_id", f"body: version_id: its code cannot be loaded here: {error}") from error

    def _moving(self, found: InstanceHistory) -> MoveInstance:
        row, now, version = found.row, self._moves.clock.now(), self._code.version.id
        calls = fold_calls(codec.from_rows(found.records)).live()
        records: list[Record] = [AttemptInterrupted(now, call.key, call.attempt) for call in calls if call.is_in_flight]
        written = [codec.to_row(record) for record in (*records, Moved(now, version, row.version))]
        return MoveInstance(row.account, row.workflow, row.id, version, written, row.row, row.seq)
