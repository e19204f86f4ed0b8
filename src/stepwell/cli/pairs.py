"""What belongs together of two lists, A and B: by the rule that the dashboard has for two instances."""

from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def paired(ours: Mapping[K, V], theirs: Mapping[K, V]) -> Iterator[tuple[K, V | None, V | None]]:
    """Yield each key of either, in the order of A, with what both have of it; what B alone has stands where it came."""
    only_in_b = [(place, key) for place, key in enumerate(theirs) if key not in ours]
    places = {key: place for place, key in enumerate(theirs)}
    for key, value in ours.items():
        while only_in_b and only_in_b[0][0] < places.get(key, 0):
            other = only_in_b.pop(0)[1]
            yield other, None, theirs[other]
        yield key, value, theirs.get(key)
    for _, key in only_in_b:
        yield key, None, theirs[key]


def only_in(a: object, b: object) -> list[str]:
    """Say which of two is the only one that is there; nothing if both are."""
    if a is None:
        return ["only in B"]
    return ["only in A"] if b is None else []
