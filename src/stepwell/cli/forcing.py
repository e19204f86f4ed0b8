"""`stepwell instances step-retry`, `step-skip`, `step-complete`, `step-fail`: what becomes of a step, over the API."""

from collections.abc import Mapping
from typing import Any

from stepwell.cli.output import Column, Output
from stepwell.cli.targets import named
from stepwell.client import Client

_FORCED = (
    Column("step", lambda forced: str(forced["step"])),
    Column("action", lambda forced: str(forced["action"])),
    Column("by", lambda forced: str(forced["by"])),
)


def force(client: Client, target: tuple[str, str], asked: Mapping[str, Any], out: Output) -> int:
    """Decide what becomes of a step of an instance, as the body asks; return the exit code."""
    workflow, id = target
    forced = client.force_step(workflow, named(client, workflow, id), asked)
    out.show_one(forced, _FORCED, str(asked["step"]))
    return 0
