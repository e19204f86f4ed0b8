"""What is measured: Stepwell, the machine with nothing round it, and other engines."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests import postgres

ROOT = Path(__file__).parent.parent
# Beside the repository's own environment, and never part of it.
PEERS = Path(os.environ.get("STEPWELL_BENCH_PEERS", ROOT / ".peers"))


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine in one of its shapes, and the driver that measures it."""

    name: str
    title: str
    module: str
    variant: str = ""
    needs_database: bool = False
    peer: str = ""  # the folder in PEERS that has its environment; none for what is here

    @property
    def is_own(self) -> bool:
        """Tell whether it is Stepwell."""
        return self.module == "bench.stepwell"

    @property
    def python(self) -> Path:
        """The interpreter that has what its driver imports."""
        return PEERS / self.peer / "bin" / "python" if self.peer else Path(sys.executable)

    def what_is_missing(self) -> str:
        """Return why it cannot be measured; nothing if it can."""
        if self.peer and not (PEERS / self.peer / "installed").exists():
            return f"not installed: python -m bench.peers.install {self.peer}"
        return "no PostgreSQL server can be started" if self.needs_database and not postgres.is_local() else ""


# Ratios are to the first one after the machine.
ENGINES = (
    Engine("machine", "the machine", "bench.machine", needs_database=True),
    Engine("stepwell-sqlite", "Stepwell, SQLite, `dev`", "bench.stepwell", "dev"),
    Engine("stepwell-serve", "Stepwell, SQLite, two workers", "bench.stepwell", "serve"),
    Engine("stepwell-postgres", "Stepwell, PostgreSQL", "bench.stepwell", "postgres", needs_database=True),
    Engine("restate", "Restate", "bench.peers.restate", peer="restate"),
    Engine("absurd", "Absurd, PostgreSQL", "bench.peers.absurd", needs_database=True, peer="absurd"),
    Engine("dbos-sqlite", "DBOS, SQLite", "bench.peers.dbos", peer="dbos"),
    Engine("dbos-postgres", "DBOS, PostgreSQL", "bench.peers.dbos", needs_database=True, peer="dbos"),
    Engine("temporal", "Temporal, its dev server", "bench.peers.temporal", peer="temporal"),
    Engine("cloudflare", "Cloudflare, its local engine", "bench.peers.cloudflare", peer="cloudflare"),
)
BASE = "stepwell-sqlite"
# What takes minutes is measured once, and of this one unless others are asked for.
LARGE = "stepwell-serve"
TITLES = {engine.name: engine.title for engine in ENGINES}
