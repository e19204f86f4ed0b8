"""A graph as an indented tree of lines, for terminals and for who does not see a picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from stepwell.graph.marks import Mark
from stepwell.graph.nodes import Graph
from stepwell.graph.outline import Group, Item, Lane, Look, Part, outline_of
from stepwell.graph.texts import shortened, visible

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


def tree(graph: Graph, marks: Mapping[str, Mark] | None = None, *, is_ascii: bool = False) -> Iterator[str]:
    """Yield the lines of a graph's tree: of `run`, then of the helpers on their own, then the remarks.

    Branches of an if or a try stand below each other, as in the code. `marks` say of nodes, by key, how they stand.
    `is_ascii`: lines are drawn with ASCII; names are as they are.
    """
    outline = outline_of(graph)
    pieces, maker = _ASCII if is_ascii else _LINES, _Maker(marks or {})
    start, *parts = outline.run.parts
    roots = [replace(twig, twigs=maker.of_parts(parts)) for twig in maker.of_part(start)]
    roots += [twig for helper in outline.helpers for twig in maker.of_part(helper)]
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


class _Maker:
    """Makes the twigs of parts, with the marks that they have."""

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self._marks = marks

    def of_parts(self, parts: Sequence[Part]) -> tuple[_Twig, ...]:
        """Return the twigs of parts that follow each other."""
        return tuple(twig for part in parts for twig in self.of_part(part))

    def of_part(self, part: Part) -> Iterator[_Twig]:
        """Yield the twig of a part; of a group without a head, those of its lanes."""
        if isinstance(part, Item):
            if part.look is not Look.STOP:
                yield _Twig(self._line(part.name, part))
            return
        twigs = tuple(self._of_lanes(part))
        if part.head or part.details:
            yield _Twig(self._line(part.head, part), twigs)
        else:
            yield from twigs

    def _of_lanes(self, group: Group) -> Iterator[_Twig]:
        lanes = list(group.lanes)
        befores: dict[int, list[str]] = {}
        for before, after in group.links:
            befores.setdefault(after, []).append(_name(lanes[before]))
        for number, lane in enumerate(lanes):
            twigs = self.of_parts(lane.parts)
            if lane.is_framed:
                twigs = (_Twig(shortened(lane.head or "branch", _LONGEST), twigs),)
            if number in befores and twigs:
                waiting = f"{twigs[0].text}  after {', '.join(befores[number])}"
                twigs = (replace(twigs[0], text=waiting), *twigs[1:])
            yield from twigs

    def _line(self, name: str, part: Part) -> str:
        details = ", ".join(shortened(detail, _LONGEST) for detail in part.details)
        mark = self._marks.get(part.key) if part.key else None
        texts = (shortened(name, _LONGEST), details, f"[{visible(str(mark))}]" if mark else "")
        return "  ".join(text for text in texts if text)


def _name(lane: Lane) -> str:
    """Return what a lane is called for which others wait."""
    first = lane.parts[0] if lane.parts else None
    return shortened(first.name if isinstance(first, Item) else first.head if first else lane.head, _LONGEST)
