"""Answers about instances, kept encoded while nothing changes.

Each is kept with the instance's row as it was then, and is the answer as long as the store has the very same row:
records are only added, and each addition raises the row's seq. So nothing is answered from here before the store has
been asked. What has changed is replaced when it is asked for again; what nobody asks for any more goes first.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec import Struct

from stepwell.api.paging import StepPage
from stepwell.limits import KEPT_ANSWERS_BYTES
from stepwell.store.operations import InstanceRow

# What an answer takes besides its body, with the longest names: its row, its question, and their places (measured).
ANSWER_BYTES = 2_560


class InstanceQuestion(NamedTuple):
    """Which instance a caller asks about, and in which form he wants the answer."""

    account: str
    workflow: str
    instance: str
    with_steps: bool
    page: StepPage


class InstanceAnswer(Struct, frozen=True):
    """What is answered, and the row that it was made of."""

    row: InstanceRow
    body: bytes


class KeptAnswers:
    """The answers that were asked for last, up to a number of bytes."""

    def __init__(self, most_bytes: int = KEPT_ANSWERS_BYTES) -> None:
        self.size = 0
        self._most_bytes = most_bytes
        # In the order in which they were asked for.
        self._answers: OrderedDict[InstanceQuestion, InstanceAnswer] = OrderedDict()

    def find(self, question: InstanceQuestion) -> InstanceAnswer | None:
        """Return the last answer to a question, if it is still kept."""
        answer = self._answers.get(question)
        if answer is not None:
            self._answers.move_to_end(question)
        return answer

    def keep(self, question: InstanceQuestion, answer: InstanceAnswer) -> None:
        """Keep an answer instead of the one before it, unless it is larger than all may be together."""
        self._drop(question)
        size = _size(answer)
        if size > self._most_bytes:
            return
        while self.size + size > self._most_bytes:
            self._drop(next(iter(self._answers)))
        self._answers[question] = answer
        self.size += size

    def _drop(self, question: InstanceQuestion) -> None:
        dropped = self._answers.pop(question, None)
        if dropped is not None:
            self.size -= _size(dropped)


def _size(answer: InstanceAnswer) -> int:
    return len(answer.body) + ANSWER_BYTES
