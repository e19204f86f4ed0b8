"""How many instances ran, were queued, waited and were paused in the last day, as this server has seen it.

The store says how many there are now, and nobody keeps how many there were. So a server looks once a minute, and keeps
for each stretch of five minutes the most that it has seen, in memory: after a restart it begins anew, and what lies
before that is not known, as is a stretch in which it did not look.
"""

from collections import OrderedDict
from collections.abc import Mapping

from stepwell.clock import Clock
from stepwell.rounds import rounds
from stepwell.store import Store
from stepwell.store.operations import ListWorkflows

EVERY_S = 60.0
STRETCH_MS = 300_000
STRETCHES = 288
# As many as the overview counts.
MOST_WORKFLOWS = 100
# Beside the server's own there may be others: those that were asked for last.
MOST_ACCOUNTS = 16

STATUSES: Mapping[str, tuple[str, ...]] = {
    "running": ("running", "rollingBack"),
    "queued": ("queued",),
    "waiting": ("waiting",),
    "paused": ("paused", "waitingForPause"),
}

# The most of each, by the number of the stretch since 1970; what is older than a day is dropped.
_Peaks = dict[int, dict[str, int]]


class Samples:
    """What has been seen, by account."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._accounts: OrderedDict[str, _Peaks] = OrderedDict()

    async def run(self, account: str) -> None:
        """Look at an account now and then, for ever, and at those that are asked for."""
        self._follow(account)
        await rounds("how many instances run", EVERY_S, self.take)

    async def take(self) -> None:
        """Look once. Raises StoreError."""
        for account in list(self._accounts):
            found = await self._store.run(ListWorkflows(account, MOST_WORKFLOWS, 0, None))
            stretch = self._clock.now() // STRETCH_MS
            peaks = self._accounts.get(account, {})
            peak = peaks.setdefault(stretch, dict.fromkeys(STATUSES, 0))
            for name, statuses in STATUSES.items():
                seen = sum(row.counts.get(status, 0) for row in found.rows for status in statuses)
                peak[name] = max(peak[name], seen)
            for old in [one for one in peaks if one <= stretch - STRETCHES]:
                del peaks[old]

    def of(self, account: str) -> dict[str, list[int | None]]:
        """Return the most of each in each stretch of the last day, the present one last; None: nobody looked.

        An account that nobody has asked for is looked at from now on.
        """
        self._follow(account)
        peaks, last = self._accounts[account], self._clock.now() // STRETCH_MS
        stretches = [peaks.get(one) for one in range(last - STRETCHES + 1, last + 1)]
        return {name: [None if peak is None else peak[name] for peak in stretches] for name in STATUSES}

    def _follow(self, account: str) -> None:
        self._accounts.setdefault(account, {})
        self._accounts.move_to_end(account)
        if len(self._accounts) > MOST_ACCOUNTS:
            self._accounts.popitem(last=False)
