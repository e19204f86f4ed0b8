"""A graph in the DOT language, for Graphviz and what else reads it.

A label is a quoted text, in which a backslash and an ampersand begin escapes: both are written as themselves.
Groups are clusters. An arrow of a group leads to its frame, which DOT says by a node in it and the frame's name.

Source: graphviz.org/doc/info/lang.html, graphviz.org/docs/attr-types/escString/
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from stepwell.graph.marks import Mark
from stepwell.graph.nodes import Graph
from stepwell.graph.outline import Group, Item, Lane, Look, Part, outline_of
from stepwell.graph.texts import shortened, visible

_LONGEST = 160
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
_HEAD = (
    "digraph workflow {",
    "  compound=true; ranksep=0.7",
    '  graph [fontname="Helvetica", fontsize=11, color="#64748b"]',
    '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=12]',
    '  edge [color="#64748b"]',
)
_SHAPES = {
    Look.START: 'style="rounded,bold"',
    Look.CHILD: "peripheries=2",
    Look.SLEEP: 'style="rounded,dashed"',
    Look.WAIT: 'style="rounded,dotted"',
    Look.CALL: "peripheries=2",
    Look.END: "shape=oval",
    Look.MORE: 'style="rounded,dotted"',
    Look.STOP: 'shape=circle, width=0.2, style=filled, fillcolor="#64748b"',
}
# A cluster has what is not said of it from the one round it.
_FRAME = 'style=solid; color="#64748b"'
_FRAMES = {Look.LOOP: 'style=dashed; color="#64748b"', Look.PARALLEL: 'style=solid; color="#1d4ed8"'}
_NOTHING = Item(Look.MORE, "nothing")


def dot(graph: Graph, marks: Mapping[str, Mark] | None = None) -> str:
    """Return a graph as the source of a drawing. `marks` say of nodes, by key, how they stand."""
    outline = outline_of(graph)
    writer = _Writer(marks or {})
    writer.lane(outline.run, "  ")
    for helper in outline.helpers:
        writer.part(helper, "  ")
    remarks = [f"// {shortened(remark, _LONGEST)}" for remark in outline.remarks]
    return "\n".join([*remarks, *_HEAD, *writer.lines, *writer.edges, "}", ""])


class _Ends(NamedTuple):
    """Where arrows to a part end and those from it begin: a node, and the cluster round it that is meant, if one is."""

    first: str
    head: str
    last: str
    tail: str


class _Writer:
    """Writes parts, each with an id of its own. Arrows come last: there they put no node into a cluster."""

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self.lines: list[str] = []
        self.edges: list[str] = []
        self._marks = marks
        self._count = 0

    def part(self, part: Part, indent: str) -> _Ends:
        """Write a part; return where its arrows are."""
        return self._item(part, indent) if isinstance(part, Item) else self._group(part, indent)

    def lane(self, lane: Lane, indent: str) -> _Ends:
        """Write the parts of a lane, and arrows from each to the next."""
        parts = lane.parts or (_NOTHING,)
        ends = [self.part(part, indent) for part in parts]
        for (above, before), (_, after) in pairwise(zip(parts, ends, strict=True)):
            if above.goes_on:
                self._link(before, after)
        return _Ends(ends[0].first, ends[0].head, ends[-1].last, ends[-1].tail)

    def _item(self, item: Item, indent: str) -> _Ends:
        id = self._new_id()
        texts = (item.name, *item.details, *self._mark(item.key))
        shape = f", {_SHAPES[item.look]}" if item.look in _SHAPES else ""
        self.lines.append(f"{indent}{id} [label={_label(texts)}{shape}]")
        return _Ends(id, "", id, "")

    def _group(self, group: Group, indent: str) -> _Ends:
        texts = (group.head or group.look, *group.details, *self._mark(group.key))
        cluster = self._begin(texts, _FRAMES.get(group.look, _FRAME), indent)
        ends = [self._lane(lane, f"{indent}  ") for lane in [*group.lanes] or [Lane(())]]
        self.lines.append(f"{indent}}}")
        for before, after in group.links:
            self._link(ends[before], ends[after])
        return _Ends(ends[0].first, cluster, ends[-1].last, cluster)

    def _lane(self, lane: Lane, indent: str) -> _Ends:
        """Write a lane, in a frame if it needs one."""
        if not lane.is_framed:
            return self.lane(lane, indent)
        cluster = self._begin((lane.head or "branch",), _FRAME, indent)
        ends = self.lane(lane, f"{indent}  ")
        self.lines.append(f"{indent}}}")
        return _Ends(ends.first, cluster, ends.last, cluster)

    def _begin(self, texts: Sequence[str], frame: str, indent: str) -> str:
        cluster = f"cluster_{self._new_id()}"
        self.lines += [f"{indent}subgraph {cluster} {{", f"{indent}  label={_label(texts)}", f"{indent}  {frame}"]
        return cluster

    def _link(self, before: _Ends, after: _Ends) -> None:
        frames = [f"{name}={cluster}" for name, cluster in (("ltail", before.tail), ("lhead", after.head)) if cluster]
        said = " [{}]".format(", ".join(frames)) if frames else ""
        self.edges.append(f"  {before.last} -> {after.first}{said}")

    def _mark(self, key: str) -> Iterable[str]:
        mark = self._marks.get(key) if key else None
        return () if mark is None else (f"[{visible(str(mark))}]",)

    def _new_id(self) -> str:
        self._count += 1
        return f"n{self._count}"


def _label(texts: Iterable[str]) -> str:
    return '"{}"'.format("\\n".join(shortened(text, _LONGEST).translate(_ESCAPES) for text in texts))
