"""An example of a schema: what its members give as examples, put together."""

from collections.abc import Mapping
from typing import Any

from stepwell.api.openapi.schemas import Schema

_OF_TYPE: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1, "boolean": True, "null": None}


def resolve(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """Return a schema with the one that it refers to, if it does; what it says itself comes first."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return schema
    return {**components[name], **{key: value for key, value in schema.items() if key != "$ref"}}


def example_of(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """Return a value that a schema allows."""
    schema = resolve(schema, components)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            return example_of(schema[word][0], components)
    return _of_type(schema, components)


def _of_type(schema: Schema, components: Mapping[str, Schema]) -> Any:
    kind = schema.get("type", "object")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "object":
        members: Mapping[str, Schema] = schema.get("properties", {})
        needed = schema.get("required", ())
        return {name: example_of(member, components) for name, member in members.items() if name in needed}
    if kind == "array":
        return [example_of(item, components) for item in _items(schema)]
    return _OF_TYPE[kind]


def _items(schema: Schema) -> list[Schema]:
    """Return one item of each kind that a list may have."""
    items: Schema = schema["items"]
    kinds: list[Schema] = items.get("oneOf", [items])
    return kinds
