"""Rules about what replays do again: effects, random values, the time of day, changes of the event."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable

from stepwell.checks.mistakes import Found
from stepwell.checks.source import STEP_METHODS, Flow, Source
from stepwell.checks.unstable import kind_of_call

_CREATING = re.compile(r"self\.env\.\w+\.(create|create_batch|createBatch)")
_SENDING = ("send_event", "sendEvent")
_CHANGING = ("append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "sort", "update")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)[^{}]*\}")

Branch = ast.If | ast.While | ast.IfExp | ast.Match


def effects(source: Source, flow: Flow) -> Found:
    """Find instances that are created and events that are sent outside of steps, and sleeps that are not recorded."""
    for node in source.outside(flow):
        if not (isinstance(node, ast.Await) and isinstance(node.value, ast.Call)):
            continue
        call = node.value
        called = source.dotted(call.func) or ""
        is_sent = isinstance(call.func, ast.Attribute) and call.func.attr in _SENDING
        if is_sent or _CREATING.fullmatch(called):
            yield (
                call,
                "effect-outside-step",
                f"{ast.unparse(call.func)}(...) is done again at each replay; move it into a step",
            )
        elif called == "asyncio.sleep" and not _is_zero(call):
            yield (
                call,
                "plain-sleep",
                "asyncio.sleep(...) is not recorded, and slept again at each replay; use "
                "`await step.sleep(name, duration)`",
            )


def unrecorded_timeouts(source: Source, flow: Flow) -> Found:
    """Find `asyncio.wait` with a timeout outside of steps."""
    for node in source.outside(flow):
        if not isinstance(node, ast.Call) or source.dotted(node.func) != "asyncio.wait":
            continue
        if any(keyword.arg == "timeout" for keyword in node.keywords):
            yield (
                node,
                "unrecorded-timeout",
                "asyncio.wait(timeout=...) may end otherwise on replay; put a step.sleep among what is waited for",
            )


def unstable(source: Source, flow: Flow) -> Found:
    """Find names and branches that are made of random values or the time of day."""
    tainted = _tainted(source, flow)
    for call in source.step_calls(flow, *STEP_METHODS):
        name = call.args[0] if call.args else None
        culprit = None if name is None else _culprit(source, name, tainted)
        if culprit is not None:
            yield (
                call,
                "unstable-name",
                f"this name is made with {culprit}, so another replay does not find the step; take it from params or "
                "a step's result",
            )
    for node in source.outside(flow):
        if isinstance(node, Branch) and _calls_steps(node):
            culprit = _culprit(source, node.subject if isinstance(node, ast.Match) else node.test, tainted)
            if culprit is not None:
                yield (
                    node,
                    "unstable-branch",
                    f"this depends on {culprit}, so a replay may go another way; ask for the value in a step",
                )


def forgotten_f(source: Source, flow: Flow) -> Found:
    """Find names with a placeholder for something that the flow knows, and no `f` before the quote."""
    known = {node.id for node in ast.walk(flow.function) if isinstance(node, ast.Name)}
    known |= {node.arg for node in ast.walk(flow.function) if isinstance(node, ast.arg)}
    for call in source.step_calls(flow, *STEP_METHODS):
        name = call.args[0] if call.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            placeholder = next((found for found in _PLACEHOLDER.finditer(name.value) if found[1] in known), None)
            if placeholder is not None:
                yield (
                    name,
                    "forgotten-f",
                    f"the name {name.value!r:.60} is always the same: {placeholder[0]} is filled in only with an f "
                    "before the quote",
                )


def changed_event(_: Source, flow: Flow) -> Found:
    """Find changes of the event."""
    if flow.event is None or _is_bound_again(flow, flow.event):
        return
    for node in ast.walk(flow.function):
        for target in _changed(node):
            if _root(target) == flow.event:
                yield (
                    node,
                    "event-changed",
                    f"{ast.unparse(target)} is changed, and every replay gets the event as it was; change a copy",
                )


def busy_finally(source: Source, flow: Flow) -> Found:
    """Find each `finally` that does something."""
    if not flow.is_run:
        return
    for node in source.outside(flow):
        if isinstance(node, ast.Try | ast.TryStar):
            calls = [part for last in node.finalbody for part in ast.walk(last) if isinstance(part, ast.Call)]
            if calls:
                yield (
                    calls[0],
                    "finally-in-run",
                    "a `finally` in `run` also runs each time the instance is put to sleep; move what it does into "
                    "a step",
                )


def _is_bound_again(flow: Flow, name: str) -> bool:
    """Tell whether a name means something else from some line on."""
    nodes = (node for node in ast.walk(flow.function) if isinstance(node, ast.Name) and node.id == name)
    return any(isinstance(node.ctx, ast.Store) for node in nodes)


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def _calls_steps(branch: Branch) -> bool:
    return any(isinstance(node, ast.Await) for node in ast.walk(branch))


def _tainted(source: Source, flow: Flow) -> dict[str, str]:
    """Return the variables that can only hold unstable values, each with what they came from."""
    assigned: dict[str, list[ast.expr | None]] = defaultdict(list)
    for node in source.outside(flow):
        names, value = _assigned(node)
        for name in names:
            assigned[name].append(value)
    tainted: dict[str, str] = {}
    size = -1
    while size < len(tainted):
        size = len(tainted)
        for name, values in assigned.items():
            if name not in tainted:
                culprits = [None if value is None else _culprit(source, value, tainted) for value in values]
                if None not in culprits:
                    tainted[name] = culprits[0] or ""
    return tainted


def _assigned(node: ast.AST) -> tuple[list[str], ast.expr | None]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)], value
        case (
            ast.AnnAssign(target=ast.Name(id=name), value=value) | ast.AugAssign(target=ast.Name(id=name), value=value)
        ):
            return [name], value
        case ast.NamedExpr(target=ast.Name(id=name), value=value):
            return [name], value
        case _:
            return [], None


def _culprit(source: Source, value: ast.expr, tainted: dict[str, str]) -> str | None:
    """Return what makes a value unstable, or None. What was awaited comes from a step, and is the same again."""
    nodes = list(ast.walk(value))
    if any(isinstance(node, ast.Await | ast.Lambda) for node in nodes):
        return None
    calls = (source.dotted(node.func) for node in nodes if isinstance(node, ast.Call))
    called = next((name for name in calls if name is not None and _is_unstable(source, name)), None)
    if called is not None:
        return f"{called}()"
    names = (node.id for node in nodes if isinstance(node, ast.Name))
    return next((tainted[name] for name in names if name in tainted), None)


def _is_unstable(source: Source, name: str) -> bool:
    is_imported = name.partition(".")[0] in {origin.partition(".")[0] for origin in source.imports.values()}
    return (name == "id" or is_imported) and kind_of_call(name) is not None


def _changed(node: ast.AST) -> Iterable[ast.expr]:
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return [target for target in targets if isinstance(target, ast.Subscript | ast.Attribute)]
        case ast.AugAssign(target=ast.Subscript() | ast.Attribute() as target):
            return [target]
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _CHANGING:
            return [value]
        case _:
            return []


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
