"""The page's modules as one file: a browser asks once, and what they have in common compresses away.

What a module imports only as it runs, `import("./more.js")`, becomes a file of its own under that name, with all that
only it needs. What it needs of the first file it imports from there, which for that exports names that nobody else has
a use for; both files are shortened together, so they agree on what those are called.

Modules follow each other in an order in which those that are needed come first, and what they export are names of the
whole file; what others have written becomes a function that is called once. So the sources stay modules, which people
read and node tests, and nothing has to be built before a server starts.

What modules may write is little, and a module that writes more is refused: imports and exports stand at the beginning
of a line (in one that comes minified, where it ends), and take and give names as they are; only what somebody else has
written may rename. No two modules export the same name. Text in which line ends and indentation count is no part of a
template that goes over several lines.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from stepwell.dashboard import shorten, squeeze

_IMPORT = re.compile(r'(?m)^import\s*(?:\{(?P<names>[^{}]*)\}|(?P<whole>\w+))\s*from\s*"(?P<path>[^"]+)";?')
_PASSED_ON = re.compile(r'(?m)^export\s*\{(?P<names>[^{}]*)\}\s*from\s*"(?P<path>[^"]+)";?')
_DECLARED = re.compile(r"(?m)^export (?=(?:async )?(?:function|const|class) (\w+))")
_LISTED = re.compile(r"(?:^|(?<=[;}]))export\s*\{([^{}]*)\};?\s*$")
_WHOLE = re.compile(r"(?m)(?:^|(?<=;))export default ")
_LATER = re.compile(r'\bimport\("(?P<path>[^"]+)"\)')
_RENAMED = re.compile(r"([\w$]+)\s+as\s+([\w$]+)")
# What begins as text that is shown as it is, and goes on in the next line.
_AS_IT_IS = re.compile(r"<(?:pre|textarea)\b(?:[^>`$]|\$\{[^}`]*\})*>[^`<$]*\n")
# Where what others have written lies: it comes minified.
_VENDOR = "vendor/"


class Part(NamedTuple):
    """A part of the whole script. What somebody else has written keeps its names: `shared` is None.

    Otherwise it has the names that the part takes from others, or gives them.
    """

    text: str
    shared: frozenset[str] | None


class _Module(NamedTuple):
    """A module without imports and exports: what it calls by other names, and for each name that it gives its own."""

    renamed: dict[str, str]
    body: str
    names: dict[str, str]
    is_ours: bool


def bundle(modules: Mapping[str, str], first: str) -> dict[str, str]:
    """Return modules that do what `first` does, by their names: itself, and those that it loads later.

    `modules` are sources by their paths. Raises ValueError where one writes what modules may not.
    """
    files = parts(modules, first)
    whole = chain.from_iterable(files.values())
    ours = [shorten.Script(list(squeeze.tokens(part.text)), part.shared) for part in whole if part.shared is not None]
    short = iter(shorten.shorten(ours).scripts)
    return {
        name: "".join(part.text if part.shared is None else next(short) for part in made)
        for name, made in files.items()
    }


def parts(modules: Mapping[str, str], first: str) -> dict[str, list[Part]]:
    """Return those modules in parts, with all names as they are written. Raises ValueError, as above."""
    files = _files(modules, first)
    given: dict[str, str] = {}
    taken = {name for path in chain.from_iterable(files.values()) for name in _taken(modules[path])}
    taken.update(*(_shown(modules[name]) for name in files if name != first))
    made = {name: list(_parts(modules, paths, taken, given)) for name, paths in files.items()}
    if missing := taken - given.keys():
        raise ValueError(f"no module exports {', '.join(sorted(missing))}")
    lent: set[str] = set()
    for name in [name for name in files if name != first]:
        needed = {one for path in files[name] for one in _taken(modules[path]) if given[one] in files[first]}
        shown = sorted(_shown(modules[name]))
        made[name] = [
            Part(f'import{{{",".join(sorted(needed))}}}from"./{first}";\n', frozenset(needed)),
            *made[name],
            # As texts, which stay as they are: the first file asks for them so.
            Part("export{" + ",".join(f'{one} as"{one}"' for one in shown) + "};\n", frozenset(shown)),
        ]
        lent |= needed
    if lent:
        made[first].append(Part("export{" + ",".join(sorted(lent)) + "};\n", frozenset(lent)))
    return made


def _files(modules: Mapping[str, str], first: str) -> dict[str, list[str]]:
    """Return for each file its modules, those that are needed first. Raises ValueError where one would be in two."""
    files = {first: _in_order(modules, first)}
    for path in list(files[first]):
        for later in (found["path"].removeprefix("./") for found in _LATER.finditer(modules[path])):
            # What is asked for at run time is asked for beside the file, and not beside the module.
            if "/" in path or later not in modules:
                raise ValueError(f"{path} loads {later} later: neither may lie in a folder, nor be missing")
            files[later] = [one for one in _in_order(modules, later) if one not in files[first]]
    often = Counter(chain.from_iterable(files.values()))
    if twice := sorted(path for path, times in often.items() if times > 1):
        raise ValueError(f"several files that are loaded later need {', '.join(twice)}; import it in {first}")
    if early := sorted(name for name, paths in files.items() if name not in paths):
        raise ValueError(f"{', '.join(early)} is loaded later and imported as well")
    return files


def _parts(modules: Mapping[str, str], paths: Iterable[str], taken: set[str], given: dict[str, str]) -> Iterator[Part]:
    """Yield the parts of a file; what its modules export is added to `given`."""
    for path in paths:
        module = _taken_apart(path, modules[path])
        for name in module.names:
            if given.setdefault(name, path) != path:
                raise ValueError(f"{path} exports {name}, as {given[name]} does; give it another name")
        names = {name: inner for name, inner in module.names.items() if name in taken}
        if module.is_ours:
            yield Part(module.body + "\n", frozenset((*names, *_taken(modules[path]))))
        else:
            yield from _as_function(module, names)


def _in_order(modules: Mapping[str, str], first: str) -> list[str]:
    """Return the modules that one needs, and itself last. Raises ValueError where they need each other in a circle."""
    ordered: list[str] = []
    open_ones: list[str] = []

    def visit(path: str) -> None:
        if path in ordered:
            return
        if path in open_ones:
            raise ValueError(f"modules need each other: {' -> '.join([*open_ones, path])}")
        open_ones.append(path)
        for needed in _needed(path, modules[path]):
            visit(needed)
        open_ones.remove(path)
        ordered.append(path)

    visit(first)
    return ordered


def _needed(path: str, source: str) -> Iterator[str]:
    for pattern in (_IMPORT, _PASSED_ON):
        for found in pattern.finditer(source):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), found["path"]))


def _taken(source: str) -> Iterator[str]:
    """Yield the names that a module imports, or passes on."""
    for found in _IMPORT.finditer(source):
        names = _names(found["names"]) if found["names"] else [(found["whole"], "")]
        yield from (name for name, _ in names)
    yield from _passed_on(source)


def _passed_on(source: str) -> Iterator[str]:
    return (name for found in _PASSED_ON.finditer(source) for name, _ in _names(found["names"]))


def _shown(source: str) -> Iterator[str]:
    """Yield the names that a file gives whoever loads it later."""
    return chain(_passed_on(source), (found[1] for found in _DECLARED.finditer(source)))


def _names(text: str) -> list[tuple[str, str]]:
    """Read names with what they are renamed to; each may be renamed to itself."""
    parts = (one.strip() for one in text.split(","))
    return [(_RENAMED.sub(r"\1", one), _RENAMED.sub(r"\2", one)) for one in parts if one]


def _taken_apart(path: str, source: str) -> _Module:
    """Return a module without imports and exports, and what it exports."""
    names: dict[str, str] = {}
    renamed: dict[str, str] = {}

    def take(found: re.Match[str]) -> str:
        if found["whole"] and found["whole"] != _default_name(found["path"]):
            raise ValueError(f"{path} imports {found['whole']}, which is called {_default_name(found['path'])}")
        renamed.update((new, name) for name, new in _names(found["names"] or "") if new != name)
        return ""

    def declare(found: re.Match[str]) -> str:
        names[found[1]] = found[1]
        return ""

    def list_up(found: re.Match[str]) -> str:
        names.update((new, name) for name, new in _names(found[1]))
        return ""

    # What is passed on is a name of the whole file already.
    body = _LISTED.sub(list_up, _DECLARED.sub(declare, _PASSED_ON.sub("", _IMPORT.sub(take, source))))
    if _WHOLE.search(body):
        names[_default_name(path)] = "$whole"
        body = _WHOLE.sub("const $whole=", body)
    if re.search(r"(?m)(?:^|(?<=;))(?:import|export)\b[^(]", body):
        raise ValueError(f"{path} has an import or an export of a form that is not taken")
    if (text := _AS_IT_IS.search(body)) is not None:
        raise ValueError(f"{path} has text that would lose its indentation; give it by a constant: {text[0]!r:.200}")
    if path.startswith(_VENDOR):
        return _Module(renamed, body, names, is_ours=False)
    if renamed:
        raise ValueError(f"{path} renames what it imports: {', '.join(renamed.values())}")
    return _Module({}, squeeze.script(body), names, is_ours=True)


def _default_name(path: str) -> str:
    """Return what a module's default export is called: as its file."""
    return posixpath.basename(path).removesuffix(".js")


def _as_function(module: _Module, names: Mapping[str, str]) -> list[Part]:
    # What it calls by other names comes as parameters, so that no name of its own stands before ours.
    given = module.renamed.values()
    return [
        Part(f"const [{','.join(names)}]=", frozenset(names)),
        Part(f"(({','.join(module.renamed)})=>{{{module.body}\nreturn[{','.join(names.values())}]}})(", None),
        Part(",".join(given), frozenset(given)),
        Part(");\n", None),
    ]
