"""Each kind of incompatible change is found, in the direction in which it breaks somebody."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from workers.reference.compatibility.comparing import Comparison, fields

Change = Callable[[dict[str, Any]], None]

_OLD: dict[str, Any] = {
    "$defs": {
        "Data": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^a"},
                "score": {"anyOf": [{"type": "number", "maximum": 1}, {"type": "null"}]},
                "count": {"type": "integer", "minimum": 0},
                "kind": {"type": "string", "enum": ["one", "two"]},
                "concepts": {
                    "type": "array", "items": {"type": "string"}, "maxItems": 16,
                },
                "at": {"type": "string", "format": "date-time"},
                "note": {"type": "string", "default": ""},
            },
            "required": ["id", "kind"],
        }
    },
    "type": "object",
    "properties": {"data": {"$ref": "#/$defs/Data"}},
    "required": ["data"],
}  # fmt: skip


def _data(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"]["Data"]
    return found


def _field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = _data(schema)["properties"][name]
    return found


def _added(name: str, **schema: Any) -> Change:
    return lambda s: _data(s)["properties"].__setitem__(name, schema)


def _set(name: str, **keywords: Any) -> Change:
    return lambda s: _field(s, name).update(keywords)


def _without(name: str, keyword: str) -> Change:
    return lambda s: _field(s, name).pop(keyword) and None


def _required(*names: str) -> Change:
    return lambda s: _data(s).update(required=list(names))


def _replaced(name: str, **schema: Any) -> Change:
    return lambda s: _data(s)["properties"].__setitem__(name, schema)


_NUMBER_OR_TEXT = [{"type": "number", "maximum": 1}, {"type": "null"}, {"type": "string"}]

_NARROWED: list[tuple[str, Change, str]] = [
    ("a new required field", _required("id", "kind", "note"), "data.note: may be missing"),
    ("another type", _set("note", type="integer"), "data.note: may be string"),
    ("a number that must be whole", _set("score", anyOf=[{"type": "integer", "maximum": 1},
                                                          {"type": "null"}]), "data.score"),
    ("null is refused", _replaced("score", type="number", maximum=1), "data.score: may be null"),
    ("a value less", _set("kind", enum=["one"]), "data.kind: may be one of ['two']"),
    ("values where all were free", _set("note", enum=["x"]), "data.note: may be anything"),
    ("a lower maximum", _set("score", anyOf=[{"type": "number", "maximum": 0.5},
                                             {"type": "null"}]), "data.score: has the maximum 1"),
    ("a higher minimum", _set("count", minimum=1), "data.count: has the minimum 0"),
    ("a shorter text", _set("id", maxLength=64), "data.id: has the maxLength 128"),
    ("a longer text", _set("id", minLength=2), "data.id: has the minLength 1"),
    ("a new bound", _set("note", maxLength=9), "data.note: has the maxLength None"),
    ("another pattern", _set("id", pattern="^b"), "data.id: has the pattern ^a"),
    ("a new format", _set("note", format="uuid"), "data.note: has the format None"),
    ("fewer items", _set("concepts", maxItems=8), "data.concepts: has the maxItems 16"),
    ("no equal items", _set("concepts", uniqueItems=True), "data.concepts: may have equal"),
    ("other items", _set("concepts", items={"type": "integer"}), "data.concepts[]: may be string"),
    ("no more fields", lambda s: _field(s, "note").update(
        type="object", properties={}, additionalProperties=False), "data.note"),
]  # fmt: skip


def _changed(change: Change) -> dict[str, Any]:
    new = copy.deepcopy(_OLD)
    change(new)
    return new


def _texts(writer: dict[str, Any], reader: dict[str, Any]) -> list[str]:
    return [str(difference) for difference in Comparison(writer, reader).differences()]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in _NARROWED],
                         ids=[row[0] for row in _NARROWED])  # fmt: skip
def test_given_a_narrowed_schema_then_only_old_writers_are_refused(
    change: Change, text: str
) -> None:
    new = _changed(change)
    (found,) = _texts(_OLD, new)
    assert found.startswith(text)


@pytest.mark.parametrize(
    "change",
    [
        _required("id"),
        _set("kind", enum=["one", "two", "three"]),
        _set("score", anyOf=_NUMBER_OR_TEXT),
        _set("count", type="number"),
        _without("count", "minimum"),
        _without("id", "pattern"),
        _set("concepts", maxItems=32),
    ],
    ids=["optional", "value", "null or more", "any number", "minimum", "pattern", "items"],
)
def test_given_a_widened_schema_then_only_old_readers_are_surprised(change: Change) -> None:
    new = _changed(change)
    assert _texts(_OLD, new) == []
    assert len(_texts(new, _OLD)) == 1


@pytest.mark.parametrize(
    "change",
    [
        _added("more", type="string"),
        _set("note", description="Other words.", title="Note", examples=["x"]),
        _set("note", default="none"),
    ],
    ids=["an optional field", "words", "a default"],
)
def test_given_a_compatible_change_then_nothing_is_found(change: Change) -> None:
    new = _changed(change)
    assert _texts(_OLD, new) == _texts(new, _OLD) == []


def test_given_open_values_then_one_more_surprises_nobody() -> None:
    new = _changed(_set("kind", enum=["one", "two", "three"]))
    assert list(Comparison(new, _OLD, frozenset(["data.kind"])).differences()) == []


def test_given_a_constant_then_a_pattern_that_it_has_accepts_it() -> None:
    constant = {"type": "string", "const": "practice.v1"}
    assert _texts(constant, {"type": "string", "pattern": r"^practice\.v1(\.\d+)?$"}) == []
    assert len(_texts(constant, {"type": "string", "pattern": r"^practice\.v2"})) == 1


def test_given_an_unknown_keyword_then_the_comparison_says_so() -> None:
    with pytest.raises(ValueError, match="oneOf"):
        _texts(_OLD, _changed(_set("note", oneOf=[])))


def test_given_a_schema_then_its_fields_are_paths() -> None:
    schema = {
        "type": "array",
        "items": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    assert fields({"type": "object", "properties": {"list": schema}}) == {"list", "list[].a"}
    assert "data.score" in fields(_OLD)
