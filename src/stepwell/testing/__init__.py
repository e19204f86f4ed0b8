"""The test kit: whole engines inside a test's process, on a clock that the test moves."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.testing.crashes import Scenario, crash_everywhere
    from stepwell.testing.engine import TestEngine
    from stepwell.testing.history import History, assert_replays, histories, replay_history
    from stepwell.testing.instance import ACCOUNT, TestInstance
    from stepwell.testing.introspection import InstanceIntrospector, WorkflowIntrospector
    from stepwell.testing.replays import REPLAYS_ALWAYS
    from stepwell.testing.shuffling import every_seed
    from stepwell.testing.stand_ins import Step
    from stepwell.testing.steplogs import assert_snapshot, assert_steps, step_log

__all__ = [
    "ACCOUNT",
    "REPLAYS_ALWAYS",
    "History",
    "InstanceIntrospector",
    "Scenario",
    "Step",
    "TestEngine",
    "TestInstance",
    "WorkflowIntrospector",
    "assert_replays",
    "assert_snapshot",
    "assert_steps",
    "crash_everywhere",
    "every_seed",
    "histories",
    "replay_history",
    "step_log",
]

# Where each name is: pytest loads the plugin that lies here in each run, also where nobody wants an engine.
_PLACES = {
    name: f"stepwell.testing.{module}"
    for module, names in {
        "crashes": ("Scenario", "crash_everywhere"),
        "engine": ("TestEngine",),
        "history": ("History", "assert_replays", "histories", "replay_history"),
        "instance": ("ACCOUNT", "TestInstance"),
        "introspection": ("InstanceIntrospector", "WorkflowIntrospector"),
        "replays": ("REPLAYS_ALWAYS",),
        "shuffling": ("every_seed",),
        "stand_ins": ("Step",),
        "steplogs": ("assert_snapshot", "assert_steps", "step_log"),
    }.items()
    for name in names
}

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
