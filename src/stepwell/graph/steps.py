"""The steps, sleeps and waits of a graph, one after the other, with what the code says of each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepwell.graph import words
from stepwell.graph.nodes import (
    AnyNode,
    Block,
    FunctionDef,
    Graph,
    If,
    Loop,
    Named,
    Parallel,
    StepDo,
    StepSleep,
    StepSleepUntil,
    StepWait,
    Switch,
    Try,
)
from stepwell.graph.overlay import all_nodes
from stepwell.graph.texts import visible

# As logs call them.
_TYPES: Mapping[type[Named], str] = {
    StepDo: "step",
    StepSleep: "sleep",
    StepSleepUntil: "sleep",
    StepWait: "waitForEvent",
}


@dataclass(frozen=True, slots=True)
class CodeStep:
    """A step, a sleep or a wait: the type that logs have, its name, which of this name it is, and where it lies.

    `facts` are what is said of it, in words, by what they are about.
    """

    type: str
    name: str
    count: int
    facts: Mapping[str, str]
    place: str


def steps_of(graph: Graph) -> Iterator[CodeStep]:
    """Yield the steps of a graph as they come in its code: those of `run`, then those of each helper."""
    names = {node.key: visible(node.name) for node in all_nodes(graph) if isinstance(node, Named)}
    counts: Counter[tuple[str, str]] = Counter()
    left: list[tuple[tuple[str, ...], AnyNode]] = [((), node) for node in (*graph.nodes, *graph.functions.values())]
    while left:
        within, node = left.pop(0)
        if isinstance(node, Named):
            type = _TYPES[node.__class__]
            counts[type, node.name] += 1
            facts = dict(_facts(node, within, names))
            yield CodeStep(type, node.name, counts[type, node.name], facts, words.of_place(node.place))
        left[:0] = [((*within, head) if head else within, one) for head, inner in _inside(node) for one in inner]


def _facts(node: Named, within: Sequence[str], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is said of a step that is not the default."""
    match node:
        case StepDo():
            said = {
                "config": ", ".join(words.of_config(node.config)),
                "child": "" if node.child is None else f"child workflow {visible(node.child)}",
                "rollback": "rollback" if node.has_rollback else "",
                "after": ", ".join(names.get(key, key) for key in node.depends),
            }
        case StepSleep():
            said = {"until": f"sleeps {words.duration(node.duration)}"}
        case StepSleepUntil():
            said = {"until": f"sleeps until {visible(node.timestamp)}"}
        case StepWait():
            said = {"event": ", ".join(words.of_wait(node.options))}
        case _:
            raise AssertionError(f"{type(node).__name__} is no step")
    if said.get("after"):
        said["after"] = f"after {said['after']}"
    said["background"] = ", ".join(words.of_call(node.starts, node.resolves))
    said["place"] = f"in {', '.join(within)}" if within else ""
    yield from ((about, text) for about, text in said.items() if text)


def _inside(node: AnyNode) -> Iterator[tuple[str, Sequence[AnyNode]]]:
    """Yield the nodes that a node holds, below what their part of the code begins with."""
    match node:
        case If(branches=branches):
            for number, branch in enumerate(branches):
                yield words.condition("elif" if number else "if", branch.condition), branch.nodes
        case Switch(branches=branches):
            for branch in branches:
                yield f"match {visible(node.discriminant)} {words.condition('case', branch.condition)}", branch.nodes
        case Try():
            yield from _inside_try(node)
        case Loop() | Block():
            yield visible(node.label), node.nodes
        case Parallel():
            yield words.AT_THE_SAME_TIME[node.kind], node.nodes
        case FunctionDef():
            yield f"{visible(node.name)}()", node.nodes
        case StepDo():
            yield visible(node.name), node.nodes


def _inside_try(node: Try) -> Iterator[tuple[str, Sequence[AnyNode]]]:
    if node.try_block is not None:
        yield "try", node.try_block.nodes
    if node.catch_block is not None:
        # Several handlers are blocks in one, and each says for itself what it catches.
        are_several = all(isinstance(one, Block) for one in node.catch_block.nodes)
        yield visible(node.catch_block.label) or ("" if are_several else "except"), node.catch_block.nodes
    if node.finally_block is not None:
        yield "finally", node.finally_block.nodes
