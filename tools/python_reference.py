"""Write docs/reference/python.md from the source of what people import: `make reference`."""

import ast
import inspect
import typing
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from stepwell import agents, sdk
from stepwell.bindings import InstanceSubscription, WorkflowBinding, WorkflowInstance
from stepwell.testing.plugin import EngineFactory
from stepwell.web import Request, Response, WorkerContext, WorkerEntrypoint
from tools.signatures import node_of, signature_of

PLACE = Path(__file__).parent.parent / "docs" / "reference" / "python.md"

_HEAD = """\
# Python

Made by `make reference` from the code. How it is used: [authoring.md](../authoring.md),
[embedding.md](../embedding.md), [testing.md](../testing.md). The client has a page of its own: [client.md](client.md).
"""
_MODULES: Mapping[str, str] = {
    "stepwell": "What workflows are made of, and the engine inside an application.",
    "stepwell.testing": "The test kit.",
    "stepwell.agents": "Agents of other libraries as workflows: [pydantic-ai.md](../guides/pydantic-ai.md), "
    "[openai-agents.md](../guides/openai-agents.md).",
}
# Read without being loaded: what they need takes seconds for that.
_OF_EXTRAS = {"stepwell.agents.pydantic_ai": "pydantic-ai", "stepwell.agents.openai_agents": "openai-agents"}
# What these give, and what `workers` has beside names of `stepwell`.
_MORE: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "What is given": (
        "`self.env.ORDER` in a workflow is a `WorkflowBinding`, and so is what `Stepwell.workflow` returns; the "
        "fixture `stepwell_engine` is an `EngineFactory`.",
        (WorkflowBinding, WorkflowInstance, InstanceSubscription, EngineFactory),
    ),
    "workers": (
        "`from workers import ...` is there in workflows, as on Cloudflare. `WorkflowEntrypoint` is that of "
        "`stepwell`, and so is `NonRetryableError` of `workers.workflows`.",
        (WorkerEntrypoint, WorkerContext, Request, Response),
    ),
}
# All others are given, or have members by which they are made.
_MADE_BY_CALLS = {"Stepwell", "NonRetryableError", "RetryAfter", "Request", "Response"}


def reference() -> str:
    """Return the page. Raises ValueError for a name that says nothing of itself."""
    parts = [_HEAD]
    for module, about in _MODULES.items():
        parts += [f"## {module}\n", f"{about}\n"]
        for name in public_names(module):
            parts += _told(name, getattr(import_module(module), name))
    for module, extra in _OF_EXTRAS.items():
        parts += [f"## {module}\n", f"With `pip install 'stepwell[{extra}]'`.\n", *_of_source(module)]
    for title, (about, kinds) in _MORE.items():
        parts += [f"## {title}\n", f"{about}\n"]
        for kind in kinds:
            parts += _class(kind)
    return "\n".join(parts)


def write() -> None:
    """Write the page to its place."""
    PLACE.write_text(reference(), encoding="utf-8")


def public_names(module: str) -> list[str]:
    """Return what a module offers, but for the client."""
    return [name for name in import_module(module).__all__ if name not in sdk.__all__]


def _told(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing):
        yield from _class(thing)
    elif inspect.isfunction(thing):
        yield from _function("###", name, name, node_of(thing))
    else:
        yield f"### {name}\n\n`{_value(thing)}`\n"


def _value(thing: Any) -> str:
    plain = str(thing) if typing.get_origin(thing) else repr(thing)
    return plain.replace("collections.abc.", "").replace("stepwell.testing.engine.", "")


def _class(kind: type) -> Iterator[str]:
    yield f"### {kind.__name__}\n"
    bodies = [_body(base) for base in kind.__mro__ if base.__module__.startswith("stepwell.")]
    lines = {_name(line): line for body in reversed(bodies) for line in body}
    if kind.__name__ in _MADE_BY_CALLS:
        yield f"```python\n{_call(lines['__init__'], kind.__name__)}\n```\n"
    yield f"{_about(kind.__name__, inspect.cleandoc(kind.__doc__ or ''))}\n"
    # What errors have beside their message is for who answers by HTTP.
    is_error = issubclass(kind, BaseException)
    shown = {name: line for name, line in lines.items() if not name.startswith("_") and not is_error}
    members = [_member(name, line) for name, line in shown.items() if not _is_method(line)]
    if members:
        yield "\n".join([*members, ""])
    for name, line in shown.items():
        if _is_method(line):
            yield from _function("####", f"{kind.__name__}.{name}", name, line)


def _of_source(module: str) -> Iterator[str]:
    """Yield what a module defines that has no underscore; of classes, how they are made."""
    source = Path(agents.__path__[0]) / f"{module.rpartition('.')[2]}.py"
    for line in ast.parse(source.read_text("utf-8")).body:
        if isinstance(line, ast.FunctionDef) and not line.name.startswith("_"):
            yield from _function("###", line.name, line.name, line)
        elif isinstance(line, ast.ClassDef) and not line.name.startswith("_"):
            made = [f"\n```python\n{_call(one, line.name)}\n```\n" for one in line.body if _name(one) == "__init__"]
            yield "".join([f"### {line.name}\n", *made, f"\n{_about(line.name, ast.get_docstring(line))}\n"])


def _body(kind: type) -> list[ast.stmt]:
    """Return what a class says: its members, and its methods without their overloads."""
    node = node_of(kind)
    assert isinstance(node, ast.ClassDef)
    return [line for line in node.body if _name(line) and "overload" not in _decorators(line)]


def _name(line: ast.stmt) -> str:
    if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
        return line.name
    return ast.unparse(line.target) if isinstance(line, ast.AnnAssign) else ""


def _decorators(line: ast.stmt) -> list[str]:
    return [ast.unparse(one).rpartition(".")[2] for one in getattr(line, "decorator_list", ())]


def _is_method(line: ast.stmt) -> bool:
    return not isinstance(line, ast.AnnAssign) and not {"property", "cached_property"} & {*_decorators(line)}


def _member(name: str, line: ast.stmt) -> str:
    if isinstance(line, ast.AnnAssign):
        return f"- `{ast.unparse(line)}`"
    assert isinstance(line, ast.FunctionDef)
    return f"- `{name}`: {' '.join(_about(name, ast.get_docstring(line)).split())}"


def _function(heading: str, title: str, name: str, node: ast.stmt) -> Iterator[str]:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    yield f"{heading} {title}\n\n```python\n{_call(node, name)}\n```\n\n{_about(name, ast.get_docstring(node))}\n"


def _about(name: str, told: str | None) -> str:
    if not told:
        raise ValueError(f"{name} has no docstring")
    return told


def _call(node: ast.stmt, name: str) -> str:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    awaited = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    if "asynccontextmanager" in _decorators(node):
        awaited = "async with "
    returns = "" if node.returns is None or name[0].isupper() else f" -> {ast.unparse(node.returns)}"
    return signature_of(node, awaited + name, returns)


if __name__ == "__main__":
    write()
