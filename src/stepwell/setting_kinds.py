"""What a setting can be: a size, a duration, a word, and so on, each as data that reads what somebody wrote."""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from stepwell import durations, sizes, worker_user

# A longer text is no number of anything.
_LONGEST_TEXT = 40
_CORES, _LEAST_CORES = re.compile(r"\d{1,4}(?:\.\d{1,3})?"), 0.01
_USER = re.compile(r"[\w.$-]{1,64}(?::[\w.$-]{1,64})?", re.ASCII)

Value: TypeAlias = int | float | str


class Kind(Enum):
    """What a setting is a number of, or WORD, or USER: who somebody is on this machine."""

    SIZE = "bytes"
    COUNT = ""
    DURATION = "ms"
    CORES = "cores"
    WORD = "word"
    USER = "user"


class Setting(Struct, frozen=True):
    """What a setting is. `least` and `most` bound a number, `words` are all that a word may be.

    `source` is where its default is from; None: it is Stepwell's own.
    """

    kind: Kind
    meaning: str
    source: str | None = None
    least: int = 0
    most: int = 0
    words: Sequence[str] = ()

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        bounds = f"from {self.in_words(self.least)} to {self.in_words(self.most)}"
        match self.kind:
            case Kind.SIZE:
                return f"{sizes.EXPECTED}, {bounds}"
            case Kind.COUNT:
                return f"a whole number, {bounds}"
            case Kind.DURATION:
                return f"{durations.EXPECTED}, {bounds}"
            case Kind.CORES:
                return f"a number of cores such as 0.5 or 2, from {_LEAST_CORES:g} to {self.in_words(self.most)}, or 0"
            case Kind.WORD:
                return "one of " + ", ".join(self.words)
            case Kind.USER:
                return f"the name or number of a user, or USER:GROUP, or {worker_user.NONE}"

    def read(self, value: object) -> Value | None:
        """Return what somebody wrote as a value of this setting; None: it is none."""
        if self.kind is Kind.WORD:
            return value if isinstance(value, str) and value in self.words else None
        if self.kind is Kind.USER:
            return value if isinstance(value, str) and _USER.fullmatch(value) else None
        number = _READERS[self.kind](value)
        return number if number is not None and self.least <= number <= self.most else None

    def in_words(self, value: Value) -> str:
        """Return a value as people write it."""
        match self.kind:
            case Kind.SIZE:
                return sizes.in_words(int(value))
            case Kind.COUNT:
                return f"{value:,}"
            case Kind.DURATION:
                return durations.in_words(int(value))
            case Kind.CORES:
                return f"{value:,g}"
            case Kind.WORD | Kind.USER:
                return str(value)

    def exact(self, value: Value) -> str:
        """Return a value to the byte or millisecond."""
        return f"{value} {self.kind.value}" if self.kind in (Kind.SIZE, Kind.DURATION) else str(value)


def size(most: int, meaning: str, source: str | None = None) -> Setting:
    """Describe a size, of at most so many bytes."""
    # Less would not hold an empty value.
    return Setting(Kind.SIZE, meaning, source, 16, most)


def count(least: int, most: int, meaning: str, source: str | None = None) -> Setting:
    """Describe a whole number."""
    return Setting(Kind.COUNT, meaning, source, least, most)


def duration(least: int, most: int, meaning: str, source: str | None = None) -> Setting:
    """Describe a duration, in milliseconds."""
    return Setting(Kind.DURATION, meaning, source, least, most)


def word(words: Sequence[str], meaning: str, source: str | None = None) -> Setting:
    """Describe one word of several."""
    return Setting(Kind.WORD, meaning, source, words=words)


def _count_of(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    is_number = isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isascii() and value.isdecimal()
    return int(str(value)) if is_number else None


def _cores_of(value: object) -> float | None:
    # As it is written: so infinity is none, also in a file.
    if isinstance(value, bool) or not _CORES.fullmatch(str(value)):
        return None
    cores = float(str(value))
    # The kernel shares out no less.
    return cores if cores == 0 or cores >= _LEAST_CORES else None


_READERS: Mapping[Kind, Callable[[Any], int | float | None]] = {
    Kind.SIZE: sizes.to_bytes,
    Kind.COUNT: _count_of,
    Kind.CORES: _cores_of,
    Kind.DURATION: durations.to_ms,
}
