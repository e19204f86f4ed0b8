"""Workers that have nothing to do, and get what is created without asking.

Otherwise a lone instance would wait for its worker to hear of it, to ask for it, and for one more commit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stepwell.store.operations import SUSPECTS, Claim, ClaimDue, Claims, CreateInstance, EndLease, Operation
from stepwell.store.situation_operations import NoteBlocked


class IdleWorkers:
    """The workers of a store that found nothing when they claimed last, each with that claim. The writer's alone."""

    def __init__(self, listens: Callable[[int], bool]) -> None:
        """Ask `listens` whether a worker still hears what it is given."""
        self._listens = listens
        self._claims: dict[int, ClaimDue] = {}

    def claims(self, operations: Sequence[Operation[Any]]) -> list[ClaimDue]:
        """Return a claim for each instance that operations create, as far as there are idle workers: of one each.

        They are idle no more. Neither is who claims again, does not answer, or is gone.
        """
        for operation in operations:
            if isinstance(operation, ClaimDue | EndLease | NoteBlocked):
                self._claims.pop(operation.worker, None)
        if not self._claims:
            return []
        moments = [operation.now for operation in operations if isinstance(operation, CreateInstance)]
        taken = list(self._claims.values())[: len(moments)]
        for claim in taken:
            del self._claims[claim.worker]
        return [_of_one(claim, max(moments)) for claim in taken if self._listens(claim.worker)]

    def given(self, claims: Sequence[ClaimDue], outcomes: Sequence[object]) -> list[tuple[int, Sequence[Claim] | None]]:
        """Return what the workers of such claims are to hear; one that got nothing stays idle."""
        given: list[tuple[int, Sequence[Claim] | None]] = []
        for claim, outcome in zip(claims, outcomes, strict=True):
            if not isinstance(outcome, Claims):
                # It may have been written all the same.
                given.append((claim.worker, None))
            elif outcome.turns:
                given.append((claim.worker, outcome.turns))
            else:
                self._claims[claim.worker] = claim
        return given

    def note(self, operations: Sequence[Operation[Any]], outcomes: Sequence[object]) -> None:
        """Take note of who has found nothing."""
        for operation, outcome in zip(operations, outcomes, strict=True):
            if (
                isinstance(operation, ClaimDue)
                and operation.is_idle
                and isinstance(outcome, Claims)
                and not outcome.turns
            ):
                self._claims[operation.worker] = operation


def _of_one(claim: ClaimDue, now: int) -> ClaimDue:
    """Return a claim of one instance, which has lost no turn: who is given one may have got others meanwhile."""
    return msgspec.structs.replace(claim, now=now, limit=1, suspects=tuple(SUSPECTS.values()))
