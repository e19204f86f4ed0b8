"""What asyncio does at the same time: gathers, waits, tasks and groups."""

import ast
from collections.abc import Sequence

from stepwell.graph.drafts import Blk, Draft
from stepwell.graph.frames import Frame
from stepwell.graph.meanings import Arguments, Coroutine, External, Group, Many, Meaning, Task, members
from stepwell.graph.naming import text_of
from stepwell.graph.nodes import Block, Kind, Loop, Parallel


def call_asyncio(frame: Frame, node: ast.Call, name: str, given: Arguments) -> tuple[bool, Meaning | None]:
    """Make the drafts of a call of asyncio; return whether it is known, and what it gives."""
    first = next(iter(given), None)
    match name.rpartition(".")[2]:
        case "gather":
            is_settled = _is_true(_keyword(node, "return_exceptions"))
            return True, _all_of(frame, node, "all_settled" if is_settled else "all", given.positional)
        case "wait":
            return True, _all_of(frame, node, _kind_of_wait(node), [first])
        case "as_completed":
            return True, _all_of(frame, node, "all", [first])
        case "create_task" | "ensure_future" | "run_coroutine_threadsafe":
            return True, frame.start(first)
        case "TaskGroup":
            return True, Group()
        case "get_running_loop" | "get_event_loop":
            return True, External("asyncio.loop")
        case "run" | "run_until_complete":
            return True, frame.run(first)
        case _:
            return False, None


def begin_in_group(frame: Frame, group: Group, meaning: Meaning | None) -> Task:
    """Begin a task of a group."""
    with frame.block(is_certain=True) as block:
        frame.run(meaning)
    group.begun.update(called for draft in block.drafts for called in draft.called())
    frame.drafts.extend(block.drafts)
    return Task(block.drafts)


def close_group(frame: Frame, node: ast.AST, group: Group, drafts: Sequence[Draft]) -> None:
    """Add what was done in the block of a group: its tasks side by side, beside whatever else is done there."""
    if not any(called in group.begun for draft in drafts for called in draft.called()):
        frame.drafts.extend(drafts)
        return
    branches: list[Draft] = []
    own: list[Draft] = []
    for draft in drafts:
        called = [*draft.called()]
        if called and all(one in group.begun for one in called):
            branches.append(draft)
        else:
            own.append(draft)
    if any([*draft.leaves()] for draft in own):
        branches.append(_branch(frame, node, own))
    frame.emit(frame.draft(Parallel, node, Blk(None, branches), kind="all"))


def for_each(frame: Frame, node: ast.Call, meaning: Meaning | None) -> Meaning | None:
    """Return what `map` gives of what a call gives: the same, again and again."""
    if not isinstance(meaning, Coroutine):
        return meaning
    meaning.is_used = True
    return loop_later(frame, node, text_of(node), meaning)


def loop_later(frame: Frame, node: ast.expr, label: str, meaning: Meaning) -> Coroutine:
    """Return what is awaited again and again, when it is."""

    def begin(where: Frame) -> Meaning | None:
        with where.block(label) as block:
            result = where.run(meaning)
        where.emit(where.draft(Loop, node, block, label=label))
        return result

    return frame.later(node, begin)


def _all_of(frame: Frame, node: ast.Call, kind: Kind, meanings: Sequence[Meaning | None]) -> Coroutine:
    waited = [one for meaning in meanings for one in members(meaning)]

    def begin(where: Frame) -> Meaning | None:
        tasks = [one for one in waited if isinstance(one, Task)]
        branches = where.pull(tasks)
        if not branches:
            for task in tasks:
                where.resolve(task.drafts)
        results: list[Meaning | None] = []
        for one in waited:
            if isinstance(one, Coroutine):
                with where.block(is_certain=True) as block:
                    results.append(where.run(one))
                if block.drafts:
                    branches.append(_branch(where, node, block.drafts))
        if branches:
            where.emit(where.draft(Parallel, node, Blk(None, branches), kind=kind))
        return Many(results)

    return frame.later(node, begin)


def _branch(frame: Frame, node: ast.AST, drafts: list[Draft]) -> Draft:
    return drafts[0] if len(drafts) == 1 else frame.draft(Block, node, Blk(None, drafts))


def _kind_of_wait(node: ast.Call) -> Kind:
    when = _keyword(node, "return_when")
    text = "" if when is None else text_of(when).upper()
    if "FIRST_COMPLETED" in text:
        return "race"
    return "all" if "FIRST_EXCEPTION" in text else "all_settled"


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in node.keywords if one.arg == name), None)


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)
