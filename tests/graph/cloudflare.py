"""A graph held against the models of Cloudflare's own Python package, at any depth.

The package declares nodes within nodes as anything; here they have to be nodes, too.
"""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec
from cloudflare._models import BaseModel
from cloudflare.types.workflows import version_graph_response as sdk
from pydantic import TypeAdapter

from stepwell.graph.nodes import Graph
from stepwell.graph.wire import to_cloudflare

_BY_TYPE: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(sdk.GraphWorkflowNode)
}
_ALWAYS = {"condition", "options", "try_block", "catch_block", "finally_block"}


# The types that a node may have.
TYPES = frozenset(_BY_TYPE)


def types_in(shown: dict[str, Any]) -> set[str]:
    """Return the types of the nodes in a graph as it is sent."""
    return {one["type"] for one in _walk(shown) if one.get("type") in TYPES}


def check(graph: Graph) -> None:
    """Hold a graph against the models: strictly typed, nothing missing, nothing that they lack."""
    shown = msgspec.json.decode(msgspec.json.encode(to_cloudflare(graph)))
    assert list(problems(shown)) == []


def problems(shown: dict[str, Any]) -> Iterator[str]:
    """Give what is wrong with a graph as it is sent."""
    yield from _members(shown, sdk.Graph, "graph")
    yield from _nodes(shown["workflow"]["nodes"], "run")
    for name, function in shown["workflow"]["functions"].items():
        if function["name"] != name:
            yield f"the function {name} calls itself {function['name']}"
        yield from _nodes([function], name)
    called = {node["name"] for node in _walk(shown) if node.get("type") == "function_call"}
    yield from (f"there is no function {name}" for name in called - set(shown["workflow"]["functions"]))


def _nodes(nodes: Any, place: str) -> Iterator[str]:
    for node in nodes:
        model = _BY_TYPE.get(node.get("type"))
        if model is None:
            yield f"{place}: {node} is no node"
            continue
        yield from _members(node, model, f"{place}/{node['type']}")
        for inner in _inner(node):
            yield from _nodes(inner, f"{place}/{node['type']}")


def _inner(node: dict[str, Any]) -> Iterator[list[Any]]:
    yield node.get("nodes", [])
    for branch in node.get("branches", []):
        yield branch["nodes"]
    for name in ("try_block", "catch_block", "finally_block"):
        if node.get(name) is not None:
            yield [node[name]]


def _members(value: Any, model: type[BaseModel], place: str) -> Iterator[str]:
    """Give what is wrong with an object; where a member is an object, with that as well."""
    for name in value:
        if name not in model.model_fields:
            yield f"{place} has the member {name}"
    for name, field in model.model_fields.items():
        if name not in value:
            if field.is_required() or name in _ALWAYS:
                yield f"{place} lacks {name}"
            continue
        if value[name] is None and name not in _ALWAYS:
            yield f"{place}.{name} is null, and should not be there"
        annotation: Any = field.annotation
        TypeAdapter(annotation).validate_python(value[name], strict=True)
        inner = [part for part in _models(annotation) if isinstance(value[name], dict)]
        if len(inner) == 1 and get_origin(annotation) is not dict:
            yield from _members(value[name], inner[0], f"{place}.{name}")
        if name == "branches":
            for branch in value[name]:
                yield from _members(branch, _models(annotation)[0], f"{place}.branches")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _walk(one)
