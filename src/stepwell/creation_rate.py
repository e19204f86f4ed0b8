"""How many instances may be created in a second, by this process."""

import math
from collections import defaultdict, deque

from msgspec import Struct, field

from stepwell.errors import CreatedTooFast, InvalidInput

_SECOND_MS = 1_000


class CreationRate(Struct):
    """At most so many new instances in any second, of an account and of each of its workflows; 0: any number."""

    of_account: int
    of_workflow: int
    # When the last ones were created, by what they count for; only workflows that there are come here.
    _recent: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))

    def take(self, account: str, workflow: str, count: int, now: int) -> None:
        """Count instances that are about to be created, at a moment; none if it raises.

        Raises CreatedTooFast, or InvalidInput for so many at once as there may never be.
        """
        limits = {
            f'the account "{account}"': self.of_account,
            f'the workflow "{workflow}" of the account "{account}"': self.of_workflow,
        }
        counted = [(what, limit) for what, limit in limits.items() if limit]
        # First what no waiting helps against: nobody is told to try again what will be refused.
        for what, limit in counted:
            _refuse_too_many(what, limit, count)
        for what, limit in counted:
            self._refuse_too_fast(what, limit, count, now)
        for what, _ in counted:
            self._recent[what].extend([now] * count)

    def _refuse_too_fast(self, what: str, limit: int, count: int, now: int) -> None:
        recent = self._recent[what]
        while recent and recent[0] <= now - _SECOND_MS:
            recent.popleft()
        if len(recent) + count > limit:
            # The last of those that have to be a second ago before so many more may come.
            last = recent[len(recent) + count - limit - 1]
            raise CreatedTooFast(what, limit, math.ceil((last + _SECOND_MS - now) / _SECOND_MS))


def _refuse_too_many(what: str, limit: int, count: int) -> None:
    if count > limit:
        raise InvalidInput(
            "instances",
            f"body: {count:,} instances at once are more than the {limit:,} that {what} may have in a second; "
            "create fewer at a time",
        )
