"""A concept map's file: what it says, and what is wrong with its form."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.concept_maps import concept, item, written
from workers.common.errors import InputFileError
from workers.ledger.concept_map import Concept, Item
from workers.operations.concept_map.file import read_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "map.json"


def refused(path: Path) -> list[str]:
    with pytest.raises(InputFileError) as raised:
        read_file(path)
    first, *rest = str(raised.value).splitlines()
    assert first == f"{path} is not imported, nothing was changed:"
    return [line.strip() for line in rest]


def test_given_a_whole_file_when_read_then_it_says_all_of_it(path: Path) -> None:
    written(
        path,
        concept("b", "z", "a", name="Bé", scale="math"),
        {"id": "a"},
        items=[item("q", "b", "a", scale="math"), item("r", "z")],
    )

    file = read_file(path)

    assert file.concepts == [
        Concept("b", "Bé", "math", ("a", "z")),
        Concept("a", "a", "default", ()),
    ]
    assert file.items == [Item("q", ("a", "b"), "math"), Item("r", ("z",), "default")]
    assert file.unknown == []


@pytest.mark.parametrize("kind", ["concepts", "items"])
def test_given_only_one_kind_when_read_then_the_other_is_empty(path: Path, kind: str) -> None:
    path.write_text(json.dumps({kind: []}))

    assert read_file(path)[:2] == ([], [])


def test_given_fields_of_no_meaning_when_read_then_their_places_are_told(path: Path) -> None:
    written(path, concept("a", color="red"), items=[item("q", "a", text="2 + 2")], made="today")

    assert read_file(path).unknown == ["made", "concepts[0].color", "items[0].text"]


def test_given_no_file_or_no_json_when_read_then_it_says_so(path: Path) -> None:
    with pytest.raises(InputFileError, match=r"can't be read: No such file"):
        read_file(path)
    path.write_bytes(b'{"concepts": [\xff]}')
    with pytest.raises(InputFileError, match="not JSON in UTF-8"):
        read_file(path)


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        ({}, ['the file has neither "concepts" nor "items": write {"concepts": [...]}']),
        ([], ["the file is []: input should be an object"]),
        ({"concepts": {"a": 1}}, ["concepts is an object: input should be a valid array"]),
        ({"concepts": [{"name": "A"}]}, ["concepts[0].id is missing: add it"]),
        ({"concepts": [{"id": 5}]}, ["concepts[0].id is 5: input should be a valid string"]),
        (
            {"concepts": [{"id": ""}, {"id": "x" * 129}]},
            [
                "concepts[0].id is '': string should have at least 1 character",
                f"concepts[1].id is '{'x' * 79}…: string should have at most 128 characters",
            ],
        ),
        (
            {"concepts": [{"id": "a", "prerequisites": ["b", None]}]},
            ["concepts[0].prerequisites[1] is None: input should be a valid string"],
        ),
        (
            {"items": [{"id": "q", "concept_ids": []}, {"id": "r"}]},
            [
                (
                    "items[0].concept_ids is []: list should have at least 1 item after "
                    "validation, not 0"
                ),
                "items[1].concept_ids is missing: add it",
            ],
        ),
    ],
)
def test_given_a_wrong_form_then_place_value_and_remedy_are_named(
    path: Path, document: Any, lines: list[str]
) -> None:
    path.write_text(json.dumps(document))

    assert refused(path) == lines


def test_given_what_occurs_twice_when_read_then_each_is_named(path: Path) -> None:
    written(
        path,
        concept("a", "b", "c", "b"),
        concept("b", "b"),
        concept("a"),
        items=[item("q", "a", "a"), item("q", "b")],
    )

    assert refused(path) == [
        "concepts[2].id is 'a', as concepts[0].id is: keep one of the two",
        "items[1].id is 'q', as items[0].id is: keep one of the two",
        "concepts[0].prerequisites has 'b' 2 times: keep one",
        "concepts[1].prerequisites has 'b', the concept itself: remove it",
        "items[0].concept_ids has 'a' 2 times: keep one",
    ]
