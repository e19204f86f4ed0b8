"""The keys of an instance's step calls: which count each gets.

Counts belong to the step in whose body a call is made, so that a replay which does not run that body gives the other
calls the same counts.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from stepwell import limits
from stepwell.core.records import Key, StepKind
from stepwell.errors import InvalidStepName, StepLimitReached


class Scope:
    """Whose calls are counted together: those of `run` (parent None), or those of one attempt of a step."""

    def __init__(self, parent: Key | None = None) -> None:
        self.parent = parent
        self.calls: dict[tuple[StepKind, str], int] = {}


class Keys:
    """The keys that an instance's calls have been given, and whose calls they are."""

    def __init__(self, step_limit: int) -> None:
        """`step_limit` is how many `do` keys there may be."""
        self._step_limit = step_limit
        self._steps = 0
        # The step in whose body each was called, and which one of its kind and name it was there; and the other way.
        self._callers: dict[Key, tuple[Key | None, int]] = {}
        self._called: dict[tuple[Key | None, StepKind, str, int], Key] = {}
        self._children: dict[Key, list[Key]] = defaultdict(list)
        self._highest: dict[tuple[StepKind, str], int] = defaultdict(int)

    def next(self, kind: StepKind, name: str, scope: Scope) -> Key:
        """Return the key of a call; the counts that a scope gets are the same in every turn.

        Raises InvalidStepName, or StepLimitReached for a `do` beyond the limit. The limit is on keys, not on calls
        in this turn: a replay makes fewer calls, and must meet the limit in the same place.
        """
        if not isinstance(name, str):
            # It may be nothing that can be looked up.
            raise _invalid(name)
        nth = scope.calls.get((kind, name), 0) + 1
        key = self._called.get((scope.parent, kind, name, nth))
        if key is None:
            key = self._new(kind, name, scope.parent, nth)
        scope.calls[kind, name] = nth
        return key

    def _new(self, kind: StepKind, name: str, parent: Key | None, nth: int) -> Key:
        if not limits.is_step_name(name):
            raise _invalid(name)
        if kind is StepKind.DO and self._steps >= self._step_limit:
            raise StepLimitReached(self._step_limit)
        key = Key(kind, name, self._highest[kind, name] + 1)
        self.own(key, parent, nth)
        return key

    def own(self, key: Key, parent: Key | None, nth: int | None) -> None:
        """Let a key belong to the scope that called it. A key that is known stays where it is."""
        if key in self._callers:
            return
        kind, name, count = key.kind, key.name, key.count
        nth = nth or count
        self._callers[key] = (parent, nth)
        self._called[parent, kind, name, nth] = key
        self._highest[kind, name] = max(self._highest[kind, name], count)
        self._steps += kind is StepKind.DO
        if parent is not None:
            self._children[parent].append(key)

    def outermost(self, key: Key) -> Key:
        """Return the key whose call led to this one, and that `run` itself, or a rollback, called."""
        while (parent := self.parent_of(key)) is not None:
            key = parent
        return key

    def parent_of(self, key: Key) -> Key | None:
        """Return the step in whose body a key was called, or None for `run` itself."""
        return self._callers[key][0]

    def of_run(self) -> list[Key]:
        """Return the keys that `run` itself has called, in their order."""
        return [
            key for key, (parent, _) in self._callers.items() if parent is None and key.kind is not StepKind.ROLLBACK
        ]

    def children(self, key: Key) -> Sequence[Key]:
        """Return the keys that were called in the body of a step."""
        return self._children.get(key, ())

    def caller(self, key: Key) -> tuple[Key | None, int | None]:
        """Return what a key's first record says of its caller."""
        parent, nth = self._callers[key]
        return parent, None if nth == key.count else nth


def _invalid(name: object) -> InvalidStepName:
    return InvalidStepName(name, f"text of up to {limits.STEP_NAME_LENGTH} characters without control characters")


def idempotency_key(instance_key: str, key: Key, generation: int) -> str:
    """Return what is the same for all attempts of a step, and another one where a restart runs the step anew.

    `instance_key` tells the instance from all others, `generation` is the seq of that restart; 0: there was none.
    """
    said = f"{instance_key}\0{key.kind}\0{key.name}\0{key.count}"
    if generation:
        said += f"\0{generation}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]
