"""Where a stretch of source is read: what its names mean there, and the drafts that it has made so far."""

import ast
import builtins
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct, field

from stepwell.graph.drafts import Blk, Draft, Helper, Hole, place_of
from stepwell.graph.meanings import (
    Class,
    Coroutine,
    Decorated,
    External,
    Function,
    Instance,
    Many,
    Meaning,
    StepObject,
    Task,
    members,
    together,
)
from stepwell.graph.modules import Module, Modules, TooMuch
from stepwell.graph.nodes import FunctionCall

_MOST_VISITS = 150_000
_MOST_REMARKS = 50
_TOO_LONG = "the source takes too long to be followed: it is very long, or its helpers call each other in many ways"


class Binding(Struct, eq=False):
    """What a name means, and its expression if it was bound once."""

    meaning: Meaning | None
    expression: ast.expr | None


class Reading(Struct, eq=False):
    """What is known while one workflow is read."""

    modules: Modules
    # Reads statements in a frame.
    read: "Callable[[Frame, Sequence[ast.stmt]], None]"
    step: StepObject = field(default_factory=StepObject)
    # Decorated steps by the names that parameters of others have.
    steps: dict[str, Decorated] = field(default_factory=dict)
    helpers: dict[tuple[object, ...], Helper] = field(default_factory=dict)
    # The ways in which each function was read, and the names that they have.
    ways: dict[ast.AST, list[Helper]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    module_frames: "dict[Module, Frame]" = field(default_factory=dict)
    # Bodies of steps that are being read.
    bodies: set[ast.AST] = field(default_factory=set)
    class_frames: "dict[ast.ClassDef, Frame]" = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)
    points: int = 0
    visits: int = 0

    def point(self) -> int:
        """Return the number of the next point at which something is begun or awaited."""
        self.points += 1
        return self.points

    def visit(self) -> None:
        """Count a piece of source that is looked at. Raises TooMuch."""
        self.visits += 1
        if self.visits > _MOST_VISITS:
            raise TooMuch(_TOO_LONG)

    def remark(self, file: str, node: ast.AST, text: str) -> None:
        """Take note of what could not be followed."""
        if len(self.remarks) < _MOST_REMARKS:
            self.remarks.setdefault(f"{file}:{getattr(node, 'lineno', 1)}: {text}")


class Frame:
    """A stretch of source in which names mean the same: a module, a function, a class, a comprehension."""

    def __init__(self, reading: Reading, module: Module, parent: "Frame | None" = None) -> None:
        self.reading = reading
        self.module = module
        self.parent = parent
        # The object whose method is read.
        self.owner: Instance | None = None if parent is None else parent.owner
        # The function that is read.
        self.function: ast.AST | None = None if parent is None else parent.function
        # The class whose body this is.
        self.kind: Class | None = None
        self.names: dict[str, Binding] = {}
        self.drafts: list[Draft] = []
        self.returned: list[Meaning] = []
        # How many conditions and loops it is in: a name that is bound there may mean what it did before as well.
        self.depth = 0
        self._coroutines: list[tuple[Coroutine, ast.AST]] = []

    def lookup(self, name: str) -> Meaning | None:
        """Return what a name means here."""
        binding = self._binding(name)
        if binding is not None:
            return binding.meaning
        return External(name) if hasattr(builtins, name) else None

    def own(self, name: str) -> Binding | None:
        """Return what binds a name in this very stretch; None if nothing does."""
        return self.names.get(name)

    def constant(self, name: str) -> ast.expr | None:
        """Return the expression that a name stands for, if it stands for one alone."""
        binding = self._binding(name)
        return None if binding is None else binding.expression

    def bind(self, name: str, meaning: Meaning | None, expression: ast.expr | None = None) -> None:
        """Let a name mean something from here on."""
        before = self.names.get(name)
        if before is None:
            self.names[name] = Binding(meaning, expression)
            return
        before.expression = None
        before.meaning = together(before.meaning, meaning) if self.depth else meaning

    def add(self, name: str, meaning: Meaning | None) -> None:
        """Put something into the container that a name means."""
        frame: Frame | None = self
        while frame is not None and name not in frame.names:
            frame = frame.parent
        binding = (frame or self).names.setdefault(name, Binding(None, None))
        binding.expression = None
        binding.meaning = Many(list(dict.fromkeys([*members(binding.meaning), *members(meaning)])))

    def emit(self, draft: Draft) -> None:
        """Add a draft to those of this stretch."""
        self.drafts.append(draft)

    def draft(self, kind: type, node: ast.AST, /, *blocks: Blk, **its: object) -> Draft:
        """Make a draft of a node of the syntax."""
        return Draft(kind, place_of(self.module.file, node), its, list(blocks))

    @contextmanager
    def block(self, label: str | None = None, *, is_certain: bool = False) -> Iterator[Blk]:
        """Read what follows into a block of its own."""
        outer, self.drafts = self.drafts, []
        block = Blk(label, self.drafts)
        self.depth += not is_certain
        try:
            yield block
        finally:
            self.drafts = outer
            self.depth -= not is_certain

    def later(self, node: ast.AST, begin: "Callable[[Frame], Meaning | None]") -> Coroutine:
        """Return what is still to be awaited, and keep a place for it, which is taken if nobody does."""
        coroutine = Coroutine(begin, self.draft(Hole, node, Blk(None)))
        self.emit(coroutine.hole)
        self._coroutines.append((coroutine, node))
        return coroutine

    def close(self) -> None:
        """Fill the places of what was never awaited, as far as can be seen."""
        returned = {one for meaning in self.returned for one in members(meaning)}
        for coroutine, node in self._coroutines:
            if not coroutine.is_used and coroutine not in returned:
                self.fill(coroutine, node)

    def fill(self, coroutine: Coroutine, node: ast.AST) -> None:
        """Let a coroutine happen in the place where it was made."""
        coroutine.is_used = True
        outer, self.drafts = self.drafts, coroutine.hole.blocks[0].drafts
        try:
            coroutine.begin(self)
        finally:
            self.drafts = outer
        if any(draft.is_step for draft in coroutine.hole.called()):
            self.reading.remark(self.module.file, node, "nobody is seen to await this; it stands where it is called")

    def run(self, meaning: Meaning | None) -> Meaning | None:
        """Let what is awaited happen here; return what the await gives."""
        self.reading.visit()
        match meaning:
            case Coroutine():
                meaning.is_used = True
                return meaning.begin(self)
            case Task(drafts=drafts):
                self.resolve(drafts)
                return None
            case Many():
                return together(*[self.run(one) for one in members(meaning)])
            case _:
                return None

    def resolve(self, drafts: Sequence[Draft]) -> None:
        """Take note that what was begun is awaited here."""
        waiting = [draft for one in drafts for draft in one.called() if draft.starts and draft.resolves is None]
        if waiting:
            point = self.reading.point()
            for draft in waiting:
                draft.resolves = point

    def start(self, meaning: Meaning | None) -> Task:
        """Begin what is awaited later."""
        with self.block(is_certain=True) as block:
            self.run(meaning)
        begun = [draft for one in block.drafts for draft in one.called() if draft.starts is None]
        if begun:
            point = self.reading.point()
            for draft in begun:
                draft.starts = point
        self.drafts.extend(block.drafts)
        return Task(block.drafts)

    def pull(self, tasks: Sequence[Task]) -> list[Draft]:
        """Take back the drafts of tasks, where nothing was done since they were begun."""
        wanted = {called for task in tasks for draft in task.drafts for called in draft.called()}
        if not wanted:
            return []
        pulled: list[Draft] = []
        at = len(self.drafts)
        while at and set(self.drafts[at - 1].called()) <= wanted:
            at -= 1
            if self.drafts[at].kind is not Hole:
                pulled.insert(0, self.drafts[at])
        found = {called for draft in pulled for called in draft.called()}
        if found != wanted:
            return []
        self.drafts[at:] = [draft for draft in self.drafts[at:] if draft.kind is Hole and not [*draft.called()]]
        for called in found:
            called.starts = called.resolves = None
        return pulled

    def call_helper(self, node: ast.AST, helper: Helper) -> None:
        """Add the call of a function that was read."""
        draft = self.draft(FunctionCall, node, name=helper.name)
        draft.helper = helper
        self.emit(draft)

    def _binding(self, name: str) -> Binding | None:
        frame: Frame | None = self
        while frame is not None:
            found = frame.own(name)
            if found is not None:
                return found
            frame = frame.parent
        return None


class ModuleFrame(Frame):
    """The top level of a module, whose statements are read when their names are asked for."""

    def own(self, name: str) -> Binding | None:
        """Return what binds a name in the module; None if nothing does."""
        if name not in self.names and name in self.module.statements:
            self.names[name] = Binding(None, None)
            statements = self.module.statements[name]
            # What is read asks for other names of the module, which are read meanwhile.
            outer, self.depth = self.depth, len(statements) > 1
            self.reading.read(self, statements)
            self.depth = outer
            if len(statements) == 1 and isinstance(statements[0], ast.Assign | ast.AnnAssign):
                self.names[name].expression = statements[0].value
        return self.names.get(name)


def frame_of(reading: Reading, module: Module) -> Frame:
    """Return the frame of a module's top level."""
    return reading.module_frames.setdefault(module, ModuleFrame(reading, module))


def key_of(function: Function, given: Sequence[tuple[str, Meaning]]) -> tuple[object, ...]:
    """Return what tells apart the ways in which a function is read: by what it is a method of and what it is given."""
    owner = function.owner
    return (function.node, _identity(owner), tuple((name, _identity(meaning)) for name, meaning in given))


def _identity(meaning: Meaning | None) -> object:
    match meaning:
        case Instance(kind=kind, before=before) if not meaning.attributes:
            return (kind.node, before)
        case Function(node=node, owner=owner):
            return (node, _identity(owner))
        case External(name=name):
            return name
        case Many():
            return tuple(map(_identity, members(meaning)))
        case _:
            return meaning
