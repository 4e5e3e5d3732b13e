"""Compare two JSON Schemas: would a reader of one accept all that a writer of the other sends?

Only the keywords that our models produce are known; what can't be compared counts as a difference.
Unknown fields are always allowed, because readers of events ignore them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Mapping[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "minLength", "minItems")
_UPPER_BOUNDS: Final = ("maximum", "maxLength", "maxItems")
_ANNOTATIONS: Final = frozenset(
    ("$id", "$schema", "title", "description", "default", "examples", "deprecated", "$defs")
)
_COMPARED: Final = frozenset(
    (
        *_LOWER_BOUNDS, *_UPPER_BOUNDS, "$ref", "anyOf", "type", "const", "enum", "pattern",
        "format", "uniqueItems", "items", "properties", "required", "additionalProperties",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Something that the writer may send and the reader does not accept.

    Args:
        path: the field, such as ``data.response.score``; ``[]`` for the items of a list.
        text: what is wrong.
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path or 'the event'}: {self.text}"


@dataclass(frozen=True)
class Comparison:
    """Compares the schema of a writer with that of a reader.

    Args:
        writer: the schema of what is sent.
        reader: the schema of what is accepted.
        open_values: paths whose readers must expect values that they do not know.
    """

    writer: Schema
    reader: Schema
    open_values: frozenset[str] = field(default_factory=frozenset)

    def differences(self) -> list[Difference]:
        """Return all that the writer may send and the reader does not accept.

        Raises:
            ValueError: a schema has a keyword that is not compared.
        """
        return list(self._compare(self.writer, self.reader, ""))

    def _compare(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Difference]:
        choices = _alternatives(accepted, self.reader)
        for alternative in _alternatives(sent, self.writer):
            tried = [list(self._compare_one(alternative, choice, path)) for choice in choices]
            if all(tried):
                same = [
                    differences
                    for differences, choice in zip(tried, choices, strict=True)
                    if alternative.get("type") == choice.get("type")
                ]
                # What comes nearest says most.
                yield from min(same or tried, key=len)

    def _compare_one(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Difference]:
        type_, wanted = sent.get("type"), accepted.get("type")
        if wanted is not None and type_ != wanted and (type_, wanted) != ("integer", "number"):
            yield Difference(path, f"may be {type_ or 'of any type'}, and must be {wanted}")
            return
        yield from self._values(sent, accepted, path)
        yield from _bounds(sent, accepted, path)
        if accepted.get("uniqueItems") and not sent.get("uniqueItems"):
            yield Difference(path, "may have equal items, and must not")
        if "items" in accepted:
            yield from self._compare(sent.get("items", {}), accepted["items"], f"{path}[]")
        yield from self._fields(sent, accepted, path)

    def _values(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Difference]:
        values, known = _values(sent), _values(accepted)
        if known is not None and path not in self.open_values:
            if values is None:
                yield Difference(path, f"may be anything, and must be one of {known}")
            elif more := [value for value in values if value not in known]:
                yield Difference(path, f"may be one of {more}, and must be one of {known}")
        for name in ("pattern", "format"):
            wanted = accepted.get(name)
            if wanted is None or sent.get(name) == wanted:
                continue
            if name == "pattern" and values and all(re.search(wanted, str(v)) for v in values):
                continue
            yield Difference(path, f"has the {name} {sent.get(name)}, and must have {wanted}")

    def _fields(self, sent: Schema, accepted: Schema, path: str) -> Iterator[Difference]:
        own, known = sent.get("properties", {}), accepted.get("properties", {})
        for name in accepted.get("required", ()):
            if name not in sent.get("required", ()):
                yield Difference(_join(path, name), "may be missing, and is required")
        for name in sorted(known.keys() & own.keys()):
            yield from self._compare(own[name], known[name], _join(path, name))
        if accepted.get("additionalProperties") is False:
            for name in sorted(own.keys() - known.keys()):
                yield Difference(_join(path, name), "may be sent, and is not accepted")


def fields(schema: Schema) -> set[str]:
    """Return the paths of all fields of a schema, also of those of lists' items."""
    return set(_paths(schema, schema, ""))


def _paths(schema: Schema, root: Schema, path: str) -> Iterator[str]:
    for alternative in _alternatives(schema, root):
        if "items" in alternative:
            yield from _paths(alternative["items"], root, f"{path}[]")
        for name, value in alternative.get("properties", {}).items():
            yield _join(path, name)
            yield from _paths(value, root, _join(path, name))


def _alternatives(schema: Schema, root: Schema) -> list[Schema]:
    if unknown := schema.keys() - _COMPARED - _ANNOTATIONS:
        raise ValueError(f"the comparison does not know the keywords {sorted(unknown)}")
    if "$ref" in schema:
        return _alternatives(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in schema:
        return [
            alternative for choice in schema["anyOf"] for alternative in _alternatives(choice, root)
        ]
    return [schema]


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _bounds(sent: Schema, accepted: Schema, path: str) -> Iterator[Difference]:
    if _values(sent) is not None:
        return  # compared by value
    kinds: list[tuple[tuple[str, ...], Callable[[Any, Any], bool]]] = [
        (_LOWER_BOUNDS, lambda own, wanted: own >= wanted),
        (_UPPER_BOUNDS, lambda own, wanted: own <= wanted),
    ]
    for names, holds in kinds:
        for name in names:
            own, wanted = sent.get(name), accepted.get(name)
            if wanted is not None and (own is None or not holds(own, wanted)):
                yield Difference(path, f"has the {name} {own}, and must have {wanted}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
