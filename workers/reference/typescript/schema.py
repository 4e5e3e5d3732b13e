"""TypeScript types of JSON Schemas: exactly the subset that our pydantic models produce."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_REFERENCE: Final = "#/$defs/"
_PRIMITIVES: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
_NOTES: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
"""Keywords that describe and do not constrain."""
_BOUNDS: Final = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_OF_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"format", "pattern", "minLength", "maxLength"}),
    "integer": frozenset(_BOUNDS),
    "number": frozenset(_BOUNDS),
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
_ROOT: Final = frozenset({"$schema", "$id", "$defs"})


class UnsupportedSchemaError(ValueError):
    """A schema is outside the known subset: its TypeScript type would be a guess."""


def type_of(schema: Schema, names: Mapping[str, str]) -> str:
    """Return the TypeScript type of a value.

    Args:
        schema: the schema of the value; ``$ref`` refers to a definition by name.
        names: the TypeScript names of definitions that have another name there.

    Raises:
        UnsupportedSchemaError: the schema has an unknown keyword or form.
    """
    if "$ref" in schema:
        _only(schema, {"$ref"})
        return referred(schema["$ref"], names)
    if "anyOf" in schema:
        _only(schema, {"anyOf"})
        members = [type_of(option, names) for option in schema["anyOf"]]
        # Null last by convention; a type that several members share appears once.
        ordered = dict.fromkeys(sorted(members, key=lambda member: member == "null"))
        return " | ".join(ordered)
    if "const" in schema:
        _only(schema, {"const", "type"})
        return literal(schema["const"])
    if "enum" in schema:
        _only(schema, {"enum", "type"})
        return " | ".join(map(literal, schema["enum"]))
    if "type" not in schema:
        _only(schema, set())
        return "unknown"
    return _of_kind(schema, names)


def is_interface(schema: Schema) -> bool:
    """Return whether the schema is an object with named properties: an interface."""
    return schema.get("type") == "object" and "properties" in schema


def check_interface(schema: Schema) -> None:
    """Check that all keywords of an object with named properties are known.

    Raises:
        UnsupportedSchemaError: a keyword is unknown, or a required property is not described.
    """
    _only(schema, {"type"} | _OF_TYPE["object"] | _ROOT)
    undescribed = set(schema.get("required", ())) - set(schema["properties"])
    if undescribed:
        raise UnsupportedSchemaError(f"required but not described: {sorted(undescribed)}")
    if schema.get("additionalProperties", True) not in (True, False):
        # An index signature would have to cover the named properties too.
        raise UnsupportedSchemaError(
            "named properties beside additional properties of another type"
        )


def referred(reference: str, names: Mapping[str, str]) -> str:
    """Return the TypeScript name of the definition that a ``$ref`` names.

    Raises:
        UnsupportedSchemaError: it points elsewhere, or the name is not a TypeScript identifier.
    """
    name = reference.removeprefix(_REFERENCE)
    if name == reference or not _IDENTIFIER.fullmatch(name):
        raise UnsupportedSchemaError(f"$ref {reference}: only {_REFERENCE}Name is supported")
    return names.get(name, name)


def property_name(name: str) -> str:
    """Return a property's name, quoted unless it is an identifier."""
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def literal(value: Any) -> str:
    """Return the literal type of a constant.

    Raises:
        UnsupportedSchemaError: the constant is an array or an object.
    """
    if value is not None and not isinstance(value, str | int | float):
        raise UnsupportedSchemaError(
            f"the constant {value!r} is not a string, number, boolean or null"
        )
    return json.dumps(value, ensure_ascii=False)


def _of_kind(schema: Schema, names: Mapping[str, str]) -> str:
    kind = schema["type"]
    if not isinstance(kind, str) or kind not in _OF_TYPE:
        raise UnsupportedSchemaError(f"the type {kind!r}: write a union as anyOf")
    _only(schema, {"type"} | _OF_TYPE[kind])
    if kind == "array":
        if "items" not in schema:
            raise UnsupportedSchemaError("an array without items")
        inner = type_of(schema["items"], names)
        return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
    if kind == "object":
        if "properties" in schema:
            raise UnsupportedSchemaError("an inline object with properties: make it a definition")
        others = schema.get("additionalProperties", True)
        if others is False:
            return "Record<string, never>"
        return f"Record<string, {'unknown' if others is True else type_of(others, names)}>"
    return _PRIMITIVES[kind]


def _only(schema: Schema, known: set[str] | frozenset[str]) -> None:
    unknown = sorted(schema.keys() - known - _NOTES)
    if unknown:
        raise UnsupportedSchemaError(
            f"{', '.join(unknown)} in {dict(schema)}: support it in workers/reference/typescript"
        )
