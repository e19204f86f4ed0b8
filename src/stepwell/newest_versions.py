"""What the newest version of a workflow asks of its params, as far as it is known; the store says when that changes."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from stepwell import flow
from stepwell.errors import InvalidInput
from stepwell.store import Store, operations

if TYPE_CHECKING:
    from stepwell.params import ParamsCheck

_CHECKED_AT_ONCE = 10_000


class Checked(NamedTuple):
    """The version of a workflow that an instance's params fit, and where it queues then."""

    version: str
    place: flow.Place


class _Known(Struct, frozen=True):
    """What the store has said of a workflow's newest version, and the check that is made of it."""

    found: operations.ParamsSchema
    check: "ParamsCheck | None"

    async def hold(self, params: str) -> Checked:
        """Hold params against it. Raises InvalidInput."""
        return Checked(self.found.version, await hold(params, self.check, self.found.flow))


async def check_of(schema: str | None) -> "ParamsCheck | None":
    """Return what holds params against a schema; None: any will do."""
    return None if schema is None else await asyncio.to_thread(_params_check, schema)


async def hold(params: str, check: "ParamsCheck | None", declared: str | None) -> flow.Place:
    """Hold params against a schema, and against what is declared of a workflow's flow; return where they queue.

    Raises InvalidInput.
    """
    if check is None:
        pass
    elif len(params) > _CHECKED_AT_ONCE:
        # It may take a while, and others are to be answered meanwhile.
        await asyncio.to_thread(check.check, params)
    else:
        check.check(params)
    try:
        return flow.place_of(flow.from_text(declared), params)
    except ValueError as error:
        raise InvalidInput("params", f"body: {error}") from error


class NewestVersions:
    """The newest versions of workflows that have been asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str], _Known] = {}
        self._learning = asyncio.Lock()

    def forget(self, account: str, workflow: str) -> None:
        """Ask the store again what a workflow's newest version is: it is not the one that is known."""
        self._known.pop((account, workflow), None)

    async def check(self, account: str, workflow: str, params: str) -> Checked:
        """Hold params against the schema and the flow of the workflow's version that is known; return what they fit."""
        known = self._known.get((account, workflow)) or await self._learn(account, workflow, None)
        try:
            return await known.hold(params)
        except InvalidInput:
            newest = await self._learn(account, workflow, known)
            if newest is known:
                raise
            # It was refused by what is no longer asked for.
            return await newest.hold(params)

    async def _learn(self, account: str, workflow: str, outdated: "_Known | None") -> _Known:
        """Return what a workflow's newest version is and asks for, from the store if that is all that is known."""
        # A thousand creates at once ask once.
        async with self._learning:
            known = self._known.get((account, workflow))
            if known is None or known is outdated:
                found = await self._store.run(operations.GetParamsSchema(account, workflow))
                if known is None or found != known.found:
                    known = self._known[account, workflow] = _Known(found, await check_of(found.schema))
            return known


def _params_check(schema: str) -> "ParamsCheck":
    # Imported here: it takes 8 MB and 60 ms, and most workflows have no typed params.
    from stepwell.params import ParamsCheck  # noqa: PLC0415 - see above

    return ParamsCheck(schema)
