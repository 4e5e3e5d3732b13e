from datetime import timedelta
from typing import Any

import pytest

from tests.support.factories import START, answer
from workers.estimation.learner import LearnerKey
from workers.graph.changes import AbilityChange, MasteryChange, PractisedChange
from workers.graph.protocol import StoredLearner
from workers.operations.reconciliation.comparison import (
    Difference,
    differences,
    practised,
    repair_of,
)

KEY = LearnerKey("t", "s")
ONE = MasteryChange(*KEY, "c", 0.5, 3, False, START, 7)


def compared(should: list[MasteryChange], held: list[MasteryChange]) -> list[Difference]:
    return list(differences(StoredLearner(KEY, should), StoredLearner(KEY, held)))


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        ([], "missing"),
        ([ONE._replace(version=6)], "behind"),
        ([ONE._replace(version=8)], "ahead"),
        ([ONE._replace(mastery=0.5 + 2**-53)], "altered"),
        ([ONE._replace(answered_at=START + timedelta(microseconds=1))], "altered"),
        ([ONE, ONE], "doubled"),
        ([ONE, ONE._replace(version=8)], "doubled"),
        ([ONE._replace(version=None)], "altered"),  # type: ignore[arg-type]  # a foreign hand's
        ([ONE._replace(version="7")], "altered"),  # type: ignore[arg-type]  # a foreign hand's
    ],
)
def test_given_a_relationship_then_its_kind_says_how_it_differs(
    held: list[MasteryChange], kind: str
) -> None:
    (difference,) = compared([ONE], held)

    assert difference.kind == kind
    assert difference.forced == (kind not in {"missing", "behind"})
    repair = repair_of([difference])
    assert repair.merges == [ONE]
    assert repair.removals == (held if difference.forced else [])
    assert len(repair) == len(repair.merges) + len(repair.removals)


def test_given_equal_relationships_then_nothing_differs() -> None:
    assert compared([ONE], [ONE]) == []


def test_given_a_concept_of_voided_answers_then_the_graph_keeps_its_place() -> None:
    assert compared([], [ONE._replace(attempts=0)]) == []
    (difference,) = compared([ONE], [ONE._replace(attempts=0)])
    assert difference.kind == "altered"


def test_given_extras_the_ledger_lacks_then_they_are_stray_and_removed() -> None:
    (difference,) = compared([], [ONE])

    assert (difference.kind, difference.forced) == ("stray", True)
    repair = repair_of([difference])
    assert (repair.removals, repair.merges) == ([ONE], [])


def test_given_the_same_ids_in_two_kinds_then_they_are_two_relationships() -> None:
    ability = AbilityChange(*KEY, "c", 0.5, 1.0, 7)
    differing = differences(StoredLearner(KEY, [ONE]), StoredLearner(KEY, [], [ability]))

    assert [difference.kind for difference in differing] == ["missing", "stray"]


def test_given_a_difference_then_people_and_programs_read_both_sides() -> None:
    held = ONE._replace(mastery=0.25)
    difference = Difference((held,), ONE)

    assert str(difference) == (
        "altered: HAS_MASTERY of tenant_id 't', student_id 's', concept_id 'c': the graph has "
        f"mastery 0.25, attempts 3, mastered False, answered_at {START}, version 7, the ledger "
        f"mastery 0.5, attempts 3, mastered False, answered_at {START}, version 7"
    )
    document: dict[str, Any] = difference.document()
    assert document["relationship"] == "HAS_MASTERY"
    assert (
        document["tenant_id"],
        document["student_id"],
        document["concept_id"],
    ) == difference.identity[1]
    assert document["graph"][0]["mastery"] == 0.25
    assert document["ledger"]["answered_at"] == str(START)
    practised_ = Difference((PractisedChange("t", "s-1", "c"),), None)
    assert str(practised_).endswith("the graph has it, the ledger nothing")
    assert practised_.document()["ledger"] is None


def test_given_a_log_then_each_concept_is_practised_in_its_session_once() -> None:
    log = [
        answer(0, concepts=("a", "b"), session="s1"),
        answer(1, concepts=("a",), session="s1"),
        answer(2, concepts=("a",), session="s2"),
        answer(3, concepts=("z",)),
    ]
    assert practised(KEY, log) == {
        PractisedChange("t", "s1", "a"),
        PractisedChange("t", "s1", "b"),
        PractisedChange("t", "s2", "a"),
    }
