"""Write docs/reference/client.md: all that the clients have, as the source says it."""

import ast
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from stepwell import sdk
from stepwell.sdk import errors, graph, models, own_models
from stepwell.sdk.ways import Call, Resource, Series
from tools.signatures import node_of, signature_of

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "client.md"

_HEAD = """# Reference of the client

Written by `python tools/client_reference.py` from the code. [client.md](../client.md) says how it is used.

`AsyncClient` has the same: what returns is awaited there, what yields is gone through with `async for`.
"""


def page() -> str:
    """Return the whole page."""
    with sdk.Client() as client:
        parts = [_HEAD, "## Client\n", *_method("Client", sdk.Client.__init__, "Client", inspect.getdoc(sdk.Client))]
        told = sdk.Client.with_options
        parts += ["## Methods\n", *_method("client.with_options", told, "with_options", inspect.getdoc(told))]
        parts += _methods("client", client)
    parts += ["## What is given\n", *_structs(models), "## Graphs\n", *_structs(graph)]
    parts += ["## What is given of Stepwell's own\n", *_structs(own_models), "## Errors\n", *_errors()]
    return "\n".join(parts)


def _methods(path: str, owner: Any) -> Iterator[str]:
    for name, method in vars(type(owner)).items():
        if isinstance(method, Call | Series):
            yield from _method(f"{path}.{name}", method.build, name, inspect.getdoc(method.build))
    for name, inner in vars(owner).items():
        if isinstance(inner, Resource):
            yield from _methods(f"{path}.{name}", inner)


def _method(title: str, function: Any, name: str, told: str | None) -> Iterator[str]:
    node = node_of(function)
    assert isinstance(node, ast.FunctionDef)
    line = signature_of(node, name, "" if node.returns is None else _result(node.returns))
    yield f"### {title}\n\n```python\n{line}\n```\n\n{told}\n"


def _result(returns: ast.expr) -> str:
    """Return what a caller gets of a program, or a flow."""
    match returns:
        case ast.Subscript(value=ast.Name(id="Program"), slice=inner):
            return f" -> {ast.unparse(inner)}"
        case ast.Subscript(value=ast.Name(id="Flow"), slice=inner):
            return f" -> Iterator[{ast.unparse(inner)}]"
        case _:
            return ""


def _structs(module: types.ModuleType) -> Iterator[str]:
    for name, kind in vars(module).items():
        is_ours = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
        if is_ours and not name.startswith("_"):
            tag = kind.__struct_config__.tag
            told = f' Its `type` is `"{tag}"`.' if tag else ""
            yield f"### {name}\n\n{inspect.getdoc(kind)}{told}\n"
            yield from _members(kind)


def _members(kind: type) -> Iterator[str]:
    lines = [line for base in reversed(kind.__mro__) if _has_members(base) for line in _class(base).body]
    members = [line for line in lines if isinstance(line, ast.AnnAssign)]
    yield from (f"- `{ast.unparse(line.target)}: {ast.unparse(line.annotation)}`" for line in members)
    properties = [line for line in lines if isinstance(line, ast.FunctionDef)]
    yield from (f"- `{line.name}`: {ast.get_docstring(line)}" for line in properties)
    yield ""


def _has_members(base: type) -> bool:
    return issubclass(base, msgspec.Struct) and base is not msgspec.Struct


def _class(kind: type) -> ast.ClassDef:
    node = node_of(kind)
    assert isinstance(node, ast.ClassDef)
    return node


def _errors() -> Iterator[str]:
    yield f"```\n{inspect.cleandoc(errors.__doc__ or '').partition(chr(10) * 2)[2]}\n```\n"
    for name in sdk.__all__:
        kind = getattr(sdk, name)
        if issubclass(kind, sdk.ApiError):
            yield f"### {name}\n\n{inspect.getdoc(kind)}\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
