"""Attributes of an attempt: what its body says that it took, such as a model's name and tokens. They decide nothing.

They are recorded with how the attempt ends, in the same transaction: so they are there once, whatever crashes.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from stepwell import limits
from stepwell.core.records import Attributes
from stepwell.errors import WorkflowFatalError

# Beyond it not every integer is a number that JSON's readers know; and sums stay numbers.
_LARGEST = 2**53
# What somebody asked a model for is no amount: two temperatures have no sum.
_NO_AMOUNTS = "gen_ai.request."


def merged(known: Attributes, given: object) -> Attributes:
    """Return attributes with what was given in its place; None takes one away. Raises WorkflowFatalError."""
    if not isinstance(given, Mapping):
        raise _refused(f"a dict of names and values is needed, got {given!r:.100}")
    merged = dict(known)
    for name, value in given.items():
        if not limits.is_label_name(name):
            raise _refused(f"a name must be {limits.LABEL_NAME_RULE}, got {name!r:.100}")
        merged.pop(name, None)
        if value is not None:
            merged[str.__str__(name)] = _plain(name, value)
    if len(merged) > limits.ATTRIBUTES:
        raise _refused(f"an attempt has at most {limits.ATTRIBUTES}, and would have {len(merged):,}: leave some out")
    return merged


def totals(attempts: Iterable[Attributes]) -> dict[str, int | float]:
    """Return the sums of what is a number, by name."""
    found: dict[str, int | Decimal] = {}
    for attributes in attempts:
        for name, value in attributes.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and not name.startswith(_NO_AMOUNTS):
                # As it is written, as amounts of money are: 0.1 and 0.2 are 0.3.
                found[name] = found.get(name, 0) + (Decimal(repr(value)) if isinstance(value, float) else value)
    return {name: float(total) if isinstance(total, Decimal) else total for name, total in found.items()}


def _plain(name: str, value: object) -> str | int | float | bool:
    """Return a value without the class that an author, or an array, gives it: the store knows none of these."""
    match value:
        case bool():
            return value
        case int() if abs(value) <= _LARGEST:
            return int(value)
        case float() if abs(value) <= _LARGEST:
            return float(value)
        case str() if limits.is_label_value(value):
            return str.__str__(value)
    expected = f"a number of up to {_LARGEST:,}, a bool, None, or {limits.LABEL_VALUE_RULE}"
    raise _refused(f"{name} must be {expected}, got {value!r:.300}")


def _refused(problem: str) -> WorkflowFatalError:
    return WorkflowFatalError(f"set_attributes: {problem}.")
