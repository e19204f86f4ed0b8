"""From drafts to nodes: what leads to no step is left out, what is left gets its key."""

from collections.abc import Iterable, Sequence
from typing import cast

from stepwell.graph.drafts import Blk, Draft, Helper, Hole
from stepwell.graph.nodes import (
    AnyNode,
    Block,
    Branch,
    Break,
    FunctionCall,
    FunctionDef,
    If,
    Loop,
    Parallel,
    StepDo,
    Switch,
    Try,
)


def freeze(drafts: Sequence[Draft], helpers: Iterable[Helper]) -> tuple[tuple[AnyNode, ...], dict[str, FunctionDef]]:
    """Return the nodes of `run`, and the helpers that make steps and are called."""
    _find_makers(helpers)
    freezer = _Freezer()
    top = freezer.kept(drafts)
    _without_end(top)
    wanted = _reached(top)
    bodies = {helper: freezer.kept(helper.drafts) for helper in wanted}
    for body in bodies.values():
        _without_end(body)
    freezer.number([top, *bodies.values()])
    functions = {
        helper.name: FunctionDef(
            key=f"{helper.name}()", place=helper.place, name=helper.name, nodes=freezer.frozen(body)
        )
        for helper, body in bodies.items()
    }
    return freezer.frozen(top), functions


def _without_end(drafts: list[Draft]) -> None:
    """Take away the last `return` of a function: its end needs no word."""
    if drafts and drafts[-1].members.get("word") == "return":
        drafts.pop()


def _find_makers(helpers: Iterable[Helper]) -> None:
    """Take note which helpers make steps, themselves or by what they call."""
    helpers = list(helpers)
    is_news = True
    while is_news:
        is_news = False
        for helper in helpers:
            if not helper.makes_steps and any(_makes_steps(leaf) for one in helper.drafts for leaf in one.leaves()):
                helper.makes_steps = is_news = True


def _makes_steps(draft: Draft) -> bool:
    return draft.is_step or (draft.helper is not None and draft.helper.makes_steps)


def _reached(drafts: Sequence[Draft]) -> list[Helper]:
    found: dict[Helper, None] = {}
    waiting = list(drafts)
    while waiting:
        for leaf in waiting.pop(0).leaves():
            if leaf.helper is not None and leaf.helper.makes_steps and leaf.helper not in found:
                found[leaf.helper] = None
                waiting.extend(leaf.helper.drafts)
    return list(found)


class _Freezer:
    def __init__(self) -> None:
        self._keys = 0

    def kept(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Return the drafts that lead to steps or out of the run, in what they lie in."""
        found: list[Draft] = []
        for draft in drafts:
            for block in draft.blocks:
                block.drafts = self.kept(block.drafts)
            if draft.is_step and not any(_makes_steps(leaf) for one in draft.inner for leaf in one.leaves()):
                # How its body ends is no way out of the run.
                draft.blocks = []
            elif draft.is_step:
                for block in draft.blocks:
                    _without_end(block.drafts)
            if draft.kind is Hole:
                found.extend(draft.inner)
            elif self._is_kept(draft):
                found.append(draft)
        return found

    def number(self, bodies: Sequence[Sequence[Draft]]) -> None:
        """Give each draft its key: its number, in the order of the graph."""
        for body in bodies:
            for draft in body:
                if not draft.key:
                    self._keys += 1
                    draft.key = str(self._keys)
                self.number([block.drafts for block in draft.blocks])

    def frozen(self, drafts: Sequence[Draft]) -> tuple[AnyNode, ...]:
        """Return the nodes of drafts."""
        return tuple(self._node(draft) for draft in drafts)

    def _is_kept(self, draft: Draft) -> bool:
        if draft.kind is FunctionCall:
            return _makes_steps(draft)
        if draft.is_step or draft.kind is Break:
            return True
        leaves = list(draft.leaves())
        if draft.kind is Loop:
            return any(leaf.kind is not Break or leaf.members["kind"] == "return" for leaf in leaves)
        return bool(leaves)

    def _node(self, draft: Draft) -> AnyNode:
        kind = draft.kind
        its = {"key": draft.key, "place": draft.place, **draft.members}
        if draft.is_step or kind is FunctionCall:
            its |= {"starts": draft.starts, "resolves": draft.resolves}
        if kind is StepDo:
            its["depends"] = tuple(one.key for one in draft.depends if one.key)
        if kind in (StepDo, Loop, Parallel, Block):
            its["nodes"] = tuple(node for block in draft.blocks for node in self.frozen(block.drafts))
        elif kind in (If, Switch):
            its["branches"] = tuple(
                Branch(condition=block.label, nodes=self.frozen(block.drafts)) for block in draft.blocks
            )
        elif kind is Try:
            tried, caught, last = (self._block(draft, block) for block in draft.blocks)
            its |= {"try_block": tried, "catch_block": caught, "finally_block": last}
        # The members are those of the kind.
        return cast("AnyNode", kind(**its))

    def _block(self, draft: Draft, block: Blk) -> Block | None:
        if not block.drafts:
            return None
        self._keys += 1
        lines = [one.place for one in block.drafts if one.place is not None]
        place = lines[0] if lines else draft.place
        return Block(key=str(self._keys), place=place, nodes=self.frozen(block.drafts), label=block.label or "")
