"""Stepwell: a durable workflow engine for Python that speaks the Cloudflare Workflows API."""

from stepwell.errors import NonRetryableError, RetryAfter, WorkflowTimeoutError
from stepwell.steps import RollbackContext, StepContext, StepStream, step
from stepwell.workflow import WorkflowEntrypoint, WorkflowEvent, WorkflowStep

__all__ = [
    "NonRetryableError",
    "RetryAfter",
    "RollbackContext",
    "StepContext",
    "StepStream",
    "WorkflowEntrypoint",
    "WorkflowEvent",
    "WorkflowStep",
    "WorkflowTimeoutError",
    "step",
]

__version__ = "0.1.0"
