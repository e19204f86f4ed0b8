"""Stepwell: a durable workflow engine for Python that speaks the Cloudflare Workflows API."""

from stepwell.errors import NonRetryableError, WorkflowTimeoutError
from stepwell.workflow import WorkflowEntrypoint, WorkflowStep

__all__ = ["NonRetryableError", "WorkflowEntrypoint", "WorkflowStep", "WorkflowTimeoutError"]

__version__ = "0.1.0"
