"""Sizes as people write them: a number of bytes, or `"4 MiB"`."""

import re
from fractions import Fraction

KIB, MIB, GIB = 2**10, 2**20, 2**30
_UNITS = {"GiB": GIB, "MiB": MIB, "KiB": KIB, "GB": 10**9, "MB": 10**6, "kB": 10**3}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([a-zA-Z]*)", re.ASCII)
_BYTES = {"": 1, "b": 1, "byte": 1, "bytes": 1, **{unit.lower(): size for unit, size in _UNITS.items()}}
# A longer text is no size of anything.
_LONGEST_TEXT = 40

EXPECTED = 'a number of bytes or a size such as "4 MiB"'


def to_bytes(size: object) -> int | None:
    """Return a size in bytes, or None if it is not one, or no whole number of them."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    found = _SIZE.fullmatch(size) if isinstance(size, str) and len(size) <= _LONGEST_TEXT else None
    unit = _BYTES.get(found[2].lower()) if found else None
    if found is None or unit is None:
        return None
    count = Fraction(found[1]) * unit
    return int(count) if count.denominator == 1 else None


def in_words(size: int) -> str:
    """Return a size as people write it, in the largest unit of which it is a whole number."""
    for unit, bytes_of_it in _UNITS.items():
        if size and size % bytes_of_it == 0:
            return f"{size // bytes_of_it:,} {unit}"
    return f"{size:,} bytes"
