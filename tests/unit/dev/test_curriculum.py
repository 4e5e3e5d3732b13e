"""The curriculum: every question has one right answer, every item its fitted parameters."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import pytest

from workers.demo.curriculum import CONCEPTS, SCALE
from workers.dev.curriculum import concept_map, curriculum_document
from workers.dev.demo_parameters import class_logs, demo_parameters
from workers.dev.questions import question
from workers.estimation.documents import parameters_of
from workers.estimation.parameters import CLASSICAL
from workers.ledger.concept_map import ConceptMap
from workers.modelling.calibration.bkt.mastery import fit_mastery, mastery_parameters
from workers.modelling.calibration.log_tables import table_of
from workers.operations.concept_map.checking import findings


@pytest.mark.parametrize("concept_id", [concept.concept_id for concept in CONCEPTS])
def test_given_any_number_then_a_question_has_four_choices(concept_id: str) -> None:
    for number in range(1, 200):
        made = question(concept_id, number)
        assert made == question(concept_id, number)
        assert len(set(made.choices)) == len(made.choices) == 4
        assert made.choices.count(made.answer) == 1


_SOLUTIONS: Final[dict[str, Callable[[list[int]], Fraction | int]]] = {
    "numbers.negative": lambda n: n[0] - n[1],
    "numbers.order-of-operations": lambda n: n[0] + n[1] * n[2],
    "fractions.equivalent": lambda n: Fraction(n[1] * n[2], n[0]),
    "fractions.add": lambda n: Fraction(n[0], n[1]) + Fraction(n[2], n[3]),
    "fractions.multiply": lambda n: Fraction(n[0], n[1]) * Fraction(n[2], n[3]),
    "percent.of-amount": lambda n: Fraction(n[0] * n[1], 100),
    "ratio.share": lambda n: Fraction(n[0] * n[1], n[1] + n[2]),
    "algebra.equation": lambda n: Fraction(n[2] - n[1], n[0]),
    "geometry.area": lambda n: Fraction(n[0] * n[1], 2),
}
"""Answers from the numbers in a question's text."""


@pytest.mark.parametrize("concept_id", _SOLUTIONS)
def test_given_a_calculation_then_its_answer_alone_is_right(concept_id: str) -> None:
    for number in range(1, 100):
        made = question(concept_id, number)
        solution = _SOLUTIONS[concept_id](list(map(int, re.findall(r"\d+", made.text))))
        assert [choice for choice in made.choices if Fraction(choice) == solution] == [made.answer]


def test_given_the_curriculum_then_no_question_comes_twice() -> None:
    questions = [item["question"] for item in curriculum_document()["items"]]
    assert len(questions) == len(set(questions)) == 8 * len(CONCEPTS)


def test_given_the_concept_map_then_it_can_be_imported() -> None:
    assert findings(concept_map(), ConceptMap()) == []
    # One concept is open to a beginner, and mastering it unlocks others.
    first = [concept for concept in concept_map().concepts if not concept.prerequisites]
    assert [concept.concept_id for concept in first] == ["numbers.place-value"]


def test_given_the_parameters_then_each_concept_and_item_has_its_own() -> None:
    parameters, file = parameters_of(demo_parameters()), concept_map()

    assert parameters.concepts.keys() == {concept.concept_id for concept in file.concepts}
    assert parameters.items.keys() == {item.item_id for item in file.items}
    assert all(parameters.of_concept(id_).covariance for id_ in parameters.concepts)
    # An Express developer's own concepts and scales stay at the documented default.
    assert parameters.default == CLASSICAL
    assert parameters.scales.keys() == {SCALE}
    assert parameters.any_scale is None


def test_given_the_simulated_class_when_fitted_then_it_gives_the_file() -> None:
    table, _ = table_of(class_logs())
    fitted = mastery_parameters(table, fit_mastery(table))

    stored = parameters_of(demo_parameters())
    for concept_id in stored.concepts:
        was, is_ = stored.of_concept(concept_id), fitted.own[concept_id]
        for name in ("prior", "learn", "guess", "slip"):
            assert getattr(was, name) == pytest.approx(getattr(is_, name), rel=1e-3)
