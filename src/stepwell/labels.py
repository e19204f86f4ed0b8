"""Labels of instances: pairs of texts by which people find them. They decide nothing.

Those that are given at the creation, and those that the code sets, are bounded apart: so whether a call of the code is
refused hangs on the code alone, and is the same on replay.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from stepwell import limits
from stepwell.errors import InvalidInput, WorkflowFatalError
from stepwell.store.label_operations import KeptLabel, ReadLabels, SetLabels
from stepwell.store.operations import Claim, Operation

# Asks the store for what may be asked twice, until it answers.
Ask = Callable[[Operation[Any]], Awaitable[Any]]


def check(labels: Mapping[str, Any]) -> None:
    """Hold the labels of a new instance against the rules. Raises InvalidInput."""
    problem = problem_of(labels)
    if problem is not None:
        raise InvalidInput("labels", f"body: {problem}")


def problem_of(labels: object, *, taken_away: bool = False) -> str | None:
    """Return in words what is wrong with labels; None: nothing is. `taken_away`: a value may be None."""
    if not isinstance(labels, Mapping):
        return f"labels must be an object of names and values, got {labels!r:.100}"
    if len(labels) > limits.LABELS:
        return f"there are {len(labels):,} labels; at most {limits.LABELS} are allowed: leave some out"
    for name, value in labels.items():
        if not limits.is_label_name(name):
            return f"the name of a label must be {limits.LABEL_NAME_RULE}, got {name!r:.100}"
        if not (limits.is_label_value(value) or (taken_away and value is None)):
            return f"the value of the label {name} must be {limits.LABEL_VALUE_RULE}, got {value!r:.300}"
    return None


def problem_of_kept(labels: Sequence[KeptLabel]) -> str | None:
    """Return in words what is wrong with the labels of an instance from elsewhere; None: nothing is."""
    names = [label.name for label in labels]
    if len(set(names)) < len(names):
        return f"a name is there twice, among {', '.join(map(repr, names))}"
    given = {label.name: label.given for label in labels if label.given is not None}
    of_code = {label.name: label.value for label in labels if label.value != label.given}
    return problem_of(given) or problem_of(of_code, taken_away=True)


class RunLabels:
    """The labels that the code of a turn sets: each call is stored once, also where a replay makes it again."""

    def __init__(self, claim: Claim, ask: Ask) -> None:
        self._claim = claim
        self._ask = ask
        self._names: set[str] = set()
        self._calls = 0
        # How many calls were stored when this turn made its first; None: it has made none.
        self._stored: int | None = None

    def call(self, labels: object) -> tuple[int, dict[str, str | None]]:
        """Take a call; return its number with its labels. Raises WorkflowFatalError."""
        problem = problem_of(labels, taken_away=True)
        if problem is not None:
            raise WorkflowFatalError(f"set_labels: {problem}.")
        assert isinstance(labels, Mapping)
        names = self._names | labels.keys()
        if len(names) > limits.LABELS:
            shown = ", ".join(sorted(names - self._names))
            raise WorkflowFatalError(
                f"set_labels: the code has set {len(self._names)} labels, and sets {shown} as well; at most "
                f"{limits.LABELS} names are allowed: use fewer, or put what differs into the values."
            )
        self._names = names
        self._calls += 1
        return self._calls, dict(labels)

    async def store(self, number: int, labels: dict[str, str | None]) -> None:
        """Store a call, unless it is stored. Raises TurnLost."""
        if self._stored is None:
            self._stored = (await self._ask(ReadLabels(self._claim.row))).calls
        if number > self._stored:
            await self._ask(SetLabels(self._claim.row, self._claim.turn, number, labels))
