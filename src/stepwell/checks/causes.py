"""Why code, replayed, went another way than before: the likely cause, found in its source.

It is looked for where the way was decided: first in the call itself, then in the branches and loops around it, then in
those of the same function, and of the functions that have called it. Nothing is imported or run.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stepwell.checks.source import Function, Line, Source, read
from stepwell.checks.unstable import LIKELY_METHODS, Kind, likely_kind_of_call

_CHANGING = frozenset(
    ("add", "append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update")
)
# What makes a list, or one thing after the other, of a set.
_ORDERED_BY = frozenset(("list", "tuple", "iter", "enumerate", "next"))
_SET_METHODS = frozenset(("union", "intersection", "difference", "symmetric_difference"))
_ENVIRONMENT = frozenset(("os.environ", "sys.argv"))
_TEXT_CHARACTERS = 100

_Branch = ast.If | ast.While | ast.IfExp | ast.Match | ast.For | ast.AsyncFor
_Comprehension = ast.ListComp | ast.GeneratorExp | ast.DictComp


@dataclass(frozen=True, slots=True)
class Cause:
    """What is not the same at each replay: `text` is how the source has it."""

    kind: Kind
    text: str
    line: Line

    def __str__(self) -> str:
        """Say it, and what to do instead."""
        return f"Likely because of {self.kind}: `{self.text}` at {self.line}. {self.kind.remedy}"


def likely_cause(lines: Sequence[Line]) -> Cause | None:
    """Return why a call may be another one than before; None: the source does not tell.

    `lines` lead to it, the innermost first. What lies nearest to the call is taken.
    """
    functions = [function for line in lines if (function := _Function.around(line)) is not None]
    for function in functions:
        if (cause := function.deciding()) is not None:
            return cause
    return next((cause for function in functions if (cause := function.anywhere()) is not None), None)


class _Function:
    """The function that a line lies in."""

    def __init__(self, source: Source, function: Function, line: Line) -> None:
        self._source = source
        self._function = function
        self._line = line
        self._parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
        self._scan = _Scan(source, line.file)
        self._scan.taint(self._outside(function))

    @classmethod
    def around(cls, line: Line) -> "_Function | None":
        """Return the innermost function that a line lies in, if the file can be read."""
        try:
            source = Source(ast.parse(read(line.file)), 0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        around = [
            node
            for node in ast.walk(source.tree)
            if isinstance(node, Function) and node.lineno <= line.number <= (node.end_lineno or node.lineno)
        ]
        return cls(source, max(around, key=lambda node: node.lineno), line) if around else None

    def deciding(self) -> Cause | None:
        """Return what the call is made of, or what the branches around it depend on, and then those before it."""
        statement = self._statement()
        if statement is not None:
            for part in _header(statement):
                for call in (node for node in ast.walk(part) if isinstance(node, ast.Call)):
                    if (cause := self._scan.first([*call.args, *call.keywords])) is not None:
                        return cause
                inner = (node for node in ast.walk(part) if isinstance(node, _Branch | _Comprehension))
                if (cause := self._decided_by_one(inner)) is not None:
                    return cause
            if (cause := self._decided_by_one(self._around(statement))) is not None:
                return cause
        branches = [node for node in self._outside(self._function) if isinstance(node, _Branch | _Comprehension)]
        branches.sort(key=self._distance)
        return self._decided_by_one(branches)

    def anywhere(self) -> Cause | None:
        """Return what the function has, outside of its steps, that may not be the same again."""
        nodes = sorted(
            (node for node in self._outside(self._function) if isinstance(node, ast.expr)), key=self._distance
        )
        return self._scan.first(nodes)

    def _around(self, node: ast.AST | None) -> Iterator[ast.AST]:
        while node is not None:
            yield node
            node = self._parents.get(node)

    def _decided_by_one(self, branches: Iterable[ast.AST]) -> Cause | None:
        return next((cause for branch in branches if (cause := self._decided_by(branch)) is not None), None)

    def _decided_by(self, branch: ast.AST) -> Cause | None:
        match branch:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Match(subject=test):
                return self._scan.first([test])
            case ast.For(iter=iterated) | ast.AsyncFor(iter=iterated):
                return self._scan.iterated(iterated)
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp():
                parts = (self._scan.iterated(part.iter) or self._scan.first(part.ifs) for part in branch.generators)
                return next((cause for cause in parts if cause is not None), None)
            case _:
                return None

    def _distance(self, node: ast.AST) -> tuple[bool, int]:
        """Return how far a node is from the line; what comes behind it is farther than all before."""
        number = getattr(node, "lineno", 0)
        return number > self._line.number, abs(self._line.number - number)

    def _statement(self) -> ast.stmt | None:
        around = [
            node
            for node in self._outside(self._function)
            if isinstance(node, ast.stmt) and node.lineno <= self._line.number <= (node.end_lineno or node.lineno)
        ]
        return max(around, key=lambda node: node.lineno, default=None)

    def _outside(self, function: Function) -> Iterator[ast.AST]:
        """Yield the nodes that a replay runs again: not those of steps' bodies."""
        waiting: deque[ast.AST] = deque(function.body)
        while waiting:
            node = waiting.popleft()
            if node not in self._source.bodies:
                yield node
                waiting += ast.iter_child_nodes(node)


class _Scan:
    """Looks for what may not be the same again, and knows the variables that hold it."""

    def __init__(self, source: Source, file: str) -> None:
        self._source = source
        self._file = file
        self._tainted: dict[str, Cause] = {}
        self._sets: set[str] = set()
        self._kept = set(_kept_between_turns(source.tree))
        self._functions = {node.name: node for node in ast.walk(source.tree) if isinstance(node, Function)}
        self._within_functions: dict[str, Cause | None] = {}

    def taint(self, nodes: Iterable[ast.AST]) -> None:
        """Take note of the variables that are bound in some code."""
        bound = [pair for node in nodes for pair in _bound(node)]
        size = -1
        while size < len(self._tainted) + len(self._sets):
            size = len(self._tainted) + len(self._sets)
            for name, value, is_iterated in bound:
                cause = self.iterated(value) if is_iterated else self.first([value])
                if cause is not None:
                    self._tainted.setdefault(name, cause)
                elif not is_iterated and self._is_set(value):
                    self._sets.add(name)

    def first(self, nodes: Iterable[ast.AST]) -> Cause | None:
        """Return the first cause in some expressions. What a step has returned is on record, and none."""
        for node in nodes:
            if (cause := self._of(node)) is not None:
                return cause
        return None

    def iterated(self, node: ast.expr) -> Cause | None:
        """Return why what comes of a loop over something may be another thing, or come in another order."""
        return self._cause(Kind.SET, node) if self._is_set(node) else self._of(node)

    def _of(self, node: ast.AST) -> Cause | None:
        match node:
            case ast.Lambda() | ast.FunctionDef() | ast.AsyncFunctionDef():
                return None
            case ast.Await(value=awaited):
                # What is awaited of others comes from a step.
                kind = self._kind_of(awaited) if isinstance(awaited, ast.Call) else None
                return None if kind is None else self._cause(kind, awaited)
            case ast.Call():
                return self._of_call(node)
            case ast.Name() | ast.Attribute() if (cause := self._of_variable(node)) is not None:
                return cause
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp():
                loops = (self.iterated(part.iter) for part in node.generators)
                cause = next((cause for cause in loops if cause is not None), None)
                return cause or self.first(ast.iter_child_nodes(node))
            case _:
                return self.first(ast.iter_child_nodes(node))

    def _of_variable(self, node: ast.Name | ast.Attribute) -> Cause | None:
        match node:
            case ast.Name(id=name) if name in self._tainted:
                return self._tainted[name]
            case ast.Name(id=name, ctx=ast.Load()) if name in self._kept:
                return self._cause(Kind.STATE, node)
            case ast.Attribute() if self._source.dotted(node) in _ENVIRONMENT:
                return self._cause(Kind.ENVIRONMENT, node)
            case ast.Attribute(value=ast.Name(), attr=name, ctx=ast.Load()) if f".{name}" in self._kept:
                return self._cause(Kind.STATE, node)
            case _:
                return None

    def _of_call(self, call: ast.Call) -> Cause | None:
        if (kind := self._kind_of(call)) is not None:
            return self._cause(kind, call)
        match call.func:
            case ast.Name(id=name) if name in _ORDERED_BY and call.args and self._is_set(call.args[0]):
                return self._cause(Kind.SET, call)
            case ast.Attribute(attr="pop", value=value) if self._is_set(value):
                return self._cause(Kind.SET, call)
            case ast.Attribute(attr="join") if call.args and self._is_set(call.args[0]):
                return self._cause(Kind.SET, call)
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                return self._within(name) or self.first(ast.iter_child_nodes(call))
            case _:
                return self.first(ast.iter_child_nodes(call))

    def _within(self, name: str) -> Cause | None:
        """Look into a function of the same file."""
        if name not in self._within_functions:
            function = self._functions.get(name)
            # First for calls that lead back to it.
            self._within_functions[name] = None
            if function is not None and function not in self._source.bodies:
                self._within_functions[name] = self.first(function.body)
        return self._within_functions[name]

    def _kind_of(self, call: ast.Call) -> Kind | None:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        name = self._source.dotted(call.func)
        return (likely_kind_of_call(name) if name else None) or LIKELY_METHODS.get(method)

    def _is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return name in self._sets
            case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self._is_set(left) or self._is_set(right)
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _SET_METHODS:
                return self._is_set(value)
            case _:
                return False

    def _cause(self, kind: Kind, node: ast.expr) -> Cause:
        text = ast.unparse(node)
        shown = text if len(text) <= _TEXT_CHARACTERS else f"{text[:_TEXT_CHARACTERS]}..."
        return Cause(kind, shown, Line(self._file, node.lineno))


def _header(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield the expressions of a statement that lie in no statement within it."""
    yield from (node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.expr))


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr, bool]]:
    """Yield the names that a node binds, with what to, and whether it goes through that."""
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs, is_iterated = [(target, value) for target in targets], False
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
            pairs, is_iterated = [(target, value)], False
        case ast.NamedExpr(target=target, value=value):
            pairs, is_iterated = [(target, value)], False
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            pairs, is_iterated = [(target, value)], True
        case ast.comprehension(target=target, iter=value):
            pairs, is_iterated = [(target, value)], True
        case _:
            return
    for target, value in pairs:
        names = (node for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        yield from ((name.id, value, is_iterated) for name in names)


def _kept_between_turns(tree: ast.Module) -> Iterator[str]:
    """Yield the variables of the module that its functions change, and with a dot in front those of its classes."""
    globals_ = {name for node in tree.body for name, _, _ in _bound(node)}
    attributes = {
        name
        for kind in tree.body
        if isinstance(kind, ast.ClassDef)
        for node in kind.body
        for name, _, _ in _bound(node)
    }
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        for node in ast.walk(function):
            match node:
                case ast.Global(names=names):
                    yield from globals_ & set(names)
                case ast.Call(func=ast.Attribute(value=target, attr=method)) if method in _CHANGING:
                    yield from _kept_in(target, globals_, attributes)
                case ast.Subscript(value=target, ctx=ast.Store() | ast.Del()):
                    yield from _kept_in(target, globals_, attributes)
                case ast.Attribute(ctx=ast.Store()):
                    yield from _kept_in(node, globals_, attributes)
                case ast.Call(func=ast.Name(id="next"), args=[target, *_]):
                    yield from _kept_in(target, globals_, attributes)


def _kept_in(target: ast.expr, globals_: set[str], attributes: set[str]) -> Iterator[str]:
    match target:
        case ast.Name(id=name) if name in globals_:
            yield name
        case ast.Attribute(value=ast.Name(), attr=name) if name in attributes:
            yield f".{name}"
