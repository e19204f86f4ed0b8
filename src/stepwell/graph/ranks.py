"""Which of the branches of a parallel group stand above others, as these wait for them."""

from collections.abc import Sequence
from typing import NamedTuple


class Order(NamedTuple):
    """Branches by rank, as places in what was given; and pairs of places in the ranks, written one after the other.

    The second of a pair waits for the first.
    """

    ranks: tuple[tuple[int, ...], ...]
    links: tuple[tuple[int, int], ...]


def ranked(branches: Sequence[tuple[str, Sequence[str]]]) -> Order:
    """Rank branches, of which each has a key and the keys of those that it waits for.

    A rank is the longest path to it. Keys of others are passed over, and so are those that would close a ring.
    """
    places = {key: at for at, (key, _) in enumerate(branches) if key}
    waits = [sorted({places[key] for key in keys if key in places} - {at}) for at, (_, keys) in enumerate(branches)]
    rank = _longest_paths(waits)
    ranks: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for at, its_rank in enumerate(rank):
        ranks[its_rank].append(at)
    order = [at for row in _untangled(ranks, waits) for at in row]
    written = {at: number for number, at in enumerate(order)}
    links = ((before, at) for at, befores in enumerate(waits) for before in befores if rank[before] < rank[at])
    return Order(tuple(map(tuple, ranks)), tuple(sorted((written[before], written[at]) for before, at in links)))


def _longest_paths(waits: Sequence[Sequence[int]]) -> list[int]:
    followers: list[list[int]] = [[] for _ in waits]
    for at, befores in enumerate(waits):
        for before in befores:
            followers[before].append(at)
    missing = [len(befores) for befores in waits]
    rank = [0] * len(waits)
    ready = [at for at, count in enumerate(missing) if not count]
    while ready:
        before = ready.pop()
        for at in followers[before]:
            rank[at] = max(rank[at], rank[before] + 1)
            missing[at] -= 1
            if not missing[at]:
                ready.append(at)
    return rank


def _untangled(ranks: list[list[int]], waits: Sequence[Sequence[int]]) -> list[list[int]]:
    """Order each rank by where those stand that it waits for, so that fewer lines cross."""
    share: dict[int, float] = {}
    for row in ranks:
        row.sort(key=lambda at: _middle([share[before] for before in waits[at] if before in share]))
        share |= {at: (number + 0.5) / len(row) for number, at in enumerate(row)}
    return ranks


def _middle(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares) if shares else 0.5
