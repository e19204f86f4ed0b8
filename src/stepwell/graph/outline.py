"""The outline of a graph: what is drawn, in any form, as items that follow each other in lanes, and groups of lanes.

A helper that is called once is part of the outline where it is called. One that is called more often, or that calls
itself, is a group of its own, beside that of `run`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from stepwell.graph import words
from stepwell.graph.nodes import (
    AnyNode,
    Block,
    Branch,
    Break,
    FunctionCall,
    FunctionDef,
    Graph,
    If,
    Loop,
    Node,
    Parallel,
    StepDo,
    StepSleep,
    StepSleepUntil,
    StepWait,
    Switch,
    Try,
)
from stepwell.graph.overlay import all_nodes
from stepwell.graph.ranks import ranked
from stepwell.graph.texts import visible

# Deeper nesting is not drawn: nobody could read it.
DEPTH = 24
# A helper that is called this deep, or deeper, is drawn on its own.
_IN_PLACE_ABOVE = 8


class Look(StrEnum):
    """As what something is drawn."""

    START = "start"
    STEP = "step"
    CHILD = "child"
    SLEEP = "sleep"
    WAIT = "wait"
    CALL = "call"
    END = "end"
    MORE = "more"
    STOP = "stop"
    LOOP = "loop"
    PARALLEL = "parallel"
    BRANCHES = "branches"
    TRY = "try"
    BLOCK = "block"
    HELPER = "helper"


# What is said before a name to who does not see the shape.
_SPOKEN = {
    Look.START: "workflow",
    Look.STEP: "step",
    Look.CHILD: "step",
    Look.SLEEP: "sleep",
    Look.WAIT: "wait",
    Look.CALL: "call of",
    Look.LOOP: "loop",
    Look.HELPER: "helper",
    Look.TRY: "try",
    Look.BRANCHES: "branches",
    Look.STOP: "end of the run",
}


@dataclass(frozen=True, slots=True)
class Item:
    """What has nothing in it. `name` and `details` are shown, `place` is where it lies in the source."""

    look: Look
    name: str
    details: tuple[str, ...] = ()
    key: str = ""
    place: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether what stands behind it can be reached from it."""
        return self.look is not Look.END


@dataclass(frozen=True, slots=True)
class Lane:
    """Parts one after the other, below a head if it is not empty. `is_framed`: it is told apart from its neighbours."""

    parts: tuple["Part", ...]
    head: str = ""
    is_framed: bool = False
    key: str = ""
    place: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether its end can be reached."""
        return all(part.goes_on for part in self.parts)


@dataclass(frozen=True, slots=True)
class Group:
    """Lanes, side by side in rows, below a head if it is not empty.

    `links` are pairs of lanes, counted over all rows, of which the second one waits for the first.
    """

    look: Look
    head: str
    rows: tuple[tuple[Lane, ...], ...]
    details: tuple[str, ...] = ()
    key: str = ""
    place: str = ""
    goes_on: bool = True
    links: tuple[tuple[int, int], ...] = ()

    @property
    def is_divided(self) -> bool:
        """Whether its lanes are those between which the code chooses: they share what they have of its place."""
        return self.look in {Look.BRANCHES, Look.TRY} and all(lane.is_framed for lane in self.lanes)

    @property
    def lanes(self) -> Iterator[Lane]:
        """All lanes, row by row."""
        return (lane for row in self.rows for lane in row)


Part = Item | Group


@dataclass(frozen=True, slots=True)
class Outline:
    """What is drawn of a graph: `run` with its start, the helpers that are groups of their own, and remarks."""

    name: str
    run: Lane
    helpers: tuple[Group, ...]
    remarks: tuple[str, ...]


def outline_of(graph: Graph) -> Outline:
    """Return the outline of a graph."""
    maker = _Maker(graph)
    start = Item(Look.START, visible(graph.class_name), words.of_payload(graph.payload))
    parts = maker.parts(graph.nodes, 0)
    stop = (Item(Look.STOP, ""),) if all(part.goes_on for part in parts) else ()
    run = Lane((start, *parts, *stop))
    return Outline(start.name, run, tuple(maker.left()), tuple(map(visible, graph.remarks)))


def said(part: Part | Lane) -> str:
    """Return all that is shown of a part, and its place, in words: for who does not see its shape."""
    if isinstance(part, Lane):
        texts = [part.head or "branch"]
    else:
        name = part.name if isinstance(part, Item) else part.head
        texts = [f"{_SPOKEN.get(part.look, '')} {name}".strip() or part.look, *part.details]
    return ", ".join(text for text in (*texts, part.place) if text)


class _Maker:
    """Makes the parts of a graph. Helpers that are part of others are remembered."""

    def __init__(self, graph: Graph) -> None:
        self._helpers = graph.functions
        self._calls = Counter(node.name for node in all_nodes(graph) if isinstance(node, FunctionCall))
        self._drawn: set[str] = set()

    def parts(self, nodes: Iterable[AnyNode], depth: int) -> tuple[Part, ...]:
        """Return the parts of nodes that follow each other, so deep in others."""
        return tuple(self._part(node, depth) for node in nodes)

    def left(self) -> Iterator[Group]:
        """Yield the helpers that are part of nothing so far."""
        for name, helper in self._helpers.items():
            if name not in self._drawn:
                self._drawn.add(name)
                yield self._helper(helper, 0)

    def _part(self, node: AnyNode, depth: int) -> Part:
        item = _item(node)
        if isinstance(node, FunctionCall):
            return self._call(node, depth)
        if item is not None:
            return item
        if depth >= DEPTH:
            return Item(Look.MORE, "nested deeper than is drawn", key=node.key, place=words.of_place(node.place))
        return self._group(node, depth + 1)

    def _call(self, node: FunctionCall, depth: int) -> Part:
        helper = self._helpers.get(node.name)
        details = words.of_call(node.starts, node.resolves)
        in_place = self._calls[node.name] == 1 and depth < _IN_PLACE_ABOVE
        if helper is None or node.name in self._drawn or not in_place:
            return Item(Look.CALL, f"{visible(node.name)}()", details, node.key, words.of_place(node.place))
        self._drawn.add(node.name)
        return self._helper(helper, depth + 1, details)

    def _helper(self, node: FunctionDef, depth: int, details: tuple[str, ...] = ()) -> Group:
        lane = Lane(self.parts(node.nodes, depth))
        place = words.of_place(node.place)
        return Group(Look.HELPER, f"{visible(node.name)}()", ((lane,),), details, node.key, place)

    def _group(self, node: AnyNode, depth: int) -> Group:
        match node:
            case Parallel():
                return self._parallel(node, depth)
            case If():
                return self._branches(node, "", ("if", "elif"), node.branches, depth)
            case Switch():
                head = f"match {visible(node.discriminant)}"
                return self._branches(node, head, ("case", "case"), node.branches, depth)
            case Try():
                return self._try(node, depth)
            case FunctionDef():
                return self._helper(node, depth)
            case StepDo():
                return self._one_lane(_step(node), node.nodes, depth)
            case Loop() | Block():
                look = Look.LOOP if isinstance(node, Loop) else Look.BLOCK
                item = Item(look, visible(node.label), (), node.key, words.of_place(node.place))
                return self._one_lane(item, node.nodes, depth)
            case _:
                raise AssertionError(f"{type(node).__name__} is an item")

    def _one_lane(self, item: Item, nodes: Sequence[AnyNode], depth: int) -> Group:
        lane = Lane(self.parts(nodes, depth))
        goes_on = item.look is not Look.BLOCK or lane.goes_on
        return Group(item.look, item.name, ((lane,),), item.details, item.key, item.place, goes_on)

    def _parallel(self, node: Parallel, depth: int) -> Group:
        order = ranked([(one.key, one.depends if isinstance(one, StepDo) else ()) for one in node.nodes])
        rows = tuple(tuple(self._lane_of(node.nodes[at], depth) for at in rank) for rank in order.ranks)
        head = words.AT_THE_SAME_TIME[node.kind]
        place = words.of_place(node.place)
        return Group(Look.PARALLEL, head, rows, (), node.key, place, links=order.links)

    def _lane_of(self, node: AnyNode, depth: int) -> Lane:
        if not isinstance(node, Block):
            return Lane((self._part(node, depth),))
        lane = self._block(node, "", depth)
        # One part alone needs no frame to be told apart.
        return lane if lane.head or len(lane.parts) != 1 else replace(lane, is_framed=False)

    def _block(self, block: Block, head: str, depth: int) -> Lane:
        parts = self.parts(block.nodes, depth)
        return Lane(parts, visible(block.label) or head, True, block.key, words.of_place(block.place))

    def _branches(self, node: Node, head: str, begin: tuple[str, str], branches: Sequence[Branch], depth: int) -> Group:
        # An else in which nothing is drawn says no more than none.
        shown = [branch for branch in branches if branch.condition is not None or branch.nodes] or branches
        lanes = tuple(
            Lane(
                self.parts(branch.nodes, depth),
                words.condition(begin[min(place, 1)], branch.condition),
                is_framed=True,
            )
            for place, branch in enumerate(shown)
        )
        goes_on = any(lane.goes_on for lane in lanes) or all(branch.condition is not None for branch in shown)
        place = words.of_place(node.place)
        if len(lanes) == 1 and not head:
            head, lanes = lanes[0].head, (Lane(lanes[0].parts),)
        return Group(Look.BRANCHES, head, (lanes,), (), node.key, place, goes_on)

    def _try(self, node: Try, depth: int) -> Group:
        handlers = _handlers(node.catch_block)
        beside = [self._block(block, head, depth) for block, head in _headed(node.try_block, handlers)]
        last = [self._block(node.finally_block, "finally", depth)] if node.finally_block else []
        goes_on = any(lane.goes_on for lane in beside) and all(lane.goes_on for lane in last)
        rows = tuple(tuple(row) for row in (beside, last) if row)
        return Group(Look.TRY, "", rows, (), node.key, words.of_place(node.place), goes_on)


def _handlers(caught: Block | None) -> Sequence[Block]:
    """Return the handlers of a try statement: several are blocks in the one that Cloudflare's form has room for."""
    if caught is None:
        return ()
    several = [node for node in caught.nodes if isinstance(node, Block)]
    return several if several and len(several) == len(caught.nodes) else (caught,)


def _headed(tried: Block | None, handlers: Sequence[Block]) -> Iterator[tuple[Block, str]]:
    if tried is not None:
        yield tried, "try"
    yield from ((handler, "except") for handler in handlers)


def _item(node: AnyNode) -> Item | None:
    """Return the item of a node that has nothing in it; None: it has."""
    place = words.of_place(node.place)
    match node:
        case StepDo(nodes=()):
            return _step(node)
        case StepSleep():
            details = (f"sleeps {words.duration(node.duration)}", *words.of_call(node.starts, node.resolves))
            return Item(Look.SLEEP, visible(node.name), details, node.key, place)
        case StepSleepUntil():
            details = (f"sleeps until {visible(node.timestamp)}", *words.of_call(node.starts, node.resolves))
            return Item(Look.SLEEP, visible(node.name), details, node.key, place)
        case StepWait():
            details = (*words.of_wait(node.options), *words.of_call(node.starts, node.resolves))
            return Item(Look.WAIT, visible(node.name), details, node.key, place)
        case Break():
            return Item(Look.END, visible(node.word or node.kind), (), node.key, place)
        case _:
            return None


def _step(node: StepDo) -> Item:
    child = () if node.child is None else (f"child workflow {visible(node.child)}",)
    undone = ("rollback",) if node.has_rollback else ()
    details = (*child, *words.of_config(node.config), *undone, *words.of_call(node.starts, node.resolves))
    look = Look.STEP if node.child is None else Look.CHILD
    return Item(look, visible(node.name), details, node.key, words.of_place(node.place))
