"""Expressions: their calls become drafts in the order in which Python makes them."""

import ast
from collections.abc import Sequence

from stepwell.graph import lookups
from stepwell.graph.calls import call, store
from stepwell.graph.frames import Frame
from stepwell.graph.meanings import (
    Arguments,
    Coroutine,
    Function,
    Many,
    Meaning,
    Task,
    elements,
    held,
    members,
    together,
)
from stepwell.graph.naming import text_of
from stepwell.graph.nodes import If, Loop
from stepwell.graph.parallel import loop_later

_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


def visit(frame: Frame, node: ast.expr | None) -> Meaning | None:
    """Make the drafts of an expression, and return what it means."""
    frame.reading.visit()
    match node:
        case None | ast.Constant():
            return None
        case ast.Name(id=name):
            return frame.lookup(name)
        case ast.Await(value=value):
            return frame.run(visit(frame, value))
        case ast.Call():
            return _call(frame, node)
        case ast.Attribute() | ast.Subscript() | ast.Starred() | ast.Lambda() | ast.NamedExpr():
            return _part(frame, node)
        case ast.IfExp() | ast.BoolOp():
            return _conditional(frame, node)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return _comprehension(frame, node)
        case _:
            return _container(frame, node)


def bind(frame: Frame, target: ast.expr, meaning: Meaning | None, expression: ast.expr | None = None) -> None:
    """Let a target of an assignment, a loop or a `with` mean something."""
    match target:
        case ast.Name(id=name):
            frame.bind(name, meaning, expression)
        case ast.Starred(value=value):
            bind(frame, value, meaning)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            parts: Sequence[Meaning | None] = [meaning if _is_one(meaning) else None] * len(targets)
            if isinstance(meaning, Many) and len(meaning.members) == len(targets):
                parts = meaning.members
            for one, part in zip(targets, parts, strict=True):
                bind(frame, one, part)
        case _:
            store(frame, target, meaning)


def settle(frame: Frame, node: ast.AST, meaning: Meaning | None) -> None:
    """Take note that nobody keeps what an expression gives."""
    for one in members(meaning):
        if isinstance(one, Coroutine) and not one.is_used:
            frame.fill(one, node)


def _is_one(meaning: Meaning | None) -> bool:
    """Tell whether each part of something unpacked may be what the whole is: tasks, that is."""
    found = [*members(meaning)]
    return bool(found) and all(isinstance(one, Task | Coroutine) for one in found)


def _call(frame: Frame, node: ast.Call) -> Meaning | None:
    callee = visit(frame, node.func)
    positional: list[Meaning | None] = []
    for argument in node.args:
        meaning = visit(frame, argument)
        if isinstance(argument, ast.Starred) and isinstance(meaning, Many):
            positional.extend(held(meaning.members).members)
        else:
            positional.append(meaning)
    named: dict[str, Meaning | None] = {}
    for keyword in node.keywords:
        named[keyword.arg or f"**{len(named)}"] = visit(frame, keyword.value)
    return call(frame, node, callee, Arguments(positional, named))


def _part(frame: Frame, node: ast.expr) -> Meaning | None:
    match node:
        case ast.Attribute(value=value, attr=name):
            return lookups.attribute(frame, visit(frame, value), name)
        case ast.Subscript(value=value, slice=index):
            return _subscript(frame, visit(frame, value), index)
        case ast.Starred(value=value):
            return visit(frame, value)
        case ast.Lambda():
            return Function(node, frame)
        case ast.NamedExpr(target=target, value=value):
            meaning = visit(frame, value)
            bind(frame, target, meaning, value)
            return meaning
        case _:
            return None


def _subscript(frame: Frame, meaning: Meaning | None, index: ast.expr) -> Meaning | None:
    visit(frame, index)
    if not isinstance(meaning, Many):
        return meaning if isinstance(meaning, Task | Coroutine) else None
    match index:
        case ast.Constant(value=str(key)) if key in meaning.labels:
            return meaning.members[meaning.labels.index(key)]
        case ast.Constant(value=int(place)) if place < len(meaning.members) and not meaning.labels:
            return meaning.members[place]
        case _:
            return meaning


def _conditional(frame: Frame, node: ast.IfExp | ast.BoolOp) -> Meaning | None:
    """Read what only happens under a condition."""
    if isinstance(node, ast.IfExp):
        visit(frame, node.test)
        with frame.block(text_of(node.test)) as first:
            one = visit(frame, node.body)
        with frame.block() as second:
            other = visit(frame, node.orelse)
        frame.emit(frame.draft(If, node, first, second))
        return together(one, other)
    meanings = [visit(frame, node.values[0])]
    before = text_of(node.values[0])
    for value in node.values[1:]:
        with frame.block(before if isinstance(node.op, ast.And) else f"not ({before})") as block:
            meanings.append(visit(frame, value))
        frame.emit(frame.draft(If, value, block))
        before = f"{before} {'and' if isinstance(node.op, ast.And) else 'or'} {text_of(value)}"[:200]
    return together(*meanings)


def _comprehension(frame: Frame, node: _Comprehension) -> Meaning | None:
    inner = Frame(frame.reading, frame.module, frame)
    inner.drafts = frame.drafts
    label = " ".join(text_of(generator).strip() for generator in node.generators)
    first = iterate(inner, node.generators[0].iter)
    with inner.block(label) as block:
        for number, generator in enumerate(node.generators):
            bind(inner, generator.target, first if number == 0 else iterate(inner, generator.iter))
            for condition in generator.ifs:
                visit(inner, condition)
        if isinstance(node, ast.DictComp):
            visit(inner, node.key)
            meaning = visit(inner, node.value)
        else:
            meaning = visit(inner, node.elt)
    # What stands in it without being awaited is taken out of it, and awaited elsewhere, or nowhere.
    loop = inner.draft(Loop, node, block, label=label)
    frame.emit(loop)
    found = [*members(meaning)]
    if found and all(isinstance(one, Coroutine) for one in found):
        return loop_later(frame, node, label, found[0] if len(found) == 1 else Many(found))
    inner.close()
    if any(isinstance(one, Task) for one in found):
        return Many([Task([loop])])
    return Many(found) if found else None


def iterate(frame: Frame, node: ast.expr) -> Meaning | None:
    """Return what the elements of an iterable mean; what has to be awaited for them is."""
    meaning = visit(frame, node)
    if isinstance(meaning, Coroutine) and not meaning.is_used:
        return elements(frame.run(meaning))
    return elements(meaning)


def _container(frame: Frame, node: ast.expr) -> Meaning | None:
    match node:
        case ast.List(elts=elts) | ast.Tuple(elts=elts) | ast.Set(elts=elts):
            found: list[Meaning | None] = []
            for one in elts:
                meaning = visit(frame, one)
                found.extend(
                    meaning.members if isinstance(one, ast.Starred) and isinstance(meaning, Many) else [meaning]
                )
            return held(found) if any(one is not None for one in found) else None
        case ast.Dict(keys=keys, values=values):
            meanings = [visit(frame, value) for value in values]
            labels = [key.value if isinstance(key, ast.Constant) else "..." for key in keys]
            return Many(meanings, [str(one) for one in labels]) if any(meanings) else None
        case ast.Yield(value=value) | ast.YieldFrom(value=value):
            meaning = visit(frame, value)
            if meaning is not None:
                frame.returned.append(meaning)
            return None
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    settle(frame, child, visit(frame, child))
            return None
