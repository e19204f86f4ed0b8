"""Statements, one after the other, as drafts."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepwell.graph import parallel
from stepwell.graph.calls import call, escape, store
from stepwell.graph.drafts import Blk, place_of
from stepwell.graph.expressions import bind, iterate, settle, visit
from stepwell.graph.frames import Binding, Frame, frame_of
from stepwell.graph.meanings import (
    Arguments,
    Class,
    Coroutine,
    Decorated,
    External,
    Function,
    Group,
    Meaning,
    ModuleMeaning,
    members,
)
from stepwell.graph.naming import text_of
from stepwell.graph.nodes import Block, Break, If, Loop, StepWait, Switch, Try
from stepwell.graph.payload import shape_of_uses
from stepwell.graph.stepcalls import is_mark, register


def read(frame: Frame, body: Sequence[ast.stmt]) -> None:
    """Read statements in a frame."""
    for statement in body:
        frame.reading.visit()
        _read(frame, statement)


def _read(frame: Frame, statement: ast.stmt) -> None:
    reader = _READERS.get(type(statement))
    if reader is not None:
        reader(frame, statement)
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            settle(frame, statement, visit(frame, child))


def _define(frame: Frame, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
    frame.bind(node.name, Class(node, frame) if isinstance(node, ast.ClassDef) else _defined(frame, node))


def _defined(frame: Frame, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Meaning | None:
    """Return what a function is under its decorators."""
    meaning: Meaning | None = Function(node, frame)
    for decorator in reversed(node.decorator_list):
        found = visit(frame, decorator)
        if is_mark(found) and isinstance(meaning, Function):
            at = ast.copy_location(ast.Call(decorator, [], []), decorator)
            meaning = call(frame, at, found, Arguments([meaning]))
    if isinstance(meaning, Decorated):
        register(frame, meaning)
    return meaning


def _import(frame: Frame, statement: ast.Import | ast.ImportFrom) -> None:
    modules, file = frame.reading.modules, frame.module.file
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            module = modules.named(name)
            frame.bind(alias.asname or name, External(name) if module is None else ModuleMeaning(module))
        return
    origin = statement.module or ""
    module = modules.named(origin, file, statement.level)
    for alias in statement.names:
        inner = None
        if module is None or alias.name not in module.statements:
            inner = modules.named(f"{origin}.{alias.name}" if origin else alias.name, file, statement.level)
        found = Binding(External(f"{origin}.{alias.name}"), None)
        if inner is not None:
            found = Binding(ModuleMeaning(inner), None)
        elif module is not None:
            found = frame_of(frame.reading, module).own(alias.name) or Binding(None, None)
        frame.bind(alias.asname or alias.name, found.meaning, found.expression)


def _assign(frame: Frame, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
    meaning = visit(frame, statement.value)
    if isinstance(statement, ast.AugAssign):
        if isinstance(statement.target, ast.Name) and meaning is None:
            frame.bind(statement.target.id, frame.lookup(statement.target.id))
        store(frame, statement.target, meaning)
        return
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if isinstance(statement.value, ast.Await) and isinstance(targets[0], ast.Name):
        _note_payload(frame, statement.value.value, targets[0].id)
    for target in targets:
        bind(frame, target, meaning, statement.value)


def _note_payload(frame: Frame, node: ast.expr, name: str) -> None:
    """Take note of what is asked of the event that a wait has given."""
    last = frame.drafts[-1] if frame.drafts else None
    if last is None or last.kind is not StepWait or frame.function is None:
        return
    if last.place == place_of(frame.module.file, node):
        last.members = {**last.members, "payload": shape_of_uses(frame.function, {name: ()})}


def _branches(frame: Frame, statement: ast.If | ast.Match) -> None:
    if isinstance(statement, ast.Match):
        visit(frame, statement.subject)
        blocks = [_case(frame, case) for case in statement.cases]
        frame.emit(frame.draft(Switch, statement, *blocks, discriminant=text_of(statement.subject)))
        return
    visit(frame, statement.test)
    blocks = []
    rest: Sequence[ast.stmt] = [statement]
    draft = frame.draft(If, statement)
    while rest:
        one = rest[0]
        if len(rest) > 1 or not isinstance(one, ast.If) or (blocks and _has_calls(one.test)):
            with frame.block() as block:
                read(frame, rest)
            blocks.append(block)
            break
        if blocks:
            visit(frame, one.test)
        with frame.block(text_of(one.test)) as block:
            read(frame, one.body)
        blocks.append(block)
        rest = one.orelse
    draft.blocks = blocks
    frame.emit(draft)


def _has_calls(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Await) for part in ast.walk(node))


def _case(frame: Frame, case: ast.match_case) -> Blk:
    head = text_of(case.pattern) + (f" if {text_of(case.guard)}" if case.guard is not None else "")
    with frame.block(None if head == "_" else head) as block:
        visit(frame, case.guard)
        read(frame, case.body)
    return block


def _loop(frame: Frame, statement: ast.For | ast.AsyncFor | ast.While) -> None:
    if isinstance(statement, ast.While):
        label = f"while {text_of(statement.test)}"
        with frame.block(label) as block:
            visit(frame, statement.test)
            read(frame, statement.body)
    else:
        word = "async for" if isinstance(statement, ast.AsyncFor) else "for"
        label = f"{word} {text_of(statement.target)} in {text_of(statement.iter)}"
        meaning = iterate(frame, statement.iter)
        with frame.block(label) as block:
            bind(frame, statement.target, meaning)
            read(frame, statement.body)
    frame.emit(frame.draft(Loop, statement, block, label=label))
    if statement.orelse:
        with frame.block("else") as other:
            read(frame, statement.orelse)
        frame.emit(frame.draft(Block, statement.orelse[0], other, label="else"))


def _try(frame: Frame, statement: ast.Try | ast.TryStar) -> None:
    with frame.block("try") as tried:
        read(frame, statement.body)
        if statement.orelse:
            with frame.block("else") as other:
                read(frame, statement.orelse)
            frame.emit(frame.draft(Block, statement.orelse[0], other, label="else"))
    handlers = []
    for handler in statement.handlers:
        with frame.block(_head(handler, isinstance(statement, ast.TryStar))) as caught:
            read(frame, handler.body)
        handlers.append((handler, caught))
    with frame.block("finally", is_certain=True) as last:
        read(frame, statement.finalbody)
    if len(handlers) > 1:
        own = [frame.draft(Block, handler, caught, label=caught.label) for handler, caught in handlers]
        catch = Blk("except", own)
    else:
        catch = handlers[0][1] if handlers else Blk(None)
    frame.emit(frame.draft(Try, statement, tried, catch, last))


def _head(handler: ast.ExceptHandler, is_group: bool) -> str:
    word = "except*" if is_group else "except"
    return word if handler.type is None else f"{word} {text_of(handler.type)}"


def _with(frame: Frame, statement: ast.With | ast.AsyncWith) -> None:
    groups: list[Group] = []
    for item in statement.items:
        meaning = visit(frame, item.context_expr)
        if isinstance(meaning, Coroutine):
            meaning = frame.run(meaning)
        groups += [one for one in members(meaning) if isinstance(one, Group)]
        if item.optional_vars is not None:
            bind(frame, item.optional_vars, meaning)
    if not groups:
        read(frame, statement.body)
        return
    with frame.block(is_certain=True) as block:
        read(frame, statement.body)
    parallel.close_group(frame, statement, groups[-1], block.drafts)


def _leave(frame: Frame, statement: ast.Return | ast.Raise | ast.Break | ast.Continue) -> None:
    match statement:
        case ast.Return(value=value):
            meaning = visit(frame, value)
            if meaning is not None:
                frame.returned.append(meaning)
            frame.emit(frame.draft(Break, statement, kind="return", word="return"))
        case ast.Raise(exc=error, cause=cause):
            for part in (error, cause):
                escape(frame, statement, visit(frame, part))
            frame.emit(frame.draft(Break, statement, kind="return", word="raise"))
        case ast.Break():
            frame.emit(frame.draft(Break, statement, kind="break", word="break"))
        case ast.Continue():
            frame.emit(frame.draft(Break, statement, kind="break", word="continue"))


_READERS: Mapping[type[ast.stmt], Callable[[Frame, Any], None]] = {
    ast.FunctionDef: _define,
    ast.AsyncFunctionDef: _define,
    ast.ClassDef: _define,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.Assign: _assign,
    ast.AnnAssign: _assign,
    ast.AugAssign: _assign,
    ast.If: _branches,
    ast.Match: _branches,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.While: _loop,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Return: _leave,
    ast.Raise: _leave,
    ast.Break: _leave,
    ast.Continue: _leave,
}
