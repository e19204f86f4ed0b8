"""A graph as lines of text: what golden tests compare."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwell.graph.nodes import (
    AnyNode,
    Block,
    Break,
    Called,
    FunctionCall,
    Graph,
    If,
    Loop,
    Named,
    Parallel,
    Shape,
    StepDo,
    StepSleep,
    StepSleepUntil,
    StepWait,
    Switch,
    Try,
)
from stepwell.graph.overlay import children_of

_USUAL = (5, 10_000, "exponential", "10 minutes")


def outline(graph: Graph) -> str:
    """Return a graph as text: a line for each node, what it holds beneath it, with its key and its line."""
    lines = [] if graph.payload is None else [f"payload {_shape(graph.payload)}"]
    lines += _nodes(graph.nodes, 0)
    for name, function in graph.functions.items():
        lines += [f"def {name}", *_nodes(function.nodes, 1)]
    return "\n".join([*lines, *(f"! {remark}" for remark in graph.remarks)]) + "\n"


def _nodes(nodes: Sequence[AnyNode], depth: int) -> Iterator[str]:
    for node in nodes:
        place = "" if node.place is None else f" @{node.place.line}"
        yield "  " * depth + f"{node.key} {_head(node)}{_begun(node)}{place}"
        if isinstance(node, If | Switch):
            for branch in node.branches:
                yield "  " * depth + f"| {branch.condition or 'else'}"
                yield from _nodes(branch.nodes, depth + 1)
        else:
            yield from _nodes(list(children_of(node)), depth + 1)


def _head(node: AnyNode) -> str:
    match node:
        case Named():
            return _named(node)
        case Loop(label=label):
            return f"loop {label}"
        case Parallel(kind=kind):
            return f"parallel {kind}"
        case Block(label=label):
            return f"block {label}".rstrip()
        case Try():
            return "try"
        case If():
            return "if"
        case Switch(discriminant=text):
            return f"switch {text}"
        case _:
            return _way(node)


def _way(node: AnyNode) -> str:
    match node:
        case FunctionCall(name=name):
            return f"call {name}"
        case Break(kind=kind, word=word):
            return f"{kind} {word}"
        case _:
            raise AssertionError(node)


def _named(node: Any) -> str:
    pattern = "" if node.pattern is None else f" /{node.pattern}/"
    match node:
        case StepDo(config=config, depends=depends, has_rollback=has_rollback, child=child):
            its = (config.retries.limit, config.retries.delay, config.retries.backoff, config.timeout)
            more = "" if its == _USUAL else f" {its}"
            more += f" after {', '.join(depends)}" if depends else ""
            more += " with rollback" if has_rollback else ""
            more += f" of {child}" if child else ""
            return f"step {node.name!r}{pattern}{more}"
        case StepSleep(duration=duration):
            return f"sleep {node.name!r}{pattern} for {duration!r}"
        case StepSleepUntil(timestamp=timestamp):
            return f"sleep {node.name!r}{pattern} until {timestamp}"
        case StepWait(options=options, payload=payload):
            what = "" if options is None else f" for {options.event_type!r}, {options.timeout!r}"
            return f"wait {node.name!r}{pattern}{what}" + ("" if payload is None else f" {_shape(payload)}")
    raise AssertionError(node)


def _begun(node: AnyNode) -> str:
    if not isinstance(node, Called) or node.starts is None:
        return ""
    return f" [{node.starts}-{'' if node.resolves is None else node.resolves}]"


def _shape(shape: Shape) -> str:
    if shape.fields is None:
        return "?"
    return "{" + ", ".join(f"{name}: {_shape(inner)}" for name, inner in shape.fields.items()) + "}"
