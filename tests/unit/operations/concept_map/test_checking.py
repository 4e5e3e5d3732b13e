"""Refusals of a concept map: unknown names and cycles, each named whole."""

import random
from pathlib import Path

import pytest

from tests.support.concept_maps import concept, item, map_file
from workers.ledger.concept_map import Concept, ConceptMap
from workers.operations.concept_map.checking import findings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "map.json"


def registered(**before: tuple[str, ...]) -> ConceptMap:
    return ConceptMap(
        1, {name: Concept(name, name, "default", names) for name, names in before.items()}
    )


def test_given_names_of_file_and_map_when_checked_then_they_are_known(path: Path) -> None:
    file = map_file(path, concept("a", "x"), concept("b", "a"), items=[item("q", "b", "x")])

    assert findings(file, registered(x=())) == []


def test_given_unknown_names_when_checked_then_each_is_told_with_its_owner(path: Path) -> None:
    file = map_file(path, concept("a", "x"), items=[item("q", "a", "y")])

    assert [str(finding) for finding in findings(file, ConceptMap())] == [
        (
            "concepts[0].prerequisites of 'a' has 'x', which is neither in this file nor "
            "registered: add that concept, or remove it here"
        ),
        (
            "items[0].concept_ids of 'q' has 'y', which is neither in this file nor registered: "
            "add that concept, or correct it here"
        ),
    ]


def test_given_a_cycle_when_checked_then_the_whole_of_it_is_named(path: Path) -> None:
    file = map_file(
        path, concept("d", "c"), concept("a", "c"), concept("b", "a"), concept("c", "b")
    )

    assert [str(finding) for finding in findings(file, ConceptMap())] == [
        (
            "concepts[1].prerequisites of 'a' close a cycle, each a prerequisite of the next: "
            "'a' → 'b' → 'c' → 'a': remove one of these prerequisites"
        )
    ]


def test_given_several_cycles_when_checked_then_each_is_told(path: Path) -> None:
    file = map_file(
        path, *(concept(f"{n}{x}", f"{n}{y}") for n in range(3) for x, y in ("ab", "ba"))
    )

    told = [str(finding) for finding in findings(file, ConceptMap())]

    assert len(told) == 3
    for number in range(3):
        assert any(f"'{number}a' → '{number}b' → '{number}a'" in text for text in told)


def test_given_a_cycle_through_registered_concepts_then_it_is_reported(
    path: Path,
) -> None:
    file = map_file(path, concept("a", "c"))

    (finding,) = findings(file, registered(a=(), b=("a",), c=("b",)))

    assert "'a' → 'b' → 'c' → 'a' ('b', 'c' registered already)" in finding.problem


def test_given_a_map_altered_by_hand_then_its_cycle_is_reported(
    path: Path,
) -> None:
    (finding,) = findings(map_file(path, concept("x")), registered(b=("a",), a=("b",)))

    assert finding.place == "prerequisites"
    assert "'a' → 'b' → 'a' ('a', 'b' registered already)" in finding.problem.replace(
        "'b', 'a' registered", "'a', 'b' registered"
    )


def test_given_a_file_that_removes_the_old_way_back_then_it_is_no_cycle(
    path: Path,
) -> None:
    file = map_file(path, concept("a", "b"), concept("b"))

    assert findings(file, registered(a=(), b=("a",))) == []


@pytest.mark.parametrize("seed", range(20))
def test_given_any_graph_then_a_cycle_is_found_exactly_where_there_is_one(
    path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    names = [str(n) for n in range(8)]
    before = {
        name: draw.sample([n for n in names if n != name], draw.choice((0, 1, 1))) for name in names
    }
    file = map_file(path, *(concept(name, *some) for name, some in before.items()))

    def reaches(start: str) -> bool:
        seen, todo = set(), list(before[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += before[name]
        return start in seen

    assert bool(findings(file, ConceptMap())) == any(map(reaches, names))


def test_given_a_very_long_chain_when_checked_then_it_is_no_trouble(path: Path) -> None:
    chain = [concept(str(n), str(n - 1)) if n else concept("0") for n in range(5_000)]
    assert findings(map_file(path, *chain), ConceptMap()) == []

    chain[0] = concept("0", "4999")
    (finding,) = findings(map_file(path, *chain), ConceptMap())
    assert finding.problem.count("→") == 5_000
