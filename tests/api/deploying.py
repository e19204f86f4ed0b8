"""Deployments without workers: what is deployed is said to be served, and run by nobody."""

from typing import Any, cast

from stepwell.adoption import Adoption
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.errors import ScriptError
from stepwell.store.snapshot_operations import ServeSnapshot, Snapshot


class Adopting:
    """Serves what is deployed, unless `report` says why it cannot be."""

    serves_fetch = False

    def __init__(self, engine: Engine, account: str) -> None:
        self.report: str | None = None
        self._engine = engine
        self._account = account

    async def deploy(self, snapshot: Snapshot) -> None:
        """Say that a snapshot is served."""
        if self.report is not None:
            raise ScriptError(self.report)
        await self._engine.store.run(ServeSnapshot(self._account, snapshot.row, self._engine.clock.now()))


def deployments(engine: Engine, account: str = "local", adopting: Any = None) -> Deployments:
    """Return deployments to an account."""
    adoption = cast(Adoption, adopting or Adopting(engine, account))
    return Deployments(engine.store, adoption, account, engine.settings)
