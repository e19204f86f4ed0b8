"""What a call does, by what its callee means."""

import ast

from stepwell.graph import lookups, parallel
from stepwell.graph.drafts import Blk
from stepwell.graph.frames import Frame
from stepwell.graph.functions import call_function, read_body
from stepwell.graph.meanings import (
    Arguments,
    Class,
    Coroutine,
    Decorated,
    External,
    Function,
    GroupMethod,
    Instance,
    Many,
    Marked,
    Meaning,
    Partial,
    StepMethod,
    StepObject,
    held,
    members,
    together,
)
from stepwell.graph.naming import text_of
from stepwell.graph.nodes import Switch
from stepwell.graph.stepcalls import MARK, call_decorated, call_marked, call_step_method

# What these give holds what they were given.
_PASSING = frozenset(
    (
        *("reversed", "list", "tuple", "set", "frozenset", "dict", "sorted", "enumerate", "zip"),
        *("iter", "next", "aiter", "anext", "itertools.chain", "typing.cast", "functools.wraps"),
        *("asyncio.shield", "asyncio.wait_for"),
    )
)
_NAME_AND_FUNCTION = 2
_ADDING = ("append", "add", "extend", "insert", "put", "put_nowait", "appendleft", "push", "update", "setdefault")


def call(frame: Frame, node: ast.Call, callee: Meaning | None, given: Arguments) -> Meaning | None:
    """Make the drafts of a call, and return what it gives."""
    frame.reading.visit()
    match callee:
        case StepMethod():
            return _step_method(frame, node, callee, given)
        case Function():
            return call_function(frame, node, callee, given)
        case Decorated():
            return call_decorated(frame, node, callee)
        case Marked():
            return call_marked(frame, node, callee)
        case Many():
            return _any_of(frame, node, callee, given)
        case _:
            return _call_other(frame, node, callee, given)


def _call_other(frame: Frame, node: ast.Call, callee: Meaning | None, given: Arguments) -> Meaning | None:
    match callee:
        case Partial(arguments=before):
            return _partial(frame, node, callee, given.behind(before))
        case GroupMethod(group=group):
            return parallel.begin_in_group(frame, group, next(iter(given), None))
        case Class():
            return _make(frame, callee, given)
        case Instance():
            return call(frame, node, lookups.attribute(frame, callee, "__call__"), given)
        case External(name=name):
            return _external(frame, node, name, given)
        case _:
            _unknown(frame, node, given)
            return None


def escape(frame: Frame, node: ast.AST, meaning: Meaning | None) -> None:
    """Let happen here what goes where nobody can follow it."""
    for one in members(meaning):
        match one:
            case Coroutine(is_used=False):
                frame.run(one)
            case Function() | Decorated() | Marked():
                made = call(frame, _call_at(node), one, Arguments())
                frame.run(made)
            case Partial(is_decorator=False):
                frame.run(call(frame, _call_at(node), one, Arguments()))
            case StepObject():
                frame.reading.remark(
                    frame.module.file,
                    node,
                    f"the step object is handed to code that cannot be followed: {text_of(node)}",
                )


def _step_method(frame: Frame, node: ast.Call, method: StepMethod, given: Arguments) -> Meaning | None:
    function = next(iter(given.positional), None)
    if method.name == "do" and isinstance(function, Function) and len(given.positional) == 1:
        return Decorated(function, None)
    has_all = len(node.args) >= _NAME_AND_FUNCTION or any(isinstance(one, ast.Starred) for one in node.args)
    if method.name == "do" and not has_all:
        return Partial(method, given, node, is_decorator=True)
    return call_step_method(frame, node, method.name, given)


def _partial(frame: Frame, node: ast.Call, partial: Partial, given: Arguments) -> Meaning | None:
    if not partial.is_decorator:
        before = partial.node
        whole = ast.Call(before.func, [*before.args, *node.args], [*before.keywords, *node.keywords])
        return call(frame, ast.copy_location(whole, node), partial.callee, given)
    function = given.positional[-1] if given.positional else None
    if not isinstance(function, Function):
        return None
    kind = Decorated if isinstance(partial.callee, StepMethod) else Marked
    return kind(function, partial.node)


def _make(frame: Frame, kind: Class, given: Arguments) -> Instance:
    """Make an object: by its `__init__`, or as dataclasses do."""
    made = Instance(kind, {name: meaning for name, meaning in given.named.items() if meaning is not None})
    beginning = lookups.attribute(frame, made, "__init__")
    if isinstance(beginning, Function):
        # Read for each object anew: it is what this one has that counts.
        frame.drafts.extend(read_body(beginning, given))
        return made
    fields = [
        statement.target.id
        for one in reversed(lookups.lineage(kind))
        for statement in one.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    for name, meaning in zip(fields, given.positional, strict=False):
        if meaning is not None:
            made.attributes[name] = meaning
    return made


def _external(frame: Frame, node: ast.Call, name: str, given: Arguments) -> Meaning | None:
    first = next(iter(given.positional), None)
    if name == MARK:
        return Marked(first, None) if isinstance(first, Function) else Partial(External(name), given, node, True)
    if name == "super" and frame.owner is not None:
        return Instance(frame.owner.kind, frame.owner.attributes, _class_around(frame) or frame.owner.kind)
    if name in ("functools.partial", "partial") and first is not None:
        rest = ast.copy_location(ast.Call(node.args[0], node.args[1:], node.keywords), node)
        return Partial(first, Arguments(given.positional[1:], given.named), rest)
    if name == "dict" and not given.positional:
        return Many([*given.named.values()], [*given.named])
    if name in _PASSING:
        for meaning in given.named.values():
            escape(frame, node, meaning)
        return first if len(given.positional) == 1 else held(given.positional)
    if name in ("map", "filter") and first is not None:
        return parallel.for_each(frame, node, call(frame, node, first, Arguments()))
    if name.startswith("asyncio.") or name.endswith((".create_task", ".TaskGroup")):
        known, meaning = parallel.call_asyncio(frame, node, name, given)
        if known:
            return meaning
    _unknown(frame, node, given)
    return None


def _class_around(frame: Frame | None) -> Class | None:
    while frame is not None and frame.kind is None:
        frame = frame.parent
    return None if frame is None else frame.kind


def _any_of(frame: Frame, node: ast.Call, callee: Many, given: Arguments) -> Meaning | None:
    """Call one of several: a branch for each that makes steps, when what they return is awaited."""
    pairs = [(label, one) for label, one in zip(callee.labels, callee.members, strict=False) if one is not None]
    pairs = pairs or [("", one) for one in members(callee)]
    if len(pairs) <= 1:
        return call(frame, node, pairs[0][1] if pairs else None, given)
    blocks: list[Blk] = []
    results: list[Meaning | None] = []
    for label, one in pairs:
        with frame.block(label or _name_of(one)) as block:
            # Of containers within containers the names of their parts are not told.
            flat = Many([*members(one)]) if isinstance(one, Many) else one
            result = call(frame, node, flat, given)
            if isinstance(result, Coroutine):
                result = frame.run(result)
        blocks.append(block)
        results.append(result)
    frame.emit(frame.draft(Switch, node, *blocks, discriminant=text_of(node.func)))
    return together(*results)


def _name_of(meaning: Meaning) -> str:
    match meaning:
        case Function(name=name):
            return name
        case Decorated(function=function) | Marked(function=function):
            return function.name
        case _:
            return "..."


def _unknown(frame: Frame, node: ast.Call, given: Arguments) -> None:
    """Call what is not known: what is handed to a container stays in it, anything else happens here."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in _ADDING:
        store(frame, node.func.value, Many([*given]))
        return
    for meaning in given:
        escape(frame, node, meaning)


def store(frame: Frame, target: ast.expr, meaning: Meaning | None) -> None:
    """Take note that something was put into an object or a container."""
    if meaning is None:
        return
    match target:
        case ast.Name(id=name):
            frame.add(name, meaning)
        case ast.Attribute(value=value, attr=name):
            owner = lookups.dotted(frame, value)
            if isinstance(owner, Instance):
                owner.attributes[name] = together(owner.attributes.get(name), meaning)
            else:
                escape(frame, target, meaning)
        case ast.Subscript(value=value):
            store(frame, value, meaning)
        case _:
            escape(frame, target, meaning)


def _call_at(node: ast.AST) -> ast.Call:
    """Return a call without arguments that stands where something else does."""
    return ast.copy_location(ast.Call(ast.copy_location(ast.Name("..."), node), [], []), node)
