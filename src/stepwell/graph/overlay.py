"""What an instance has done of its graph: for each node the entries of the log that it stands for, and how they stand.

A node is found by the type and the name of an entry without its count. Nodes of the same name cannot be told apart, and
neither can the calls of a helper: each stands for the entries of all of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepwell.graph.nodes import (
    AnyNode,
    Break,
    FunctionCall,
    Graph,
    If,
    Named,
    StepDo,
    StepSleep,
    StepSleepUntil,
    StepWait,
    Switch,
    Try,
)

EntryType = Literal["step", "sleep", "waitForEvent", "rollback"]
EntryStatus = Literal["running", "waiting", "complete", "errored"]
NodeStatus = Literal["notReached", "running", "waiting", "complete", "errored"]

# Of many entries, the first of these that one of them has.
_TELLING: tuple[EntryStatus, ...] = ("running", "waiting", "errored", "complete")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the log: its name with its count, its type, and how it stands."""

    name: str
    type: EntryType
    status: EntryStatus

    @property
    def base(self) -> str:
        """Its name without its count."""
        return self.name.rpartition("-")[0]


@dataclass(slots=True)
class NodeState:
    """How a node stands: of a step how often it was called, of what holds steps how often the most called one was.

    `failed` counts the entries that ended with an error; `rollback` is how the rollbacks of a step stand.
    """

    status: NodeStatus = "notReached"
    runs: int = 0
    failed: int = 0
    entries: list[LogEntry] = field(default_factory=list)
    rollback: EntryStatus | None = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """How each node stands, by its key, and the entries that no node stands for."""

    states: dict[str, NodeState]
    others: list[LogEntry]


def lay_over(graph: Graph, entries: Sequence[LogEntry]) -> Overlay:
    """Return what the entries of a log say of the nodes of a graph."""
    return _Laying(graph, entries).overlay()


def children_of(node: AnyNode) -> Iterator[AnyNode]:
    """Give the nodes that a node holds, those of its branches and blocks as well."""
    match node:
        case If(branches=branches) | Switch(branches=branches):
            for branch in branches:
                yield from branch.nodes
        case Try(try_block=tried, catch_block=caught, finally_block=last):
            yield from (block for block in (tried, caught, last) if block is not None)
        case _:
            yield from getattr(node, "nodes", ())


def all_nodes(graph: Graph) -> Iterator[AnyNode]:
    """Give the nodes of a graph and of its helpers, each before those that it holds."""
    waiting: list[AnyNode] = [*graph.nodes, *graph.functions.values()]
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting[:0] = children_of(node)


class _Laying:
    def __init__(self, graph: Graph, entries: Sequence[LogEntry]) -> None:
        self._graph = graph
        self._entries = entries
        self._states: dict[str, NodeState] = {}
        self._under_way: set[str] = set()
        nodes = [node for node in all_nodes(graph) if isinstance(node, Named)]
        self._literal: dict[tuple[str, str], list[Named]] = {}
        self._patterns: list[tuple[int, re.Pattern[str], str, Named]] = []
        for node in nodes:
            for type in _types_of(node):
                if node.pattern is None:
                    self._literal.setdefault((type, node.name), []).append(node)
                else:
                    known = len(node.pattern.replace(".*", ""))
                    self._patterns.append((known, re.compile(node.pattern, re.DOTALL), type, node))

    def overlay(self) -> Overlay:
        claimed: dict[str, list[LogEntry]] = {}
        others: list[LogEntry] = []
        found: dict[tuple[str, str], list[Named]] = {}
        for entry in self._entries:
            called = (entry.type, entry.base)
            if called not in found:
                found[called] = self._nodes_of(*called)
            for node in found[called]:
                claimed.setdefault(node.key, []).append(entry)
            if not found[called]:
                others.append(entry)
        for top in (*self._graph.nodes, *self._graph.functions.values()):
            self._state(top, claimed)
        return Overlay(self._states, others)

    def _nodes_of(self, type: str, base: str) -> list[Named]:
        """Return the nodes of a name; if there are none, those whose pattern says the most of it."""
        wanted = "step" if type == "rollback" else type
        literal = self._literal.get((wanted, base))
        if literal:
            return literal
        fitting = [
            (known, node) for known, form, kind, node in self._patterns if kind == wanted and form.fullmatch(base)
        ]
        most = max((known for known, _ in fitting), default=0)
        return [node for known, node in fitting if known == most]

    def _state(self, node: AnyNode, claimed: dict[str, list[LogEntry]]) -> NodeState:
        if node.key in self._states:
            return self._states[node.key]
        if node.key in self._under_way or isinstance(node, Break):
            # A helper that calls itself adds nothing to itself; a way out has no entries.
            return NodeState()
        self._under_way.add(node.key)
        inner = [self._state(child, claimed) for child in self._inner(node)]
        self._under_way.discard(node.key)
        own = claimed.get(node.key, [])
        state = _of_entries(own) if isinstance(node, Named) else _of_states(inner)
        self._states[node.key] = state
        return state

    def _inner(self, node: AnyNode) -> Iterator[AnyNode]:
        if isinstance(node, FunctionCall):
            helper = self._graph.functions.get(node.name)
            return iter(() if helper is None else (helper,))
        return children_of(node)


def _types_of(node: Named) -> tuple[EntryType, ...]:
    match node:
        case StepDo(child=str()):
            # It is started by a step, and its end is waited for.
            return ("step", "waitForEvent")
        case StepDo():
            return ("step",)
        case StepSleep() | StepSleepUntil():
            return ("sleep",)
        case StepWait():
            return ("waitForEvent",)
        case _:
            return ()


def _of_entries(entries: Sequence[LogEntry]) -> NodeState:
    forward = [entry for entry in entries if entry.type != "rollback"]
    undone = [entry.status for entry in entries if entry.type == "rollback"]
    status = _most_telling([entry.status for entry in forward])
    return NodeState(
        status or "notReached",
        len({entry.name for entry in forward}),
        sum(entry.status == "errored" for entry in forward),
        list(entries),
        _most_telling(undone),
    )


def _of_states(states: Sequence[NodeState]) -> NodeState:
    statuses = [state.status for state in states]
    return NodeState(
        _most_telling([status for status in statuses if status != "notReached"]) or "notReached",
        max((state.runs for state in states), default=0),
        sum(state.failed for state in states),
    )


def _most_telling(statuses: Sequence[EntryStatus]) -> EntryStatus | None:
    return next((status for status in _TELLING if status in statuses), None)
