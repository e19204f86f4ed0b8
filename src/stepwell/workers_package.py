"""The package `workers` that Cloudflare sources import: there in worker processes, unless the author has one.

Source: developers.cloudflare.com/workers/languages/python/, developers.cloudflare.com/workflows/python/
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from stepwell.errors import NonRetryableError
from stepwell.web import Request, Response, WorkerEntrypoint
from stepwell.workflow import WorkflowEntrypoint

_NAMES = {
    "Request": Request,
    "Response": Response,
    "WorkerEntrypoint": WorkerEntrypoint,
    "WorkflowEntrypoint": WorkflowEntrypoint,
}
# Cloudflare's own package has this module, and can be imported only on Cloudflare.
_THEIRS = "_workers.py"


def offer() -> None:
    """Let `from workers import ...` work. A package of this name that can be imported already is left alone."""
    if "workers" in sys.modules or _is_there(importlib.util.find_spec("workers")):
        return
    package, workflows = ModuleType("workers", __doc__), ModuleType("workers.workflows", __doc__)
    vars(package).update(_NAMES, __path__=[], workflows=workflows, __getattr__=_missing)
    vars(workflows).update(NonRetryableError=NonRetryableError)
    sys.modules.update({"workers": package, "workers.workflows": workflows})


def _is_there(spec: ModuleSpec | None) -> bool:
    """Tell whether the author has a package of this name: any but Cloudflare's, or a folder without Python in it."""
    if spec is None:
        return False
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if spec.origin is None:
        return any(True for folder in folders for _ in folder.rglob("*.py"))
    return not any((folder / _THEIRS).exists() for folder in folders)


def _missing(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"workers.{name}: Stepwell's `workers` has {', '.join(sorted(_NAMES))}, and not this")
