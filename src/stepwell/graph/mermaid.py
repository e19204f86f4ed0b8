"""A graph as a flowchart of Mermaid, for documents that draw it themselves.

A label is a quoted text. Whatever could be more than text in it is written as the number of its character.

Source: mermaid.js.org/syntax/flowchart.html, "Entity codes to escape characters"
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from stepwell.graph.nodes import Graph
from stepwell.graph.outline import Group, Item, Lane, Look, Part, outline_of
from stepwell.graph.texts import shortened

_LONGEST = 160
_SHAPES = {
    Look.START: ("([", "])"),
    Look.SLEEP: ("([", "])"),
    Look.WAIT: ("{{", "}}"),
    Look.CALL: ("[[", "]]"),
    Look.CHILD: ("[[", "]]"),
    Look.END: ("([", "])"),
    Look.STOP: ("((", "))"),
}
_BOX = ("[", "]")
_CLASSES = (
    "classDef sleep stroke-dasharray: 6 4",
    "classDef wait stroke-dasharray: 2 4",
    "classDef loop stroke-dasharray: 7 4",
)
_CLASSED = {Look.SLEEP, Look.WAIT, Look.LOOP}

# All but what is text everywhere; Mermaid reads labels as Markdown, too: `_` outside of words, and starts of lists.
_SPECIAL = re.compile(r"[^\w ,()={}'+-]|(?<![^\W_])_|_(?![^\W_])|^[-+]|^\d(?=\d*\))")


def mermaid(graph: Graph) -> str:
    """Return a graph as the source of a flowchart."""
    outline = outline_of(graph)
    writer = _Writer()
    writer.lane(outline.run, "  ")
    for helper in outline.helpers:
        writer.part(helper, "  ")
    remarks = [f"%% {_plain(remark)}" for remark in outline.remarks]
    return "\n".join([*remarks, "flowchart TD", *writer.lines, *(f"  {line}" for line in _CLASSES), ""])


class _Writer:
    """Writes parts, each with an id of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def part(self, part: Part, indent: str) -> str:
        """Write a part; return its id."""
        return self._item(part, indent) if isinstance(part, Item) else self._group(part, indent)

    def lane(self, lane: Lane, indent: str) -> list[str]:
        """Write the parts of a lane, and arrows from each to the next; return their ids."""
        ids = [self.part(part, indent) for part in lane.parts]
        for (above, above_id), (_, below_id) in pairwise(zip(lane.parts, ids, strict=True)):
            if above.goes_on:
                self.lines.append(f"{indent}{above_id} --> {below_id}")
        return ids

    def _item(self, item: Item, indent: str) -> str:
        begin, end = _SHAPES.get(item.look, _BOX)
        id = self._new_id()
        self.lines.append(f"{indent}{id}{begin}{_label((item.name, *item.details))}{end}{_class(item.look)}")
        return id

    def _group(self, group: Group, indent: str) -> str:
        id = self._begin((group.head or group.look, *group.details), indent)
        inner = f"{indent}  "
        ids = [self._lane(lane, inner) for lane in group.lanes]
        self.lines += [f"{inner}{ids[before]} --> {ids[after]}" for before, after in group.links]
        self.lines.append(f"{indent}end")
        if group.look in _CLASSED:
            self.lines.append(f"{indent}class {id} {group.look}")
        return id

    def _lane(self, lane: Lane, indent: str) -> str:
        """Write a lane, in a frame if it needs one; return the id of what others are linked with."""
        if not lane.is_framed:
            ids = self.lane(lane, indent)
            return ids[0] if ids else self._item(Item(Look.MORE, "nothing"), indent)
        id = self._begin((lane.head or "branch",), indent)
        if not self.lane(lane, f"{indent}  "):
            self._item(Item(Look.MORE, "nothing"), f"{indent}  ")
        self.lines.append(f"{indent}end")
        return id

    def _begin(self, texts: Sequence[str], indent: str) -> str:
        id = self._new_id()
        self.lines.append(f"{indent}subgraph {id}[{_label(texts)}]")
        return id

    def _new_id(self) -> str:
        self._count += 1
        return f"n{self._count}"


def _label(texts: Sequence[str]) -> str:
    return f'"{"<br/>".join(_plain(shortened(text, _LONGEST)) for text in texts) or " "}"'


def _class(look: Look) -> str:
    return f":::{look}" if look in _CLASSED else ""


def _plain(text: str) -> str:
    """Return a text of which Mermaid makes nothing but text."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
