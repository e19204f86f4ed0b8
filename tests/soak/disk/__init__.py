"""A disk under a PostgreSQL server that is full when somebody says so; needs a C compiler."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

REASON = "a full disk under PostgreSQL: a C compiler (cc)"
_SOURCE = Path(__file__).parent / "full.c"
_FLAG = "full"


def can_be_filled() -> bool:
    """Tell whether there can be such a disk."""
    return shutil.which("cc") is not None


def environment(folder: Path) -> Mapping[str, str]:
    """Return what a server needs in its environment whose disk this is; `folder` is one that it can read."""
    library = folder / "full.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
    library.chmod(0o755)
    # A server may be a child of somebody who has an own one.
    before = [path for path in [os.environ.get("LD_PRELOAD")] if path]
    return {"LD_PRELOAD": ":".join([str(library), *before]), "SOAK_DISK_FULL": str(folder / _FLAG)}


def fill(folder: Path) -> None:
    """Let no file of the server grow."""
    (folder / _FLAG).touch()


def free(folder: Path) -> None:
    """Let there be space again."""
    (folder / _FLAG).unlink()
