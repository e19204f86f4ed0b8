"""A graph as an indented tree of lines, for terminals and for who does not see a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from stepwell.graph.nodes import Graph
from stepwell.graph.outline import Group, Item, Lane, Look, Part, outline_of
from stepwell.graph.texts import shortened

# Longer texts lack their middle.
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a tree is drawn with: before one that others follow, before the last one, and below each of them."""

    one: str = "├─ "
    last: str = "└─ "
    below_one: str = "│  "
    below_last: str = "   "


_LINES = _Pieces()
_ASCII = _Pieces("|- ", "`- ", "|  ")


@dataclass(frozen=True, slots=True)
class _Twig:
    text: str
    twigs: tuple["_Twig", ...] = ()


def tree(graph: Graph, *, is_ascii: bool = False) -> Iterator[str]:
    """Yield the lines of a graph's tree: of `run`, then of the helpers on their own, then the remarks.

    Branches of an if or a try stand below each other, as in the code. `is_ascii`: lines are drawn with ASCII; names
    are as they are.
    """
    outline = outline_of(graph)
    pieces = _ASCII if is_ascii else _LINES
    start, *parts = outline.run.parts
    roots = [replace(twig, twigs=_twigs(parts)) for twig in _of_part(start)]
    roots += [twig for helper in outline.helpers for twig in _of_part(helper)]
    for number, root in enumerate(roots):
        if number:
            yield ""
        yield root.text
        yield from _drawn(root.twigs, pieces, "")
    if outline.remarks:
        yield ""
    yield from (shortened(remark, _LONGEST) for remark in outline.remarks)


def _drawn(twigs: Sequence[_Twig], pieces: _Pieces, indent: str) -> Iterator[str]:
    for number, twig in enumerate(twigs, 1):
        is_last = number == len(twigs)
        yield f"{indent}{pieces.last if is_last else pieces.one}{twig.text}"
        yield from _drawn(twig.twigs, pieces, indent + (pieces.below_last if is_last else pieces.below_one))


def _twigs(parts: Sequence[Part]) -> tuple[_Twig, ...]:
    return tuple(twig for part in parts for twig in _of_part(part))


def _of_part(part: Part) -> Iterator[_Twig]:
    if isinstance(part, Group):
        yield from _of_group(part)
    elif part.look is not Look.STOP:
        yield _Twig(_line(part.name, part.details))


def _of_group(group: Group) -> Iterator[_Twig]:
    """Yield a twig with the lanes, or the lanes alone where nothing is above them."""
    twigs = tuple(_of_lanes(group))
    if group.head or group.details:
        yield _Twig(_line(group.head, group.details), twigs)
    else:
        yield from twigs


def _of_lanes(group: Group) -> Iterator[_Twig]:
    lanes = list(group.lanes)
    befores: dict[int, list[str]] = {}
    for before, after in group.links:
        befores.setdefault(after, []).append(_name(lanes[before]))
    for number, lane in enumerate(lanes):
        twigs = _twigs(lane.parts)
        if lane.is_framed:
            twigs = (_Twig(shortened(lane.head or "branch", _LONGEST), twigs),)
        if number in befores and twigs:
            waiting = f"{twigs[0].text}  after {', '.join(befores[number])}"
            twigs = (replace(twigs[0], text=waiting), *twigs[1:])
        yield from twigs


def _name(lane: Lane) -> str:
    """Return what a lane is called for which others wait."""
    first = lane.parts[0] if lane.parts else None
    return shortened(first.name if isinstance(first, Item) else first.head if first else lane.head, _LONGEST)


def _line(name: str, details: Sequence[str]) -> str:
    told = ", ".join(shortened(detail, _LONGEST) for detail in details)
    return f"{shortened(name, _LONGEST)}  {told}".rstrip()
