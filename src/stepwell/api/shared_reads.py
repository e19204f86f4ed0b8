"""Readings that many ask for at once, pages most of all, are made once for all of them.

Each page that is told of a change reads again what it shows, and many may show the same. Whoever asks gets an answer
whose reading began after he has asked, so it has all that he has been told of; all who ask while one is under way, or
has just been, get the next one together. How much one question costs is bounded so, however many ask it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec import Struct, field
from starlette.responses import Response

# Between two readings of one question lies so many times what the last one took, and at most so much time for each page
# that is open, and in all: who looks alone waits for nobody.
PAUSE_FACTOR = 8
PAUSE_OF_PAGE_S = 0.001
LONGEST_PAUSE_S = 0.25


class Question(NamedTuple):
    """What is asked: whose it is, and the address as it was sent. The answer is the same for all who ask this.

    `sees_all`: by whom may see more than what is of the account. Pages have readings of their own, as they wait for a
    pause between two.
    """

    account: str
    sees_all: bool
    path: str
    query: bytes
    is_of_page: bool


class _Readings(Struct):
    """The readings of a question: how many have begun, the last answer, and by which of them it was read."""

    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking: int = 0
    begun: int = 0
    answered: int = 0
    answer: Response | None = None
    next_at: float = 0


class SharedReads:
    """The questions that are being asked."""

    def __init__(self) -> None:
        self._questions: dict[Question, _Readings] = {}

    async def read(self, question: Question, make: Callable[[], Awaitable[Response]], pages: int) -> Response:
        """Answer a question, by `make` or by what somebody else has read since; so many pages are open.

        Raises what `make` raises.
        """
        if (mine := self._questions.get(question)) is None:
            mine = self._questions[question] = _Readings()
        mine.asking += 1
        wanted = mine.begun + 1
        try:
            # Who is cancelled, or fails, leaves the reading to the next one.
            async with mine.reading:
                if mine.answer is None or mine.answered < wanted:
                    await _read(mine, make, min(LONGEST_PAUSE_S, pages * PAUSE_OF_PAGE_S))
                assert mine.answer is not None
                return mine.answer
        finally:
            mine.asking -= 1
            if not mine.asking:
                self._forget(question, mine)

    def _forget(self, question: Question, mine: _Readings) -> None:
        """Forget a question that nobody asks, unless it may be asked again before the next reading is due."""
        mine.answer = None
        loop = asyncio.get_running_loop()
        if (left := mine.next_at - loop.time()) > 0:
            loop.call_later(left, self._forget_quiet, question, mine)
        elif self._questions.get(question) is mine:
            del self._questions[question]

    def _forget_quiet(self, question: Question, mine: _Readings) -> None:
        if not mine.asking and self._questions.get(question) is mine:
            del self._questions[question]


async def _read(mine: _Readings, make: Callable[[], Awaitable[Response]], longest_pause_s: float) -> None:
    time = asyncio.get_running_loop().time
    if (pause := mine.next_at - time()) > 0:
        await asyncio.sleep(pause)
    began = time()
    mine.begun += 1
    number = mine.begun
    answer = await make()
    mine.answer, mine.answered = answer, number
    mine.next_at = time() + min(longest_pause_s, PAUSE_FACTOR * (time() - began))
