"""Deployments without workers: what is deployed is said to be served, and run by nobody."""

import tempfile
from pathlib import Path
from typing import cast

from stepwell.adoption import Adoption
from stepwell.deployments import Deployments
from stepwell.engine import Engine
from stepwell.errors import ScriptError
from stepwell.places import Layouts
from stepwell.rehearsals import Trying
from stepwell.server_settings import DEFAULT_SETTINGS, Settings
from stepwell.store.snapshot_operations import ServeSnapshot, Snapshot

ACCOUNT = "local"


class Adopting:
    """Stands for workers: runs what is deployed, unless `report` says why it cannot be."""

    serves_fetch = False

    def __init__(self, engine: Engine) -> None:
        self.report: str | None = None
        self.ran: list[int] = []
        self._engine = engine

    async def deploy(self, snapshot: Snapshot) -> None:
        """Say that a snapshot is served."""
        if self.report is not None:
            raise ScriptError(self.report)
        self.ran.append(snapshot.row)
        await self._engine.store.run(
            ServeSnapshot(ACCOUNT, snapshot.row, 1_000 * len(self.ran), deployed=snapshot.deployed)
        )


def deployments(
    engine: Engine,
    adopting: Adopting | None = None,
    told: Settings = DEFAULT_SETTINGS,
    folder: Path | None = None,
    variables: tuple[str, ...] = (),
) -> Deployments:
    """Return deployments to the account `local`; what is tried lies in a folder."""
    folder = folder or Path(tempfile.gettempdir(), "stepwell-tests")
    return Deployments(
        engine.store,
        cast(Adoption, adopting or Adopting(engine)),
        ACCOUNT,
        Trying(Layouts(folder), told, variables=variables),
    )
