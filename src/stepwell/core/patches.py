"""Which newer ways of the code an instance goes: decided once, so that each replay goes the same."""

from stepwell.core.records import Patched
from stepwell.core.unmet import Unmet


class Patches:
    """The names by which the code may go a newer way, and what `run` has called before and not yet in this turn."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.unmet = Unmet()
        self._refused: set[str] = set()

    def ask(self, name: str, now: int, *, is_frozen: bool) -> Patched | None:
        """Return the record that the code may go the new way; None: that is on record, or it may not.

        It may where nothing is on record of what comes at the place where it asks first. Where it may not, it may not
        in later turns either: of the steps that it has not called by then something is on record in those, too.
        """
        if name not in self.names and (self.unmet or is_frozen):
            self._refused.add(name)
        return None if name in self.names or name in self._refused else Patched(now, name)
