"""Read a concept map from a file, and check its form."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.primitives import Identifier
from workers.common.errors import InputFileError
from workers.ledger.concept_map import Concept, Item

_DEFAULT_SCALE = "default"
_MOST_CONCEPTS = 16
_LONGEST_VALUE = 80

_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]


class Finding(NamedTuple):
    """Something wrong with a file: its place, and a sentence with value and remedy."""

    place: str
    problem: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.place} {self.problem}"


class MapFile(NamedTuple):
    """The content of a file, in its order.

    Args:
        concepts: with their prerequisites.
        items: with the concepts that they test.
        unknown: places of unknown fields.
    """

    concepts: list[Concept]
    items: list[Item]
    unknown: list[str]


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class _Entry(_Open):
    id: Identifier


class _Concept(_Entry):
    name: _Name | None = None
    scale: Identifier = _DEFAULT_SCALE
    prerequisites: list[Identifier] = Field(default_factory=list)


class _Item(_Entry):
    concept_ids: Annotated[list[Identifier], Field(min_length=1, max_length=_MOST_CONCEPTS)]
    scale: Identifier = _DEFAULT_SCALE


class _File(_Open):
    concepts: list[_Concept] = Field(default_factory=list)
    items: list[_Item] = Field(default_factory=list)


def read_file(path: Path) -> MapFile:
    """Read a file.

    Raises:
        InputFileError: it can't be read, is not JSON, or its form is wrong; names each place.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputFileError(f"{path} can't be read: {error.strerror or error}") from error
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputFileError(f"{path} is not JSON in UTF-8: {error}; correct it") from error
    try:
        parsed = _File.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
        findings = [_finding(detail["loc"], detail["msg"], detail["input"]) for detail in details]
        raise wrong(path, findings)  # noqa: B904  # it would quote the whole file
    if not parsed.model_fields_set & {"concepts", "items"}:
        raise wrong(
            path,
            [Finding("the file", 'has neither "concepts" nor "items": write {"concepts": [...]}')],
        )
    if findings := [*_repeated(parsed)]:
        raise wrong(path, findings)
    return MapFile(
        [
            Concept(
                concept.id,
                concept.name or concept.id,
                concept.scale,
                tuple(sorted(concept.prerequisites)),
            )
            for concept in parsed.concepts
        ],
        [Item(item.id, tuple(sorted(item.concept_ids)), item.scale) for item in parsed.items],
        [*_unknown(parsed)],
    )


def wrong(path: Path, findings: list[Finding]) -> InputFileError:
    """Return the error that lists everything wrong with a file."""
    listed = "\n  ".join(map(str, findings))
    return InputFileError(f"{path} is not imported, nothing was changed:\n  {listed}")


def shown(value: object) -> str:
    """Return a value as a message quotes it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _finding(location: tuple[int | str, ...], message: str, value: Any) -> Finding:
    place = _place(location)
    if message == "Field required":
        return Finding(place, "is missing: add it")
    quoted = "an object" if isinstance(value, dict) else shown(value)
    said = f"is {quoted}: {message[:1].lower()}{message[1:]}"
    return Finding(place or "the file", said)


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _repeated(parsed: _File) -> Iterator[Finding]:
    for kind, entries in _kinds(parsed):
        first: dict[str, int] = {}
        for number, entry in enumerate(entries):
            known = first.setdefault(entry.id, number)
            if known != number:
                yield Finding(
                    f"{kind}[{number}].id",
                    f"is {shown(entry.id)}, as {kind}[{known}].id is: keep one of the two",
                )
    for number, concept in enumerate(parsed.concepts):
        yield from _twice(f"concepts[{number}].prerequisites", concept.prerequisites)
        if concept.id in concept.prerequisites:
            yield Finding(
                f"concepts[{number}].prerequisites",
                f"has {shown(concept.id)}, the concept itself: remove it",
            )
    for number, item in enumerate(parsed.items):
        yield from _twice(f"items[{number}].concept_ids", item.concept_ids)


def _kinds(parsed: _File) -> tuple[tuple[str, Sequence[_Entry]], ...]:
    return ("concepts", parsed.concepts), ("items", parsed.items)


def _twice(place: str, ids: list[str]) -> Iterator[Finding]:
    for name, count in Counter(ids).items():
        if count > 1:
            yield Finding(place, f"has {shown(name)} {count} times: keep one")


def _unknown(parsed: _File) -> Iterator[str]:
    yield from parsed.model_extra or {}
    for kind, entries in _kinds(parsed):
        for number, entry in enumerate(entries):
            yield from (f"{kind}[{number}].{name}" for name in entry.model_extra or {})
