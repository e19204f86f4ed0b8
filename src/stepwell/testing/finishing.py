"""In which order the attempts that are in flight end."""

import asyncio
import random


class SeededOrder:
    """Lets attempts end one at a time, in an order drawn from a seed; at once, as long as it has none."""

    def __init__(self) -> None:
        self._drawn: random.Random | None = None
        self._held: list[asyncio.Future[None]] = []

    def begin(self, seed: int) -> None:
        """Draw from a seed, from now on."""
        self._drawn = random.Random(seed)  # noqa: S311  # an order, and the same each time

    async def turn_comes(self) -> None:
        """Wait until an attempt whose body has ended may end."""
        if self._drawn is None:
            return
        held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append(held)
        await held

    def let_one_go(self) -> bool:
        """Let one of those that wait end; False: none waits."""
        self._held = [held for held in self._held if not held.done()]
        if self._drawn is None or not self._held:
            return False
        self._drawn.choice(self._held).set_result(None)
        return True
