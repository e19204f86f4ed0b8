"""An author's source as the rules look at it: which functions are flows, which are bodies of steps, what names mean.

A *flow* is code that can call steps and that runs again at each replay: `run`, and functions that receive the step
object. A *body* is the function of a step, which runs once. Nothing is imported or run.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

from msgspec import Struct, field

Function = ast.FunctionDef | ast.AsyncFunctionDef
Body = Function | ast.Lambda

_RUN_PARAMETERS = 3
_STEP_TYPE = "WorkflowStep"
_ENTRYPOINT = "WorkflowEntrypoint"
STEP_METHODS = ("do", "sleep", "sleep_until", "wait_for_event")


class Line(NamedTuple):
    """A line of the author's code."""

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"

    def text(self) -> str:
        """Return what it says, without indentation; nothing if the file cannot be read."""
        return dict(enumerate(read(self.file).decode(errors="replace").splitlines(), 1)).get(self.number, "").strip()


def read(file: str) -> bytes:
    """Return what a file has; nothing if it cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""


class DecoratedStep(Struct):
    """A function under `@step.do`. `name` is None where it is not a literal."""

    function: Function
    name: str | None
    names_dependencies: bool


class Flow(Struct):
    """Code that can call steps. `step` and `event` are what its parameters are called."""

    function: Function
    step: str
    event: str | None
    is_run: bool
    decorated: list[DecoratedStep] = field(default_factory=list)


class Source:
    """A parsed module, and how many retries the config of a step may ask for where it is served."""

    def __init__(self, tree: ast.Module, retries_per_step: int) -> None:
        self.tree = tree
        self.retries_per_step = retries_per_step
        self.imports = dict(_imports(tree))
        self._module_functions = {node.name: node for node in tree.body if isinstance(node, Function)}
        self._methods = {
            node.name: node
            for kind in tree.body
            if isinstance(kind, ast.ClassDef)
            for node in kind.body
            if isinstance(node, Function)
        }
        # Functions under Stepwell's own `@step`: bodies, and steps where they are called.
        self.marked = {name: node for name, node in self._module_functions.items() if self._is_marked(node)}
        self.flows = list(self._find_flows())
        self.bodies: dict[Body, None] = dict.fromkeys(self.marked.values())
        for flow in self.flows:
            self.bodies.update(dict.fromkeys(self._bodies_of(flow)))

    def dotted(self, node: ast.AST) -> str | None:
        """Return what a name or attribute means, with imports followed: `dt.now` may be `datetime.datetime.now`."""
        match node:
            case ast.Name(id=name):
                return self.imports.get(name, name)
            case ast.Attribute(value=value, attr=name):
                before = self.dotted(value)
                return None if before is None else f"{before}.{name}"
            case _:
                return None

    def outside(self, flow: Flow) -> Iterator[ast.AST]:
        """Yield the nodes of a flow that replays run again: all but those in bodies of steps, in their order."""
        yield from _walk(flow.function.body, lambda node: node in self.bodies)

    def inside(self, body: Body) -> Iterator[ast.AST]:
        """Yield the nodes that a body itself runs: not those of functions within it, which may run in a thread."""
        nodes = body.body if isinstance(body.body, list) else [body.body]
        yield from _walk(nodes, lambda node: isinstance(node, Function | ast.Lambda))

    def step_calls(self, flow: Flow, *methods: str) -> Iterator[ast.Call]:
        """Yield the calls of these methods of the step object, wherever in the flow."""
        for node in ast.walk(flow.function):
            if isinstance(node, ast.Call) and self.step_method(flow, node) in methods:
                yield node

    def step_method(self, flow: Flow, call: ast.Call) -> str | None:
        """Return which method of the step object is called, or None if it is another call."""
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if name == flow.step:
                return method
            case _:
                return None

    def is_direct(self, call: ast.Call) -> bool:
        """Tell whether a `step.do` has its function with it, and is no decorator."""
        return len(call.args) > 1

    def _find_flows(self) -> Iterator[Flow]:
        entrypoints = self._entrypoints()
        runs = [
            method
            for kind in ast.walk(self.tree)
            if isinstance(kind, ast.ClassDef)
            for method in kind.body
            # A base from another module cannot be looked into; the parameter tells.
            if _is_run(method) and (kind.name in entrypoints or _calls_steps(method))
        ]
        yield from map(self._run, runs)
        for function in ast.walk(self.tree):
            if isinstance(function, Function) and function not in runs and _calls_steps(function):
                yield self._with_steps(Flow(function, _step_parameter(function) or "", None, is_run=False))

    def _run(self, method: Function) -> Flow:
        _, event, step = method.args.args[:_RUN_PARAMETERS]
        return self._with_steps(Flow(method, step.arg, event.arg, is_run=True))

    def _with_steps(self, flow: Flow) -> Flow:
        for node in ast.walk(flow.function):
            if isinstance(node, Function):
                flow.decorated += [
                    DecoratedStep(node, *_named(decorator, node))
                    for decorator in node.decorator_list
                    if _is_do(decorator, flow.step)
                ]
        return flow

    def _bodies_of(self, flow: Flow) -> Iterator[Body]:
        yield from (step.function for step in flow.decorated)
        inner: dict[str, list[Function]] = defaultdict(list)
        for node in ast.walk(flow.function):
            if isinstance(node, Function):
                inner[node.name].append(node)
        for call in self.step_calls(flow, "do"):
            if not self.is_direct(call):
                continue
            match call.args[1]:
                case ast.Lambda() as function:
                    yield function
                case ast.Name(id=name):
                    yield from inner.get(name, ())
                    if name in self._module_functions:
                        yield self._module_functions[name]
                case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in self._methods:
                    yield self._methods[name]

    def _entrypoints(self) -> set[str]:
        """Return the names of classes that are workflows, by their bases within this module."""
        known: set[str] = set()
        # In the order of the file, as a base comes before those that inherit from it.
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef):
                bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
                names = {(self.dotted(base) or "").rpartition(".")[2] for base in bases}
                if names & {_ENTRYPOINT, *known}:
                    known.add(node.name)
        return known

    def _is_marked(self, function: Function) -> bool:
        decorators = [node.func if isinstance(node, ast.Call) else node for node in function.decorator_list]
        return any(self.dotted(node) == "stepwell.step" for node in decorators)


def _walk(nodes: list[ast.stmt] | list[ast.expr], is_left_out: Callable[[ast.AST], bool]) -> Iterator[ast.AST]:
    for node in nodes:
        if is_left_out(node):
            continue
        yield node
        yield from _walk(list(ast.iter_child_nodes(node)), is_left_out)  # type: ignore[arg-type]  # any nodes


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((alias.asname or alias.name, f"{module}.{alias.name}") for alias in names)


def _is_run(node: ast.AST) -> TypeGuard[Function]:
    return isinstance(node, Function) and node.name == "run" and len(node.args.args) >= _RUN_PARAMETERS


def _step_parameter(function: Function) -> str | None:
    """Return the parameter that is the step object: annotated as one, or called `step`."""
    for parameter in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        annotation = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
        if annotation.strip("'\"").rpartition(".")[2] == _STEP_TYPE or (parameter.arg == "step" and not annotation):
            return parameter.arg
    return None


def _calls_steps(function: Function) -> bool:
    """Tell whether a parameter is the step object: annotated as one, or called `step` and used as one."""
    step = _step_parameter(function)
    parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    if any(parameter.arg == step and parameter.annotation is not None for parameter in parameters):
        return True
    return any(
        isinstance(node, ast.Attribute) and node.attr in STEP_METHODS and _is_name(node.value, step or "")
        for node in ast.walk(function)
    )


def _is_do(decorator: ast.expr, step: str) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Attribute) and target.attr == "do" and _is_name(target.value, step)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _named(decorator: ast.expr, function: Function) -> tuple[str | None, bool]:
    """Return the name of a decorated step, and whether its parameters name its dependencies."""
    if not isinstance(decorator, ast.Call):
        return function.name, True
    given = {keyword.arg: keyword.value for keyword in decorator.keywords}
    name = decorator.args[0] if decorator.args else given.get("name")
    has_depends = "depends" in given or len(decorator.args) > 1
    if name is None:
        return function.name, not has_depends
    literal = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
    return literal, not has_depends
