"""Rules about calls: what is not awaited, never called, blocks, or is given what it cannot take."""

import ast
from collections.abc import Iterator
from typing import Any

from stepwell import durations, limits
from stepwell.checks.source import STEP_METHODS, Body, Flow, Function, Source
from stepwell.core import retries
from stepwell.errors import InvalidStepConfig

Found = Iterator[tuple[ast.AST, str, str]]

_AWAITED = ("sleep", "sleep_until", "wait_for_event", "set_progress", "set_labels")
# Calls that block, and what does the same on an event loop.
_BLOCKING = {
    "time.sleep": "await asyncio.sleep(...)",
    "input": None,
    "os.system": "asyncio.create_subprocess_shell",
    "subprocess.run": "asyncio.create_subprocess_exec",
    "subprocess.call": "asyncio.create_subprocess_exec",
    "subprocess.check_call": "asyncio.create_subprocess_exec",
    "subprocess.check_output": "asyncio.create_subprocess_exec",
    "urllib.request.urlopen": "an asynchronous client",
    "urllib.request.urlretrieve": "an asynchronous client",
    "socket.create_connection": "asyncio.open_connection",
    "smtplib.SMTP": None,
    "smtplib.SMTP_SSL": None,
    "sqlite3.connect": None,
    "psycopg2.connect": "psycopg.AsyncConnection",
    "psycopg.connect": "psycopg.AsyncConnection",
    "pymysql.connect": None,
    "boto3.client": None,
    "boto3.resource": None,
}
_CLIENTS = ("requests", "httpx")
_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")
# A moment below this many milliseconds is in 1973; as seconds it is today.
_SMALLEST_MOMENT_MS = 1e11
# So few milliseconds nobody sleeps on purpose.
_SMALLEST_SLEEP_MS = 100


def not_awaited(source: Source, flow: Flow) -> Found:
    """Find steps, sleeps and waits that are called as statements, without `await`."""
    steps = {step.function.name for step in flow.decorated} | set(source.marked)
    for node in ast.walk(flow.function):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            continue
        call = node.value
        method = source.step_method(flow, call)
        is_step = isinstance(call.func, ast.Name) and call.func.id in steps
        if is_step or method in _AWAITED or (method == "do" and source.is_direct(call)):
            called = ast.unparse(call.func)
            yield (
                call,
                "not-awaited",
                f"{called}(...) is not awaited, so it does not happen; write `await {called}(...)`",
            )


def never_called(_: Source, flow: Flow) -> Found:
    """Find decorated steps that nothing calls and no other step depends on."""
    loaded = {
        node.id for node in ast.walk(flow.function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    wanted = {node.arg for node in ast.walk(flow.function) if isinstance(node, ast.arg)}
    for step in flow.decorated:
        name = step.function.name
        if name not in loaded and step.name not in wanted:
            yield step.function, "step-never-called", f"the step {name} is never called; write `await {name}()`"
    names = {step.function.name for step in flow.decorated}
    for node in ast.walk(flow.function):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Name) and node.value.id in names:
            name = node.value.id
            yield node, "step-never-called", f"`await {name}` calls nothing; write `await {name}()`"


def unknown_parameters(source: Source, flow: Flow) -> Found:
    """Find parameters that name no step, where all steps can be seen."""
    if not flow.is_run or not _shows_all_steps(source, flow):
        return
    known = [step.name for step in flow.decorated if step.name is not None]
    for step in flow.decorated:
        for name in _parameters(step.function) if step.names_dependencies else ():
            if name not in known:
                others = ", ".join(other for other in known if other != step.name) or "no other step"
                yield (
                    step.function,
                    "unknown-parameter",
                    f"the parameter {name} of step {step.name} names no step (there is {others}); a parameter is "
                    "`ctx`, or the name of a step whose result it gets",
                )


def blocking_in_body(source: Source, body: Body) -> Found:
    """Find calls that block in an async body."""
    if isinstance(body, ast.AsyncFunctionDef):
        for node, called, instead in _blocking(source, source.inside(body)):
            better = f", or use {instead}" if instead else ""
            yield (
                node,
                "blocking-call",
                f"{called}(...) blocks the event loop, and with it all instances of the worker; make the step "
                f"{body.name} a plain `def`, which runs in a thread{better}",
            )


def blocking_outside(source: Source, flow: Flow) -> Found:
    """Find calls that block, outside of steps."""
    for node, called, _ in _blocking(source, source.outside(flow)):
        yield (
            node,
            "blocking-call",
            f"{called}(...) outside of a step blocks, and is done again at each replay; move it into a step",
        )


def arguments(source: Source, flow: Flow) -> Found:
    """Find names, configs, durations and event types that will be refused when the code runs."""
    for call in source.step_calls(flow, *STEP_METHODS):
        method, given = source.step_method(flow, call), _keywords(call)
        first = call.args[0] if call.args else given.get("name")
        name = _literal(first)
        if isinstance(name, str) and not limits.is_step_name(name):
            yield (
                call,
                "step-name",
                f"no step can be called {name!r:.60}: at most {limits.STEP_NAME_LENGTH} characters, no control ones",
            )
        if "config" in given:
            yield from _config(source, given["config"], name if isinstance(name, str) else "")
        yield from _sleeping(method, call, given)
        if method == "wait_for_event":
            yield from _waiting(call, given)


def sent_events(_: Source, flow: Flow) -> Found:
    """Find events that are sent with a type that they cannot have."""
    for node in ast.walk(flow.function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("send_event", "sendEvent")
        ):
            said = node.args[0] if node.args else None
            pairs = zip(said.keys, said.values, strict=True) if isinstance(said, ast.Dict) else ()
            given = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)} | _keywords(node)
            yield from _event_type(node, given.get("type"))


def _parameters(function: Function) -> list[str]:
    found = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [parameter.arg for parameter in found if parameter.arg != "ctx"]


def _shows_all_steps(source: Source, flow: Flow) -> bool:
    """Tell whether each step that a parameter can name stands here, under a name that can be read."""
    if any(step.name is None for step in flow.decorated) or _is_handed_on(flow):
        return False
    decorators = {id(decorator) for step in flow.decorated for decorator in step.function.decorator_list}
    calls = source.step_calls(flow, "do")
    return all(source.is_direct(call) or id(call) in decorators for call in calls)


def _is_handed_on(flow: Flow) -> bool:
    """Tell whether the step object goes somewhere else, which may make steps that cannot be seen here."""
    attributes = {id(node.value) for node in ast.walk(flow.function) if isinstance(node, ast.Attribute)}
    names = (node for node in ast.walk(flow.function) if isinstance(node, ast.Name) and node.id == flow.step)
    return any(id(node) not in attributes for node in names)


def _blocking(source: Source, nodes: Iterator[ast.AST]) -> Iterator[tuple[ast.AST, str, str | None]]:
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        called = source.dotted(node.func) or ""
        package, _, verb = called.rpartition(".")
        if called in _BLOCKING:
            yield node, called, _BLOCKING[called]
        elif package in _CLIENTS and package in source.imports.values() and verb in _VERBS:
            yield node, called, "httpx.AsyncClient"


def _keywords(call: ast.Call) -> dict[Any, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}


def _literal(node: ast.expr | None) -> Any:
    """Return the value of a literal; None if it is none."""
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        # What Python's own function may raise, by its documentation.
        return None


def _config(source: Source, node: ast.expr, name: str) -> Found:
    config = _literal(node)
    try:
        if config is not None:
            retries.merge(name, config, most=source.retries_per_step)
    except InvalidStepConfig as error:
        yield node, "step-config", str(error)


def _sleeping(method: str | None, call: ast.Call, given: dict[Any, ast.expr]) -> Found:
    if method not in ("sleep", "sleep_until"):
        return
    node = call.args[1] if len(call.args) > 1 else given.get("duration" if method == "sleep" else "timestamp")
    value = _literal(node)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if method == "sleep_until":
        if (is_number and value < _SMALLEST_MOMENT_MS) or (node is not None and _is_in_seconds(node)):
            yield (
                call,
                "milliseconds",
                "sleep_until takes milliseconds since 1970, and this is in seconds; give a datetime, or multiply "
                "by 1000",
            )
    elif is_number and 0 < value < _SMALLEST_SLEEP_MS:
        yield call, "milliseconds", f'sleep takes milliseconds; {value} seconds are "{value} seconds"'
    elif isinstance(value, str) and durations.to_ms(value) is None:
        yield call, "duration", f"{value!r:.60} is no duration; give {durations.EXPECTED}"


def _is_in_seconds(node: ast.expr) -> bool:
    """Tell whether a moment is reckoned from `time.time()` or `.timestamp()`, and never multiplied."""
    calls = [ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)]
    is_multiplied = any(isinstance(part, ast.Mult) for part in ast.walk(node))
    return not is_multiplied and any(name == "time" or name.endswith((".time", ".timestamp")) for name in calls)


def _waiting(call: ast.Call, given: dict[Any, ast.expr]) -> Found:
    yield from _event_type(call, call.args[1] if len(call.args) > 1 else given.get("event_type"))
    timeout = _literal(call.args[2] if len(call.args) > 2 else given.get("timeout"))  # noqa: PLR2004 - the third
    if isinstance(timeout, str) and durations.to_ms(timeout) is None:
        yield call, "duration", f"{timeout!r:.60} is no duration; give {durations.EXPECTED}"


def _event_type(call: ast.Call, node: ast.expr | None) -> Found:
    given = _literal(node)
    if isinstance(given, str) and not limits.is_event_type(given):
        yield call, "event-type", f"no event can have the type {given!r:.60}: {limits.NAME_RULE}, and no dot"
