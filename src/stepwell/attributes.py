"""Attributes of an attempt: what its body says that it took, such as a model's name and tokens. They decide nothing.

They are recorded with how the attempt ends, in the same transaction: so they are there once, whatever crashes.
"""

import math
from collections.abc import Iterable, Mapping

from stepwell import limits
from stepwell.core.records import Attributes
from stepwell.errors import WorkflowFatalError

# Beyond it not every integer is a number that JSON's readers know.
_EXACT = 2**53
# What somebody asked a model for is no amount: two temperatures have no sum.
_NO_AMOUNTS = "gen_ai.request."


def merged(known: Attributes, given: object) -> Attributes:
    """Return attributes with what was given in its place; None takes one away. Raises WorkflowFatalError."""
    if not isinstance(given, Mapping):
        raise _refused(f"a dict of names and values is needed, got {given!r:.100}")
    for name, value in given.items():
        if not limits.is_label_name(name):
            raise _refused(f"a name must be {limits.LABEL_NAME_RULE}, got {name!r:.100}")
        if not _is_value(value):
            raise _refused(
                f"{name} must be a number, a bool, None, or {limits.LABEL_VALUE_RULE}, got {value!r:.300}",
            )
    merged = {name: value for name, value in {**known, **given}.items() if value is not None}
    if len(merged) > limits.ATTRIBUTES:
        raise _refused(f"an attempt has at most {limits.ATTRIBUTES}, and would have {len(merged):,}: leave some out")
    return merged


def totals(attempts: Iterable[Attributes]) -> dict[str, int | float]:
    """Return the sums of what is a number, by name."""
    found: dict[str, int | float] = {}
    for attributes in attempts:
        for name, value in attributes.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and not name.startswith(_NO_AMOUNTS):
                found[name] = found.get(name, 0) + value
    return found


def _is_value(value: object) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return abs(value) <= _EXACT
        case float():
            return math.isfinite(value)
        case _:
            return limits.is_label_value(value)


def _refused(problem: str) -> WorkflowFatalError:
    return WorkflowFatalError(f"set_attributes: {problem}.")
