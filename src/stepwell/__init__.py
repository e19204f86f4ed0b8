"""Stepwell: a durable workflow engine for Python that speaks the Cloudflare Workflows API."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.contexts import RollbackContext, StepContext
    from stepwell.embedded import Stepwell
    from stepwell.errors import InstanceFailed, NonRetryableError, RetryAfter, WorkflowTimeoutError
    from stepwell.flow import Flow, Rate, SharedLimit
    from stepwell.sdk import AsyncClient, Client
    from stepwell.steps import StepStream, step
    from stepwell.workflow import WorkflowEntrypoint, WorkflowEvent, WorkflowStep

__all__ = [
    "AsyncClient",
    "Client",
    "Flow",
    "InstanceFailed",
    "NonRetryableError",
    "Rate",
    "RetryAfter",
    "RollbackContext",
    "SharedLimit",
    "StepContext",
    "StepStream",
    "Stepwell",
    "WorkflowEntrypoint",
    "WorkflowEvent",
    "WorkflowStep",
    "WorkflowTimeoutError",
    "step",
]

__version__ = "0.1.0"

# Where each name is: a command that only asks a server waits for none of it, and workers do without the last two.
_MODULES = {
    "stepwell.errors": ("InstanceFailed", "NonRetryableError", "RetryAfter", "WorkflowTimeoutError"),
    "stepwell.flow": ("Flow", "Rate", "SharedLimit"),
    "stepwell.contexts": ("RollbackContext", "StepContext"),
    "stepwell.steps": ("StepStream", "step"),
    "stepwell.workflow": ("WorkflowEntrypoint", "WorkflowEvent", "WorkflowStep"),
    "stepwell.sdk": ("AsyncClient", "Client"),
    "stepwell.embedded": ("Stepwell",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

# Type checkers would take any name for one that is there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return a public name, whose module is loaded when it is first asked for."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_PLACES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
