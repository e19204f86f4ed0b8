"""The page's modules as one file: a browser asks once, and what they have in common compresses away.

Each module becomes a function that is called once and returns what it exports, in an order in which those that are
needed come first. So the sources stay modules, which people read and node tests, and nothing has to be built before a
server starts. Comments and indentation are left out.

What modules may write is little, and a module that writes more is refused: imports and exports stand at the beginning
of a line (in one that comes minified, where it ends), imports name what they take, and `as` renames it. Text in which
line ends and indentation count is no part of a template that goes over several lines.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping

_IMPORT = re.compile(r'(?m)^import\s*(?:\{(?P<names>[^{}]*)\}|(?P<whole>\w+))\s*from\s*"(?P<path>[^"]+)";?')
_PASSED_ON = re.compile(r'(?m)^export\s*\{(?P<names>[^{}]*)\}\s*from\s*"(?P<path>[^"]+)";?')
_DECLARED = re.compile(r"(?m)^export (?=(?:async )?(?:function|const|class) (\w+))")
_LISTED = re.compile(r"(?:^|(?<=[;}]))export\s*\{([^{}]*)\};?\s*$")
_WHOLE = re.compile(r"(?m)(?:^|(?<=;))export default ")
_RENAMED = re.compile(r"([\w$]+)\s+as\s+([\w$]+)")
_LINE_COMMENT = re.compile(r"(?m)^[ \t]*//[^\n]*\n")
_BLOCK_COMMENT = re.compile(r"(?m)^/\*(?:[^*]|\*(?!/))*\*/\n")
_INDENTATION = re.compile(r"(?m)^[ \t]+")
# What begins as text that is shown as it is, and goes on in the next line.
_AS_IT_IS = re.compile(r"<(?:pre|textarea)\b(?:[^>`$]|\$\{[^}`]*\})*>[^`<$]*\n")


def bundle(modules: Mapping[str, str], first: str) -> str:
    """Return one module that does what `first` does. `modules` are sources by their paths."""
    return "".join(_as_function(path, modules[path]) for path in _in_order(modules, first))


def plain_style(sheet: str) -> str:
    """Return a style sheet without comments and indentation."""
    return _INDENTATION.sub("", _BLOCK_COMMENT.sub("", sheet))


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
            yield _target(path, found["path"])


def _target(path: str, named: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), named))


def _name(path: str) -> str:
    return "$" + re.sub(r"\W", "_", path.removesuffix(".js"))


def _as_function(path: str, source: str) -> str:
    given: list[str] = []
    body = _BLOCK_COMMENT.sub("", _LINE_COMMENT.sub("", source))

    def take(found: re.Match[str]) -> str:
        module = _name(_target(path, found["path"]))
        taken = (
            f"{{default:{found['whole']}}}" if found["whole"] else "{" + _RENAMED.sub(r"\1:\2", found["names"]) + "}"
        )
        return f"const {taken}={module};"

    def pass_on(found: re.Match[str]) -> str:
        module = _name(_target(path, found["path"]))
        given.extend(f"{name.strip()}:{module}.{name.strip()}" for name in found["names"].split(","))
        return ""

    def declare(found: re.Match[str]) -> str:
        given.append(found[1])
        return ""

    def list_up(found: re.Match[str]) -> str:
        given.append(_RENAMED.sub(r"\2:\1", found[1]))
        return ""

    body = _LISTED.sub(list_up, _DECLARED.sub(declare, _PASSED_ON.sub(pass_on, _IMPORT.sub(take, body))))
    whole = _WHOLE.search(body)
    if whole is not None:
        given.append("default:$whole")
        body = _WHOLE.sub("const $whole=", body)
    if re.search(r"(?m)(?:^|(?<=;))(?:import|export)\b[^(]", body):
        raise ValueError(f"{path} has an import or an export of a form that is not taken")
    if (text := _AS_IT_IS.search(body)) is not None:
        raise ValueError(f"{path} has text that would lose its indentation; give it by a constant: {text[0]!r:.200}")
    return f"const {_name(path)}=(()=>{{\n{_INDENTATION.sub('', body).strip()}\nreturn{{{','.join(given)}}}}})();\n"
