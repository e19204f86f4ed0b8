"""The author's modules: which names they have, and which other modules of the script they import."""

import ast
from collections.abc import Iterator, Mapping
from posixpath import basename, dirname, join, normpath

from msgspec import Struct, field

_MOST_CHARACTERS = 2_000_000


class TooMuch(Exception):
    """A source is larger, or takes longer to be read, than a graph is worth. Its text says which."""


class Module(Struct, eq=False):
    """A file that was parsed: for each name of its top level the statements that bind it, in their order."""

    file: str
    tree: ast.Module
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)

    @property
    def is_package(self) -> bool:
        """Whether modules beside its file lie within it."""
        return basename(self.file) == "__init__.py"

    def __post_init__(self) -> None:
        for statement in _top_level(self.tree.body):
            for name in _names_of(statement):
                self.statements.setdefault(name, []).append(statement)


class Modules:
    """The files of a script by path, with `/` between the parts; each is parsed when it is first asked for."""

    def __init__(self, files: Mapping[str, str], main: str) -> None:
        self._files = files
        self._base = dirname(main)
        self._parsed: dict[str, Module | None] = {}
        self._characters = 0

    def at(self, file: str) -> Module | None:
        """Return the module in a file; None if there is none, or none that can be read. Raises TooMuch."""
        if file not in self._parsed:
            self._parsed[file] = None
            source = self._files.get(file)
            if source is not None:
                self._characters += len(source)
                if self._characters > _MOST_CHARACTERS:
                    raise TooMuch(f"the sources have more than {_MOST_CHARACTERS:,} characters")
                try:
                    self._parsed[file] = Module(file, ast.parse(source))
                except (SyntaxError, ValueError):
                    return None
        return self._parsed[file]

    def named(self, name: str, beside: str = "", level: int = 0) -> Module | None:
        """Return the module that an import of this name means, `level` folders up from the file `beside`."""
        parts = name.replace(".", "/")
        if level:
            folder = dirname(beside)
            for _ in range(level - 1):
                folder = join(folder, "..")
            folders = [folder]
        else:
            folders = [self._base, ""]
        for folder in folders:
            stem = normpath(join(folder, parts)) if parts or folder else ""
            for file in (f"{stem}.py", normpath(join(stem, "__init__.py"))):
                found = self.at(file)
                if found is not None:
                    return found
        return None


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements of a module's top level, also those under its conditions."""
    for statement in body:
        yield statement
        match statement:
            case ast.If(body=inner, orelse=other):
                yield from _top_level([*inner, *other])
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=last):
                caught = [part for handler in handlers for part in handler.body]
                yield from _top_level([*inner, *caught, *other, *last])


def _names_of(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            for target in targets:
                yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Import(names=names):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)
