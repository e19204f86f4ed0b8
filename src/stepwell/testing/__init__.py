"""The test kit: whole engines inside a test's process, on a clock that the test moves."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.testing.engine import TestEngine
    from stepwell.testing.instance import ACCOUNT, TestInstance
    from stepwell.testing.introspection import InstanceIntrospector, WorkflowIntrospector
    from stepwell.testing.stand_ins import Step

__all__ = ["ACCOUNT", "InstanceIntrospector", "Step", "TestEngine", "TestInstance", "WorkflowIntrospector"]

# Where each name is: pytest loads the plugin that lies here in each run, also where nobody wants an engine.
_PLACES = {
    "ACCOUNT": "stepwell.testing.instance",
    "InstanceIntrospector": "stepwell.testing.introspection",
    "Step": "stepwell.testing.stand_ins",
    "TestEngine": "stepwell.testing.engine",
    "TestInstance": "stepwell.testing.instance",
    "WorkflowIntrospector": "stepwell.testing.introspection",
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
