"""JSON Schema as TypeScript: what our models produce, and nothing that would be a guess."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from workers.reference.typescript.comments import comment
from workers.reference.typescript.module import RENAMED, Stream, declaration, module
from workers.reference.typescript.schema import UnsupportedSchemaError, property_name, type_of

_SCHEMAS = Path(__file__).parents[4] / "contracts" / "schemas"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "minLength": 1, "pattern": "^a"}, "string"),
        ({"type": "string", "format": "uuid"}, "string"),
        ({"type": "integer", "minimum": 0}, "number"),
        ({"type": "number", "exclusiveMaximum": 1}, "number"),
        ({"type": "boolean", "title": "Right", "default": True}, "boolean"),
        ({"type": "null"}, "null"),
        ({"const": "1.0", "type": "string"}, '"1.0"'),
        ({"const": True, "type": "boolean"}, "true"),
        ({"const": None}, "null"),
        ({"enum": ["a", 'quo"te', "schön"], "type": "string"}, '"a" | "quo\\"te" | "schön"'),
        ({"enum": [401, 403], "type": "integer"}, "401 | 403"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string | null"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
        ({"type": "array", "items": {"type": "string"}}, "readonly string[]"),
        (
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "readonly (string | null)[]",
        ),
        (
            {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            "readonly (readonly number[])[]",
        ),
        ({"type": "object"}, "Record<string, unknown>"),
        ({"type": "object", "additionalProperties": False}, "Record<string, never>"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "Record<string, number>",
        ),
        ({"$ref": "#/$defs/Claims", "description": "Whose."}, "Claims"),
        ({"$ref": "#/$defs/Response"}, "PracticeResponse"),
        ({}, "unknown"),
    ],
)
def test_given_a_schema_of_our_subset_when_translated_then_it_is_its_type(
    schema: dict[str, Any], expected: str
) -> None:
    assert type_of(schema, RENAMED) == expected


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "string", "contentEncoding": "base64"}, "contentEncoding"),
        ({"oneOf": [{"type": "string"}]}, "oneOf"),
        ({"allOf": [{"$ref": "#/$defs/A"}]}, "allOf"),
        ({"type": ["string", "null"]}, "anyOf"),
        ({"type": "decimal"}, "decimal"),
        ({"type": "array"}, "without items"),
        ({"type": "array", "prefixItems": [], "items": False}, "prefixItems"),
        ({"type": "object", "patternProperties": {}}, "patternProperties"),
        ({"type": "object", "properties": {}}, "make it a definition"),
        ({"$ref": "other.json#/A"}, "other.json"),
        ({"$ref": "#/$defs/List[int]"}, "List"),
        ({"$ref": "#/$defs/A", "minLength": 1}, "minLength"),
        ({"const": {"a": 1}}, "constant"),
        ({"anyOf": [{"type": "string"}], "minLength": 1}, "minLength"),
        ({"minimum": 0}, "minimum"),
    ],
)
def test_given_another_schema_when_translated_then_it_is_refused_and_named(
    schema: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnsupportedSchemaError, match=named):
        type_of(schema, {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}, "required": ["missing"]},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "minProperties": 1},
        {"type": "object", "properties": {"a": {"not": {}}}},
    ],
)
def test_given_an_object_of_another_kind_when_declared_then_it_is_refused(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(UnsupportedSchemaError):
        declaration("A", schema)


class _Part(BaseModel):
    """A part.

    With ``two`` paragraphs */ and an end of comment.
    """

    model_config = ConfigDict(extra="allow")

    kind: Literal["a", "b"] = "a"
    at: Annotated[float, Field(gt=0, lt=2.5)]
    many: Annotated[list[Annotated[str, Field(max_length=3)]], Field(min_length=1)]
    any_: JsonValue = Field(default=None, alias="any-thing")


class _Whole(BaseModel):
    part: _Part | None = Field(default=None, description="It may be away.")
    count: Annotated[int, Field(ge=1, examples=[7])]
    named: dict[str, int] = Field(default_factory=dict)
    either: Annotated[str, Field(min_length=2)] | Annotated[list[str], Field(max_length=4)]


def test_given_models_then_fields_absence_and_bounds_are_declared() -> None:
    schema = _Whole.model_json_schema()

    assert declaration("Whole", schema | {"$defs": {}}) == (
        "export interface Whole {\n"
        "  /** It may be away. */\n"
        "  part?: _Part | null;\n"
        "  /** An integer. 1 or more. Such as `7`. */\n"
        "  count: number;\n"
        "  named?: Record<string, number>;\n"
        "  /** As string: 2 characters or more. As array: 4 items at most. */\n"
        "  either: string | readonly string[];\n"
        "}\n"
    )
    assert declaration("Part", schema["$defs"]["_Part"]) == (
        "/**\n"
        " * A part.\n"
        " *\n"
        " * With `two` paragraphs *\\/ and an end of comment.\n"
        " */\n"
        "export interface Part {\n"
        '  /** @defaultValue `"a"` */\n'
        '  kind?: "a" | "b";\n'
        "  /** Above 0. Below 2.5. */\n"
        "  at: number;\n"
        "  /** 1 item or more. Each item: 3 characters at most. */\n"
        "  many: readonly string[];\n"
        '  "any-thing"?: JsonValue;\n'
        "  /** Unknown fields are kept. */\n"
        "  [name: string]: unknown;\n"
        "}\n"
    )


def test_given_a_format_when_commented_then_it_replaces_its_pattern() -> None:
    known = comment({"type": "string", "format": "date-time", "pattern": "^2"})
    unknown = comment({"type": "string", "format": "email"})
    other = comment({"type": "string", "pattern": "^a*/$"})

    assert known == ["/** An RFC 3339 time with a zone. */"]
    assert unknown == ["/** Of the format `email`. */"]
    assert other == ["/** Matches `^a*\\/$`. */"]
    assert comment({"type": "string"}) == []
    assert comment({"deprecated": True}) == ["/** @deprecated */"]


@given(st.text())
def test_given_any_description_then_the_comment_ends_at_its_end(text: str) -> None:
    lines = comment({"description": text}, "  ")
    whole = "\n".join(lines)

    assert "*/" not in whole[:-2]
    if lines:
        assert whole.lstrip().startswith("/**")
        assert whole.endswith("*/")


@given(st.text())
def test_given_any_name_when_a_property_then_it_is_one_token(name: str) -> None:
    written = property_name(name)

    assert written == name or json.loads(written) == name
    if written == name:
        assert name.isascii()


def test_given_a_long_union_when_declared_then_each_member_has_a_line() -> None:
    names = [f"member_{n:020}" for n in range(5)]

    lines = declaration("Long", {"enum": names, "type": "string"}).splitlines()

    assert lines == [
        "export type Long =",
        *(f'  | "{n}"' for n in names[:-1]),
        f'  | "{names[-1]}";',
    ]


def _kept() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(_SCHEMAS.glob("*.json"))}


def test_given_the_kept_schemas_then_no_part_and_no_property_is_missing() -> None:
    schemas = _kept()
    streams = {"all": Stream("all.v1", tuple(schemas), "Everything.")}

    text = module(schemas, streams)

    assert len(schemas) > 5
    for event_type, schema in schemas.items():
        assert f'  "{event_type}": {schema["title"]};' in text
        for name, part in {schema["title"]: schema, **schema["$defs"]}.items():
            called = RENAMED.get(name, name)
            assert (
                text.count(f"export interface {called} {{") + text.count(f"export type {called} ")
                == 1
            )
            body = text.partition(f"export interface {called} {{")[2].partition("\n}\n")[0]
            for key in part.get("properties", {}):
                mark = ":" if key in part.get("required", ()) else "?:"
                assert f"\n  {key}{mark} " in body
    assert f"  all: {' | '.join(schema['title'] for schema in schemas.values())};" in text
    assert '  all: "all.v1",' in text
    assert max(map(len, text.splitlines())) < 140
    assert module(_kept(), streams) == text


def test_given_one_name_with_two_meanings_then_it_is_refused() -> None:
    def event(title: str, kind: str) -> dict[str, Any]:
        return {
            "title": title,
            "type": "object",
            "properties": {"data": {"$ref": "#/$defs/Data"}},
            "$defs": {"Data": {"type": kind}},
        }

    assert "export type Data = string;" in module({"a": event("A", "string")}, {})
    with pytest.raises(UnsupportedSchemaError, match="Data is not the same"):
        module({"a": event("A", "string"), "b": event("B", "integer")}, {})
