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
        self._named = [node for node in all_nodes(graph) if isinstance(node, Named)]
        self._literal: dict[tuple[str, str], list[Named]] = {}
        # Each with how much of a name it knows, and what it knows.
        self._patterns: list[tuple[int, Sequence[str], str, Named]] = []
        for node in self._named:
            for type in _types_of(node):
                if node.pattern is None:
                    self._literal.setdefault((type, node.name), []).append(node)
                else:
                    known = [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in node.pattern.split(".*")]
                    self._patterns.append((sum(map(len, known)), known, type, node))

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
        for node in self._named:
            self._states[node.key] = _of_entries(claimed.get(node.key, []))
        for held in all_nodes(self._graph):
            if not isinstance(held, Named | Break):
                within = {node.key: self._states[node.key] for node in self._within(held)}
                self._states[held.key] = _of_states(list(within.values()))
        return Overlay(self._states, others)

    def _nodes_of(self, type: str, base: str) -> list[Named]:
        """Return the nodes of a name; if there are none, those whose pattern says the most of it."""
        wanted = "step" if type == "rollback" else type
        literal = self._literal.get((wanted, base))
        if literal:
            return literal
        fitting = [(size, node) for size, known, kind, node in self._patterns if kind == wanted and _fits(known, base)]
        most = max((size for size, _ in fitting), default=0)
        return [node for size, node in fitting if size == most]

    def _within(self, node: AnyNode) -> Iterator[Named]:
        """Give the steps, sleeps and waits within a node, and within the helpers that are called there."""
        waiting, known = [node], set[str]()
        while waiting:
            one = waiting.pop()
            if isinstance(one, Named):
                yield one
            waiting.extend(children_of(one))
            if isinstance(one, FunctionCall) and one.name not in known and one.name in self._graph.functions:
                known.add(one.name)
                waiting.append(self._graph.functions[one.name])


def _fits(known: Sequence[str], name: str) -> bool:
    """Tell whether a name has these parts in this order, from end to end, and anything between them.

    As the pattern of a node says; but whatever that is, this takes no longer than a look at the name.
    """
    first, *middle, last = known
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


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
