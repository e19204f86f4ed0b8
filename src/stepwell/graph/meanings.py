"""What an expression of an author's source may mean, as far as a graph has to know.

Whatever else an expression means, numbers, texts, results of steps, is None.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from stepwell.graph.drafts import Draft
    from stepwell.graph.frames import Frame
    from stepwell.graph.modules import Module

_MOST_PLACES = 200

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class StepObject(Struct, eq=False):
    """What `run` receives as `step`."""


class StepMethod(Struct, eq=False):
    """A method of the step object."""

    name: str


class External(Struct, eq=False):
    """What other packages have, or Python itself, by its dotted name."""

    name: str


class Function(Struct, eq=False):
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


class Decorated(Struct, eq=False):
    """A function under `@step.do`; `call` is the decorator, if it is called. `last` is the node of its latest call."""

    function: Function
    call: ast.Call | None
    last: "Draft | None" = None


class Marked(Struct, eq=False):
    """A function under Stepwell's `@step`."""

    function: Function
    call: ast.Call | None


class Class(Struct, eq=False):
    """A class of the author's."""

    node: ast.ClassDef
    frame: "Frame"


class Instance(Struct, eq=False):
    """An object of a class of the author's. `before`: look for attributes behind this class, as `super()` does."""

    kind: Class
    attributes: "dict[str, Meaning | None]" = field(default_factory=dict)
    before: Class | None = None


class Coroutine(Struct, eq=False):
    """What was called and is still to be awaited. `begin` lets it happen; `hole` is where it stands if nobody does."""

    begin: "Callable[[Frame], Meaning | None]"
    hole: "Draft"
    is_used: bool = False


class Task(Struct, eq=False):
    """What was begun, and may be awaited."""

    drafts: "Sequence[Draft]"


class Group(Struct, eq=False):
    """A TaskGroup, and what was begun in it."""

    begun: "set[Draft]" = field(default_factory=set)


class GroupMethod(Struct, eq=False):
    """The method of a TaskGroup that begins a task."""

    group: Group


class Many(Struct, eq=False):
    """One of these, or a container of them, in their places; `labels` say which is meant, where that is known."""

    members: "Sequence[Meaning | None]"
    labels: Sequence[str] = ()


class Partial(Struct, eq=False):
    """A callable that was given some of its arguments, in the call `node`; or one that is still to get its function."""

    callee: "Meaning"
    arguments: "Arguments"
    node: ast.Call
    is_decorator: bool = False


class ModuleMeaning(Struct, eq=False):
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


class Arguments(Struct, frozen=True):
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
