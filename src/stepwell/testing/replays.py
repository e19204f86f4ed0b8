"""What the test kit makes of code that, replayed, goes another way than its history."""

from stepwell.divergences import Divergence, Divergences, called
from stepwell.errors import Diverged
from stepwell.settings import TurnSettings

# Settings with which the code is run again from its start after each result, and must go the same way.
REPLAYS_ALWAYS = TurnSettings(replays_always=True, fails_diverging=True)


class Found(Divergences):
    """Keeps the divergences that turns tell of, and raises them in the test."""

    def __init__(self) -> None:
        super().__init__()
        self._new: list[Divergence] = []

    def tell(self, row: int, divergence: Divergence) -> bool:
        """Tell of a divergence, and keep it."""
        is_new = super().tell(row, divergence)
        if is_new:
            self._new.append(divergence)
        return is_new

    def check(self) -> None:
        """Raise Diverged for the first divergence since the last call, if there is one."""
        new, self._new = self._new, []
        if new:
            raise Diverged(new[0].workflow, new[0].id, report(new[0]))


def report(divergence: Divergence) -> str:
    """Return a divergence in lines: where it is, what the code asks for there, what is on record, and why."""
    lines = [
        f'{divergence.workflow} "{divergence.id}" is not deterministic: replayed, it goes another way than before.'
    ]
    if divergence.asked is None and divergence.has_ended:
        lines += ["", "  asks for         nothing more: it ends"]
    else:
        place = divergence.lines[0] if divergence.lines else None
        lines += ["", f"  {divergence.where}", *([f"      {text}"] if place and (text := place.text()) else []), ""]
        lines += [f"  asks for         {called(divergence.asked) if divergence.asked else 'nothing more: it waits'}"]
    heads = ("  the history has  ", *[" " * 19] * len(divergence.unused))
    lines += [f"{head}{called(key)}" for head, key in zip(heads, divergence.unused, strict=False)]
    return "\n".join([*lines, "", divergence.why])
