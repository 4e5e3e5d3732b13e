"""A JSON Schema as a TypeScript type: the subset that our pydantic models produce, and no more."""

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
"""Keywords that say something and demand nothing."""
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
    """A schema says what no model of ours says: its type in TypeScript would be a guess."""


def type_of(schema: Schema, names: Mapping[str, str]) -> str:
    """The TypeScript type of a value.

    Args:
        schema: of the value; ``$ref`` leads to a definition by its name.
        names: what a definition is called in TypeScript, where that is another name.

    Raises:
        UnsupportedSchemaError: the schema has a keyword or a form that is not known here.
    """
    if "$ref" in schema:
        _only(schema, {"$ref"})
        return referred(schema["$ref"], names)
    if "anyOf" in schema:
        _only(schema, {"anyOf"})
        members = [type_of(one, names) for one in schema["anyOf"]]
        # Null last, as everybody writes it; a type that several members have, once.
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
    """Whether it is an object with named properties, which TypeScript calls an interface."""
    return schema.get("type") == "object" and "properties" in schema


def check_interface(schema: Schema) -> None:
    """Return if the keywords of an object with named properties are all known.

    Raises:
        UnsupportedSchemaError: one is not, or a property that is required is not described.
    """
    _only(schema, {"type"} | _OF_TYPE["object"] | _ROOT)
    undescribed = set(schema.get("required", ())) - set(schema["properties"])
    if undescribed:
        raise UnsupportedSchemaError(f"required and not described: {sorted(undescribed)}")
    if schema.get("additionalProperties", True) not in (True, False):
        # An index signature would have to take the named properties as well.
        raise UnsupportedSchemaError("named properties beside others of a type of their own")


def referred(reference: str, names: Mapping[str, str]) -> str:
    """The TypeScript name of the definition that a ``$ref`` leads to.

    Raises:
        UnsupportedSchemaError: it leads elsewhere, or the name is none in TypeScript.
    """
    name = reference.removeprefix(_REFERENCE)
    if name == reference or not _IDENTIFIER.fullmatch(name):
        raise UnsupportedSchemaError(f"$ref {reference}: only {_REFERENCE}Name is followed")
    return names.get(name, name)


def property_name(name: str) -> str:
    """A property's name, in quotes where it is no identifier."""
    return name if _IDENTIFIER.fullmatch(name) else literal(name)


def literal(value: Any) -> str:
    """A constant as the type that has it alone.

    Raises:
        UnsupportedSchemaError: it is an array or an object.
    """
    if value is not None and not isinstance(value, str | int | float):
        raise UnsupportedSchemaError(f"the constant {value!r} is no string, number, boolean, null")
    return json.dumps(value, ensure_ascii=False)


def _of_kind(schema: Schema, names: Mapping[str, str]) -> str:
    kind = schema["type"]
    if not isinstance(kind, str) or kind not in _OF_TYPE:
        raise UnsupportedSchemaError(f"the type {kind!r}: a union is written as anyOf")
    _only(schema, {"type"} | _OF_TYPE[kind])
    if kind == "array":
        if "items" not in schema:
            raise UnsupportedSchemaError("an array that does not say of what")
        inner = type_of(schema["items"], names)
        return f"readonly ({inner})[]" if " " in inner else f"readonly {inner}[]"
    if kind == "object":
        if "properties" in schema:
            raise UnsupportedSchemaError("an object with properties is a definition of its own")
        others = schema.get("additionalProperties", True)
        if others is False:
            return "Record<string, never>"
        return f"Record<string, {'unknown' if others is True else type_of(others, names)}>"
    return _PRIMITIVES[kind]


def _only(schema: Schema, known: set[str] | frozenset[str]) -> None:
    unknown = sorted(schema.keys() - known - _NOTES)
    if unknown:
        raise UnsupportedSchemaError(
            f"{', '.join(unknown)} in {dict(schema)}: "
            "teach workers/reference/typescript what it means"
        )
