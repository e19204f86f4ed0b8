"""Nodes while the source is read: they can still grow, move and be numbered."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from stepwell.graph.nodes import (
    Break,
    FunctionCall,
    Place,
    StepDo,
    StepSleep,
    StepSleepUntil,
    StepWait,
)

STEPS = (StepDo, StepSleep, StepSleepUntil, StepWait)
_CALLED = (*STEPS, FunctionCall)


class Hole:
    """The kind of a draft that only holds a place: what it comes to have takes it."""


class Blk(Struct, eq=False):
    """Drafts one after the other, under the head that they have in the source."""

    label: str | None
    drafts: "list[Draft]" = field(default_factory=list)


class Helper(Struct, eq=False):
    """A function of the author's that was read, once for each set of callables that it was given."""

    name: str
    place: Place | None
    drafts: "list[Draft]" = field(default_factory=list)
    result: Any = None
    is_read: bool = False
    makes_steps: bool = False


class Draft(Struct, eq=False):
    """A node to be: its kind, its own members, and its blocks of others."""

    kind: type
    place: Place | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    blocks: list[Blk] = field(default_factory=list)
    helper: Helper | None = None
    depends: "list[Draft]" = field(default_factory=list)
    starts: int | None = None
    resolves: int | None = None
    key: str = ""

    @property
    def is_step(self) -> bool:
        """Whether the log has entries of it."""
        return self.kind in STEPS

    @property
    def inner(self) -> "Iterator[Draft]":
        """The drafts in its blocks."""
        for block in self.blocks:
            yield from block.drafts

    def called(self) -> "Iterator[Draft]":
        """Give the calls that it is made of: itself, or those within it; not those in the body of a step."""
        if self.kind in _CALLED:
            yield self
        else:
            for draft in self.inner:
                yield from draft.called()

    def leaves(self) -> "Iterator[Draft]":
        """Give the calls and the ways out within it, itself too; in bodies of steps as well."""
        if self.kind in _CALLED or self.kind is Break:
            yield self
        for draft in self.inner:
            yield from draft.leaves()


def place_of(file: str, node: ast.AST) -> Place:
    """Return where a node of the syntax stands; a function begins with its first decorator."""
    decorators = getattr(node, "decorator_list", [])
    first = decorators[0] if decorators else node
    line = getattr(first, "lineno", 1)
    return Place(file, line, getattr(node, "end_lineno", None) or line)
