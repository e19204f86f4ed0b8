"""What is known of the form of params and event payloads: from their types, and from what is asked of them."""

import ast
from collections.abc import Iterable, Iterator

from stepwell.graph import lookups
from stepwell.graph.frames import Frame
from stepwell.graph.meanings import Class, Function
from stepwell.graph.nodes import Shape

_UNKNOWN = Shape(type="unknown")
_PAYLOAD = "payload"
_DEEPEST = 6
_EVENT_PARAMETER = 1
# What may be asked of any dict or list is no member of the payload.
_METHODS = frozenset(dir(dict)) | frozenset(dir(list)) | frozenset(dir(str))

_Path = tuple[str, ...]


def shape_of_params(kind: Class, run: Function) -> Shape | None:
    """Return what is known of the params of a workflow; None: nothing is."""
    parameters = [*run.node.args.posonlyargs, *run.node.args.args]
    typed = _of_annotations(kind, run)
    if typed is not None:
        return typed
    if len(parameters) <= _EVENT_PARAMETER:
        return None
    return shape_of_uses(run.node, {parameters[_EVENT_PARAMETER].arg: ()})


def shape_of_uses(function: ast.AST, roots: dict[str, _Path]) -> Shape | None:
    """Return what a function asks of the payload in values of these names; None: nothing.

    `roots` are names, and where what they mean lies: `()` is what has a `payload`.
    """
    aliases = dict(roots)
    for node in ast.walk(function):
        for target, value in _assigned(node):
            path = _path(value, aliases)
            if path is not None and path[:1] == (_PAYLOAD,):
                aliases.setdefault(target, path)
    paths = {path for node in ast.walk(function) if (path := _path(node, aliases)) is not None}
    members = {path[1:] for path in paths if len(path) > 1 and path[0] == _PAYLOAD}
    return _tree(members) if members else None


def _of_annotations(kind: Class, run: Function) -> Shape | None:
    generic = [
        (one.frame, base.slice)
        for one in lookups.lineage(kind)
        for base in one.node.bases
        if isinstance(base, ast.Subscript)
    ]
    generic += [
        (run.frame, parameter.annotation.slice)
        for parameter in run.node.args.args[_EVENT_PARAMETER : _EVENT_PARAMETER + 1]
        if isinstance(parameter.annotation, ast.Subscript)
    ]
    for frame, node in generic:
        meaning = lookups.dotted(frame, _plain(node))
        if isinstance(meaning, Class):
            return _of_class(meaning, 0)
    return None


def _of_class(kind: Class, depth: int) -> Shape:
    fields: dict[str, Shape] = {}
    for one in reversed(lookups.lineage(kind)):
        for statement in one.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                fields[statement.target.id] = _of_type(one.frame, _plain(statement.annotation), depth + 1)
    return Shape(type="object", fields=fields) if fields else _UNKNOWN


def _of_type(frame: Frame, node: ast.expr, depth: int) -> Shape:
    meaning = lookups.dotted(frame, node) if isinstance(node, ast.Name | ast.Attribute) else None
    return _of_class(meaning, depth) if isinstance(meaning, Class) and depth < _DEEPEST else _UNKNOWN


def _plain(node: ast.expr) -> ast.expr:
    """Return the expression of a type: of a text what it says, of `X | None` and `NotRequired[X]` the X."""
    match node:
        case ast.Constant(value=str(text)):
            try:
                return _plain(ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError):
                return node
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _plain(left)
        case ast.Subscript(value=ast.Name(id="NotRequired" | "Required" | "Optional" | "Annotated"), slice=inner):
            return _plain(inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)
        case _:
            return node


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            for target, value in zip(targets, values, strict=False):
                if isinstance(target, ast.Name):
                    yield target.id, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            yield name, value


def _path(node: ast.AST, aliases: dict[str, _Path]) -> _Path | None:
    """Return where in the event an expression leads."""
    match node:
        case ast.Name(id=name):
            return aliases.get(name)
        case (
            ast.Subscript(value=value, slice=ast.Constant(value=str(key)))
            | ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(key)), *_])
        ):
            before = _path(value, aliases)
            return None if before is None else (*before, key)
        case ast.Attribute(value=value, attr=name):
            before = _path(value, aliases)
            is_member = before is not None and (name not in _METHODS if before else name == _PAYLOAD)
            return (*(before or ()), name) if is_member else None
        case _:
            return None


def _tree(paths: Iterable[_Path]) -> Shape:
    by_first: dict[str, set[_Path]] = {}
    for path in sorted(paths):
        by_first.setdefault(path[0], set()).update([path[1:]] if len(path) > 1 else [])
    return Shape(type="object", fields={name: _tree(rest) if rest else _UNKNOWN for name, rest in by_first.items()})
