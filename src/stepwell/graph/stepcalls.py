"""Calls of steps, sleeps, waits and children."""

import ast
from collections.abc import Mapping, Sequence

from stepwell.graph.drafts import Blk, Draft
from stepwell.graph.frames import Frame
from stepwell.graph.functions import read_body
from stepwell.graph.meanings import (
    Arguments,
    Coroutine,
    Decorated,
    External,
    Function,
    Many,
    Marked,
    Meaning,
    Partial,
    StepMethod,
    members,
)
from stepwell.graph.naming import config_of, duration_of, name_of, options_of, text_of
from stepwell.graph.nodes import Block, Parallel, StepDo, StepSleep, StepSleepUntil, StepWait
from stepwell.step_traits import TRAITS

# Stepwell's own decorator.
MARK = "stepwell.step"
_DEPENDS = 1
_CONFIG = 3
_TIMEOUT = 2


def call_step_method(frame: Frame, node: ast.Call, method: str, given: Arguments) -> Meaning | None:
    """Return what is to be awaited; None for methods that make no entry in the log."""
    drafts = {
        "do": _do,
        "sleep": _sleep,
        "sleep_until": _sleep_until,
        "wait_for_event": _wait,
        "child": _child,
    }
    make = drafts.get(method)
    if make is None:
        return None

    def begin(where: Frame) -> None:
        where.emit(make(frame, node, given))

    return frame.later(node, begin)


def call_marked(frame: Frame, node: ast.Call, marked: Marked) -> Coroutine:
    """Return what is to be awaited of a function under `@step`."""
    asked = _keywords(marked.call)
    its = marked.function.frame

    def begin(where: Frame) -> None:
        name = _name(its, asked.get("name"), marked.function)
        draft = where.draft(StepDo, node, Blk(None), **name, config=config_of(asked.get("config"), its.constant))
        draft.members = {**draft.members, "has_rollback": "rollback" in asked}
        draft.blocks[0].drafts = read_body(marked.function, Arguments())
        where.emit(draft)

    return frame.later(node, begin)


def call_decorated(frame: Frame, node: ast.Call, step: Decorated) -> Coroutine:
    """Return what is to be awaited of a function under `@step.do`."""

    def begin(where: Frame) -> None:
        _run_decorated(where, node, step)

    return frame.later(node, begin)


def register(frame: Frame, step: Decorated) -> None:
    """Let parameters of other steps name a step."""
    name, pattern = name_of(_asked_name(step), step.function.frame.constant)
    if pattern is None:
        frame.reading.steps[name or step.function.name] = step


def _run_decorated(frame: Frame, node: ast.AST, step: Decorated) -> None:
    """Emit a step behind those that it depends on and that have not run."""
    its, asked = step.function.frame, _keywords(step.call)
    given = step.call.args if step.call is not None else []
    needed = _needed(step, asked.get("depends") or (given[_DEPENDS] if len(given) > _DEPENDS else None))
    missing = [one for one in needed if one.last is None]
    concurrent = asked.get("concurrent") or (given[_DEPENDS + 1] if len(given) > _DEPENDS + 1 else None)
    if len(missing) > 1 and isinstance(concurrent, ast.Constant) and concurrent.value:
        branches = []
        for one in missing:
            with frame.block(is_certain=True) as block:
                _run_decorated(frame, node, one)
            branches += block.drafts if len(block.drafts) == 1 else [frame.draft(Block, node, block)]
        frame.emit(frame.draft(Parallel, node, Blk(None, branches), kind="all"))
    else:
        for one in missing:
            _run_decorated(frame, node, one)
    config = asked.get("config") or (given[_CONFIG] if len(given) > _CONFIG else None)
    draft = its.draft(
        StepDo,
        step.function.node,
        Blk(None),
        **_name(its, _asked_name(step), step.function),
        config=config_of(config, its.constant),
        has_rollback="rollback" in asked,
    )
    step.last = draft
    draft.blocks[0].drafts = read_body(step.function, Arguments())
    draft.depends = [one.last for one in needed if one.last is not None]
    frame.emit(draft)


def _needed(step: Decorated, depends: ast.expr | None) -> list[Decorated]:
    """Return the steps whose results a step's parameters get."""
    its = step.function.frame
    if depends is not None:
        listed = depends.elts if isinstance(depends, ast.List | ast.Tuple) else []
        named = [its.lookup(one.id) for one in listed if isinstance(one, ast.Name)]
        return [one for one in named if isinstance(one, Decorated) and one is not step]
    found = [its.reading.steps.get(parameter.arg) for parameter in step.function.parameters]
    return [one for one in found if one is not None and one is not step]


def _asked_name(step: Decorated) -> ast.expr | None:
    if step.call is None:
        return None
    return step.call.args[0] if step.call.args else _keywords(step.call).get("name")


def _do(frame: Frame, node: ast.Call, given: Arguments) -> Draft:
    asked = _keywords(node)
    body = given.positional[1] if len(given.positional) > 1 else None
    named = {name: one for name, one in given.named.items() if name != "config" and name not in TRAITS}
    return frame.draft(
        StepDo,
        node,
        Blk(None, _body(body, Arguments(given.positional[2:], named))),
        **_name(frame, node.args[0]),
        config=config_of(asked.get("config"), frame.constant),
        has_rollback="rollback" in asked,
    )


def _body(meaning: Meaning | None, given: Arguments) -> list[Draft]:
    match meaning:
        case Function():
            return read_body(meaning, given)
        case Marked(function=function):
            return read_body(function, given)
        case Partial(callee=inner, arguments=before):
            return _body(inner, given.behind(before))
        case Many():
            return [draft for member in members(meaning) for draft in _body(member, given)]
        case _:
            return []


def _sleep(frame: Frame, node: ast.Call, _: Arguments) -> Draft:
    name, duration = _two(node, "name", "duration")
    return frame.draft(StepSleep, node, **_name(frame, name), duration=duration_of(duration, frame.constant))


def _sleep_until(frame: Frame, node: ast.Call, _: Arguments) -> Draft:
    name, timestamp = _two(node, "name", "timestamp")
    text = "" if timestamp is None else text_of(timestamp)
    return frame.draft(StepSleepUntil, node, **_name(frame, name), timestamp=text)


def _wait(frame: Frame, node: ast.Call, _: Arguments) -> Draft:
    name, event_type = _two(node, "name", "event_type")
    timeout = _keywords(node).get("timeout") or (node.args[_TIMEOUT] if len(node.args) > _TIMEOUT else None)
    # Without a type the call will fail.
    options = None if event_type is None else options_of(event_type, timeout, frame.constant)
    return frame.draft(StepWait, node, **_name(frame, name), options=options)


def _child(frame: Frame, node: ast.Call, _: Arguments) -> Draft:
    name, workflow = _two(node, "name", "workflow")
    child = "" if workflow is None else text_of(workflow).rpartition(".")[2]
    return frame.draft(
        StepDo, node, **_name(frame, name), config=config_of(None, frame.constant), child=child or text_of(node)
    )


def _two(node: ast.Call, first: str, second: str) -> tuple[ast.expr | None, ast.expr | None]:
    asked = _keywords(node)
    found: Sequence[ast.expr | None] = [*node.args[:2], None, None]
    return found[0] or asked.get(first), found[1] or asked.get(second)


def _name(frame: Frame, node: ast.expr | None, function: Function | None = None) -> Mapping[str, str | None]:
    name, pattern = name_of(node, frame.constant)
    return {"name": name or ("" if function is None else function.name), "pattern": pattern}


def _keywords(call: ast.Call | None) -> dict[str, ast.expr]:
    return {} if call is None else {one.arg: one.value for one in call.keywords if one.arg is not None}


def is_mark(meaning: Meaning | None) -> bool:
    """Tell whether something makes steps of functions: Stepwell's `@step`, or `@step.do` of a step object."""
    callee = meaning.callee if isinstance(meaning, Partial) else meaning
    return isinstance(callee, External | StepMethod) and callee.name in (MARK, "do")
