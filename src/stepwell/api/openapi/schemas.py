"""From the models of answers and bodies to JSON Schema, as OpenAPI 3.1 has it.

msgspec makes schemas too, but of what may be decoded: an answer always has every member that is not UNSET.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from stepwell.api.openapi.meanings import MEANINGS, NAMED

Schema = dict[str, Any]

_REF = "#/components/schemas/"
# Members of an integer's, a text's or a list's type, and what JSON Schema calls them.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "pattern": "pattern"}

_TYPE_OF = {bool: "boolean", int: "integer", str: "string"}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": _REF + name}


class Schemas:
    """The schemas of a document: those that have been asked for, and those that they lead to.

    In an answer each member that is not UNSET is there; in a body only those without a default have to be.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of_answer(self, kind: Any) -> Schema:
        """Return the schema of what the server sends as a type."""
        return self._of(inspect.type_info(kind), is_answer=True)

    def of_body(self, kind: Any) -> Schema:
        """Return the schema of what the server reads as a type."""
        return self._of(inspect.type_info(kind), is_answer=False)

    def add_named(self, schema: Schema) -> None:
        """Make the schema that a parameter refers to a part of the document."""
        for part in (schema, schema.get("items", {})):
            name = part.get("$ref", "").removeprefix(_REF)
            if name:
                self.components[name] = dict(NAMED[name])

    def _of(self, kind: inspect.Type, *, is_answer: bool) -> Schema:
        match kind:
            case inspect.StructType():
                return self._struct(kind, is_answer=is_answer)
            case inspect.UnionType():
                return self._union(list(kind.types), is_answer=is_answer)
            case inspect.ListType() | inspect.VarTupleType():
                bounds = _sized(kind, "Items")
                return {"type": "array", "items": self._of(kind.item_type, is_answer=is_answer), **bounds}
            case inspect.DictType():
                return {"type": "object", "additionalProperties": self._of(kind.value_type, is_answer=is_answer)}
            case inspect.Metadata():
                return {**self._of(kind.type, is_answer=is_answer), **(kind.extra_json_schema or {})}
            case _:
                return _plain(kind)

    def _struct(self, kind: inspect.StructType, *, is_answer: bool) -> Schema:
        name = _name(kind, is_answer=is_answer)
        if name not in self.components:
            self.components[name] = {}  # a type may lead to itself
            self.components[name] = self._members(kind, is_answer=is_answer)
        return ref(name)

    def _members(self, kind: inspect.StructType, *, is_answer: bool) -> Schema:
        tag = {} if kind.tag_field is None else {kind.tag_field: {"type": "string", "const": kind.tag}}
        properties = {field.encode_name: self._member(kind, field, is_answer=is_answer) for field in kind.fields}
        needed = [field.encode_name for field in kind.fields if _is_needed(field, is_answer=is_answer)]
        return {
            "type": "object",
            "description": _first_paragraph(kind.cls.__doc__),
            "properties": {**tag, **properties},
            "required": [*tag, *needed],
            **({"additionalProperties": False} if kind.forbid_unknown_fields else {}),
        }

    def _member(self, kind: inspect.StructType, field: inspect.Field, *, is_answer: bool) -> Schema:
        schema = self._of(field.type, is_answer=is_answer)
        schema = {**schema, **_default(field, is_answer=is_answer)}
        meaning = _meaning(kind, field, is_answer=is_answer)
        return schema if meaning is None else self._with(schema, meaning)

    def _with(self, schema: Schema, meaning: Mapping[str, Any]) -> Schema:
        """Add to a member's schema what its type does not say. What replaces it has a name of its own."""
        named = meaning.get("named")
        if named is not None:
            self.components[named] = dict(NAMED[named])
            is_nullable = "null" in _types(schema)
            schema = {"anyOf": [ref(named), {"type": "null"}]} if is_nullable else ref(named)
        return {**schema, **{key: value for key, value in meaning.items() if key != "named"}}

    def _union(self, parts: list[inspect.Type], *, is_answer: bool) -> Schema:
        schemas = [self._of(part, is_answer=is_answer) for part in parts]
        if {} in schemas:
            return {}
        if len(schemas) == 1:
            return schemas[0]
        if all(set(schema) == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        tags = {
            part.tag: schema["$ref"]
            for part, schema in zip(parts, schemas, strict=True)
            if isinstance(part, inspect.StructType) and part.tag is not None
        }
        if len(tags) == len(schemas):
            return {"oneOf": schemas, "discriminator": {"propertyName": _tag_field(parts), "mapping": tags}}
        return {"anyOf": schemas}


def _meaning(kind: inspect.StructType, field: inspect.Field, *, is_answer: bool) -> Mapping[str, Any] | None:
    """Return what a member means: by its own type, or by the one that that has it from."""
    names = (_name(kind, is_answer=is_answer), *(base.__name__ for base in kind.cls.__mro__[1:]))
    return next(
        (MEANINGS[name][field.encode_name] for name in names if field.encode_name in MEANINGS.get(name, {})), None
    )


def _name(kind: inspect.StructType, *, is_answer: bool) -> str:
    """Return what a type is called in the document; a body's type may have an answer's name."""
    name: str = kind.cls.__name__
    return name if is_answer or name.endswith("Body") else f"{name}Body"


def _plain(kind: inspect.Type) -> Schema:
    """Return the schema of a type that holds no other."""
    match kind:
        case inspect.StrType():
            return {"type": "string", **_sized(kind, "Length"), **_bounded(kind)}
        case inspect.IntType():
            return {"type": "integer", **_bounded(kind)}
        case inspect.FloatType():
            return {"type": "number", **_bounded(kind)}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.LiteralType():
            values = {"const": kind.values[0]} if len(kind.values) == 1 else {"enum": list(kind.values)}
            return {"type": _TYPE_OF[type(kind.values[0])], **values}
        case inspect.RawType() | inspect.AnyType() | inspect.CustomType():
            return {}
        case _:
            raise TypeError(f"no schema is known for {kind}")


def _sized(kind: Any, what: str) -> Schema:
    bounds = {f"min{what}": kind.min_length, f"max{what}": kind.max_length}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _bounded(kind: inspect.Type) -> Schema:
    return {word: getattr(kind, name) for name, word in _BOUNDS.items() if getattr(kind, name, None) is not None}


def _is_needed(field: inspect.Field, *, is_answer: bool) -> bool:
    # What may be left out without having a default is UNSET by default.
    has_default = (field.default, field.default_factory) != (msgspec.NODEFAULT, msgspec.NODEFAULT)
    return field.required or (is_answer and has_default)


def _default(field: inspect.Field, *, is_answer: bool) -> Schema:
    """Return the default of a body's member that says something."""
    is_said = isinstance(field.default, str | int | float)
    return {"default": field.default} if is_said and not is_answer else {}


def _types(schema: Schema) -> Iterable[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _tag_field(parts: list[inspect.Type]) -> str | None:
    return next(part.tag_field for part in parts if isinstance(part, inspect.StructType))


def _first_paragraph(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())
