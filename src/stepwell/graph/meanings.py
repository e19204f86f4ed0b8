"""What an expression of an author's source may mean, as far as a graph has to know.

Whatever else an expression means, numbers, texts, results of steps, is None.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepwell.graph.drafts import Draft
    from stepwell.graph.frames import Frame
    from stepwell.graph.modules import Module

_MOST_PLACES = 200

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(eq=False, slots=True)
class StepObject:
    """What `run` receives as `step`."""


@dataclass(eq=False, slots=True)
class StepMethod:
    """A method of the step object."""

    name: str


@dataclass(eq=False, slots=True)
class External:
    """What other packages have, or Python itself, by its dotted name."""

    name: str


@dataclass(eq=False, slots=True)
class Function:
    """A function of the author's, and what its first parameter is bound to, if it is a method."""

    node: FunctionNode
    frame: "Frame"
    owner: "Instance | None" = None

    @property
    def name(self) -> str:
        """Its name; that of a lambda is `lambda`."""
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def positional(self) -> list[ast.arg]:
        """Its parameters that have a place."""
        return [*self.node.args.posonlyargs, *self.node.args.args]

    @property
    def parameters(self) -> list[ast.arg]:
        """Its parameters, but for `*args` and `**kwargs`."""
        return [*self.positional, *self.node.args.kwonlyargs]


@dataclass(eq=False, slots=True)
class Decorated:
    """A function under `@step.do`; `call` is the decorator, if it is called. `last` is the node of its latest call."""

    function: Function
    call: ast.Call | None
    last: "Draft | None" = None


@dataclass(eq=False, slots=True)
class Marked:
    """A function under Stepwell's `@step`."""

    function: Function
    call: ast.Call | None


@dataclass(eq=False, slots=True)
class Class:
    """A class of the author's."""

    node: ast.ClassDef
    frame: "Frame"


@dataclass(eq=False, slots=True)
class Instance:
    """An object of a class of the author's. `before`: look for attributes behind this class, as `super()` does."""

    kind: Class
    attributes: "dict[str, Meaning | None]" = field(default_factory=dict)
    before: Class | None = None


@dataclass(eq=False, slots=True)
class Coroutine:
    """What was called and is still to be awaited. `begin` lets it happen; `hole` is where it stands if nobody does."""

    begin: "Callable[[Frame], Meaning | None]"
    hole: "Draft"
    is_used: bool = False


@dataclass(eq=False, slots=True)
class Task:
    """What was begun, and may be awaited."""

    drafts: "Sequence[Draft]"


@dataclass(eq=False, slots=True)
class Group:
    """A TaskGroup, and what was begun in it."""

    begun: "set[Draft]" = field(default_factory=set)


@dataclass(eq=False, slots=True)
class GroupMethod:
    """The method of a TaskGroup that begins a task."""

    group: Group


@dataclass(eq=False, slots=True)
class Many:
    """One of these, or a container of them, in their places; `labels` say which is meant, where that is known."""

    members: "Sequence[Meaning | None]"
    labels: Sequence[str] = ()


@dataclass(eq=False, slots=True)
class Partial:
    """A callable that was given some of its arguments, in the call `node`; or one that is still to get its function."""

    callee: "Meaning"
    arguments: "Arguments"
    node: ast.Call
    is_decorator: bool = False


@dataclass(eq=False, slots=True)
class ModuleMeaning:
    """A module of the script's folder."""

    module: "Module"


Meaning = (
    StepObject
    | StepMethod
    | External
    | Function
    | Decorated
    | Marked
    | Class
    | Instance
    | Coroutine
    | Task
    | Group
    | GroupMethod
    | Many
    | Partial
    | ModuleMeaning
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the arguments of a call mean."""

    positional: Sequence[Meaning | None] = ()
    named: Mapping[str, Meaning | None] = field(default_factory=dict)

    def behind(self, before: "Arguments") -> "Arguments":
        """Return these behind those that were given before."""
        return Arguments((*before.positional, *self.positional), {**before.named, **self.named})

    def __iter__(self) -> Iterator[Meaning | None]:
        """Give all of them."""
        yield from self.positional
        yield from self.named.values()


def members(meaning: Meaning | None) -> Iterator[Meaning]:
    """Give what a meaning is made of: the members of a container, and theirs; each container once."""
    waiting, known = [meaning], set[int]()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Many):
            if one is not None:
                yield one
        elif id(one) not in known:
            known.add(id(one))
            waiting.extend(reversed(one.members))


def held(found: Sequence[Meaning | None]) -> Many:
    """Return a container of these. Of very many only the different ones are kept, and no places."""
    return Many(found if len(found) <= _MOST_PLACES else list(dict.fromkeys(found)))


def together(*meanings: Meaning | None) -> Meaning | None:
    """Return what may be any of these."""
    found = list(dict.fromkeys(one for meaning in meanings for one in members(meaning)))
    if len(found) <= 1:
        return found[0] if found else None
    return Many(found)


def elements(meaning: Meaning | None) -> Meaning | None:
    """Return what an element of a container means; places within it are kept where all elements have as many."""
    if not isinstance(meaning, Many):
        return meaning
    rows = [member for member in meaning.members if isinstance(member, Many)]
    if rows and len(rows) == len(meaning.members) and len({len(row.members) for row in rows}) == 1:
        return Many([together(*column) for column in zip(*(row.members for row in rows), strict=True)])
    return together(meaning)
