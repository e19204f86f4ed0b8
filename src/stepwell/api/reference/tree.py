"""A schema as a tree that opens and closes: one line for each member, with type, bounds, default and meaning."""

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from stepwell.api.openapi.examples import resolve
from stepwell.api.openapi.schemas import Schema
from stepwell.api.reference.shell import prose

# How many levels are open at first, and which members are not.
_OPEN = 2
_CLOSED = frozenset({"errors", "messages"})
_BOUNDS = {
    "format": "format",
    "minLength": "min length",
    "maxLength": "max length",
    "minimum": "min",
    "maximum": "max",
    "minItems": "min items",
    "maxItems": "max items",
    "pattern": "pattern",
}

Components = Mapping[str, Schema]


def members(schema: Schema, components: Components, depth: int = 0) -> str:
    """Return the members of an object, or the kinds that something may be of, as a list; empty if there are none."""
    schema = resolve(schema, components)
    needed = schema.get("required", ())
    lines = [
        member(name, inner, components, depth=depth, note="" if name in needed else "optional")
        for name, inner in schema.get("properties", {}).items()
    ]
    lines += [member(_label(kind), kind, components, depth=depth) for kind in _kinds(schema, components)]
    return f'<ul class="tree">{"".join(lines)}</ul>' if lines else ""


def member(name: str, schema: Schema, components: Components, *, depth: int = 0, note: str = "") -> str:
    """Return the line of a member, with its own members beneath it."""
    full = resolve(schema, components)
    head = f'<code class="name">{escape(name)}</code> <span class="type">{escape(type_of(schema, components))}</span>'
    head += f' <span class="muted">{escape(note)}</span>' if note else ""
    text = _about(full)
    inner = members(_inside(full, components), components, depth + 1)
    if not inner:
        return f"<li>{head}{text}</li>"
    is_open = " open" if depth < _OPEN and name not in _CLOSED else ""
    return f"<li><details{is_open}><summary>{head}</summary>{text}{inner}</details></li>"


def type_of(schema: Schema, components: Components) -> str:
    """Return what a value has to be, in words."""
    full = resolve(schema, components)
    if "enum" in full or "const" in full:
        return str(full.get("type", "value"))
    parts = full.get("anyOf") or full.get("oneOf")
    if parts:
        return " or ".join(dict.fromkeys(type_of(part, components) for part in parts))
    kind = full.get("type", "any JSON value")
    kinds = [kind] if isinstance(kind, str) else kind
    return " or ".join(_array(full, components) if kind == "array" else kind for kind in kinds)


def _array(schema: Schema, components: Components) -> str:
    return f"array of {type_of(schema['items'], components)}"


def _inside(schema: Schema, components: Components) -> Schema:
    """Return the schema whose members are shown beneath a member: its own, its items', or the one that is no null."""
    for part in schema.get("anyOf", ()):
        found = _inside(resolve(part, components), components)
        if found.get("properties") or found.get("oneOf"):
            return found
    if schema.get("type") == "array":
        return _inside(resolve(schema["items"], components), components)
    return schema


def _kinds(schema: Schema, components: Components) -> list[Schema]:
    """Return the objects that something may be one of."""
    kinds: list[Schema] = schema.get("oneOf", [])
    return [kind for kind in kinds if "properties" in resolve(kind, components)]


def _label(kind: Schema) -> str:
    return str(kind.get("$ref", "object")).rpartition("/")[2]


def _about(schema: Schema) -> str:
    """Return meaning, bounds, values and default of a member."""
    text = f"<p>{prose(schema['description'])}</p>" if schema.get("description") else ""
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    facts = [f"{word}: {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    facts += [f"default: {_shown(schema['default'])}"] if "default" in schema else []
    chips = [f"<code>{escape(_shown(value))}</code>" for value in values]
    shown = "".join(f'<span class="tag">{fact}</span>' for fact in [*chips, *map(escape, facts)])
    return text + (f"<p>{shown}</p>" if shown else "")


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
