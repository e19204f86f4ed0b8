"""What is known of the form of params and event payloads: from their types, and from what is asked of them."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

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
    typed = _of_annotations(kind, run)
    if typed is not None:
        return typed
    return shape_of_uses(run.node, {event.arg: () for event in run.positional[_EVENT_PARAMETER : _EVENT_PARAMETER + 1]})


def shape_of_uses(function: ast.AST, roots: dict[str, _Path]) -> Shape | None:
    """Return what a function asks of the payload in values of these names; None: nothing.

    `roots` are names, and where what they mean lies: `()` is what has a `payload`.
    """
    assigned, by_name = _looked_through(function)
    aliases = dict(roots)
    for target, value in assigned:
        path = _path(value, aliases)
        if path is not None and path[:1] == (_PAYLOAD,):
            aliases.setdefault(target, path)
    found = (_path(node, aliases) for name in aliases for node in by_name.get(name, ()))
    paths = {path for path in found if path is not None}
    members = {path[1:] for path in paths if len(path) > 1 and path[0] == _PAYLOAD}
    return _tree(members) if members else None


# Once for all the waits of a function.
@lru_cache(maxsize=16)
def _looked_through(function: ast.AST) -> tuple[list[tuple[str, ast.expr]], dict[str, list[ast.AST]]]:
    """Return what a function assigns to names, and what may be a path in it by the name that it begins with."""
    assigned: list[tuple[str, ast.expr]] = []
    by_name: dict[str, list[ast.AST]] = {}
    for node in ast.walk(function):
        assigned += [(target, value) for target, value in _assigned(node) if _first_name(value) is not None]
        name = _first_name(node)
        if name is not None:
            by_name.setdefault(name, []).append(node)
    return assigned, by_name


def _first_name(node: ast.AST) -> str | None:
    while True:
        match node:
            case ast.Name(id=name):
                return name
            case ast.Subscript(value=value) | ast.Attribute(value=value) | ast.Call(func=ast.Attribute(value=value)):
                node = value
            case _:
                return None


def _of_annotations(kind: Class, run: Function) -> Shape | None:
    generic = [
        (one.frame, base.slice)
        for one in lookups.lineage(kind)
        for base in one.node.bases
        if isinstance(base, ast.Subscript)
    ]
    generic += [
        (run.frame, parameter.annotation.slice)
        for parameter in run.positional[_EVENT_PARAMETER : _EVENT_PARAMETER + 1]
        if isinstance(parameter.annotation, ast.Subscript)
    ]
    for frame, node in generic:
        meaning = lookups.dotted(frame, _plain(node))
        if isinstance(meaning, Class):
            return _of_class(meaning, ())
    return None


def _of_class(kind: Class, around: Sequence[ast.ClassDef]) -> Shape:
    around = (*around, kind.node)
    fields: dict[str, Shape] = {}
    for one in reversed(lookups.lineage(kind)):
        for statement in one.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                fields[statement.target.id] = _of_type(one.frame, _plain(statement.annotation), around)
    return Shape(type="object", fields=fields) if fields else _UNKNOWN


def _of_type(frame: Frame, node: ast.expr, around: Sequence[ast.ClassDef]) -> Shape:
    meaning = lookups.dotted(frame, node) if isinstance(node, ast.Name | ast.Attribute) else None
    if not isinstance(meaning, Class) or meaning.node in around or len(around) >= _DEEPEST:
        return _UNKNOWN
    return _of_class(meaning, around)


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
