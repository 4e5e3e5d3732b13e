"""Parameters as JSON: what comes back is what went in, and what is no parameter is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.examples import examples
from tests.support.factories import calibrated_parameters
from workers.estimation.documents import (
    FORMULAS,
    OlderFormulas,
    parameters_document,
    parameters_of,
)
from workers.estimation.parameters import Parameters


@settings(max_examples=examples(40))
@given(calibrated_parameters())
def test_given_any_parameters_written_and_read_then_every_bit_is_the_same(
    parameters: Parameters,
) -> None:
    assert parameters_of(json.loads(json.dumps(parameters_document(parameters)))) == parameters


def test_given_the_default_when_written_then_formulas_are_named() -> None:
    assert parameters_document(Parameters()) == {
        "formulas": FORMULAS,
        "concepts": {},
        "items": {},
        "scales": {},
    }
    assert parameters_of({"formulas": FORMULAS}) == Parameters()


def test_given_a_concept_offset_when_written_then_its_stored_name_stays() -> None:
    offset = {"variance": 0.5, "drift": 0.02}
    document: dict[str, Any] = {
        "formulas": FORMULAS,
        "concepts": {"c": {"deviation": offset}},
        "scales": {"s": {"deviation": offset}},
    }
    written = parameters_document(parameters_of(document))
    assert written["concepts"] == document["concepts"]
    assert written["scales"]["s"]["deviation"] == offset
    document["scales"] = {"s": {"deviation": {"variance": -1.0}}}
    with pytest.raises(ValueError, match=r"scales\.s\.deviation: .*variance of a concept offset"):
        parameters_of(document)


@pytest.mark.parametrize(
    ("document", "formulas"),
    [({}, 1), ({"default": {"prior": 7.0}}, 1), ({"formulas": FORMULAS - 1}, FORMULAS - 1)],
)
def test_given_older_formulas_when_read_then_refused_with_the_remedy(
    document: dict[str, Any], formulas: int
) -> None:
    with pytest.raises(OlderFormulas) as refused:
        parameters_of(document)
    said = str(refused.value)
    assert (
        f"older formulas of this engine (formulas {formulas}, this engine has {FORMULAS})" in said
    )
    assert "run `mastery calibrate` and activate its version, or activate version 1" in said


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"formulas": FORMULAS + 1}, f"formulas: {FORMULAS + 1} is newer than {FORMULAS}"),
        ({"formulas": True}, "formulas: must be a whole number from 1, not True"),
        ({"formulas": "2"}, "formulas: must be a whole number from 1, not '2'"),
        ({"formulas": 0}, "formulas: must be a whole number from 1, not 0"),
        ({"version": 0}, "version must be 1 or more"),
        ({"versoin": 2}, "versoin"),
        ({"items": {"q": {"discrimination": -1}}}, r"items\.q.*discrimination must lie in"),
        ({"items": {"q": {"difficulty": float("nan")}}}, r"items\.q\.difficulty"),
        ({"concepts": {"c": {"mastery": {"prior": 0.5}}}}, r"concepts\.c\.mastery"),
        ("version", "parameters: "),
    ],
)
def test_given_what_is_no_parameter_when_read_then_it_is_refused_by_name(
    document: Any, said: str
) -> None:
    if isinstance(document, dict):
        document = {"formulas": FORMULAS} | document
    with pytest.raises(ValueError, match=said):
        parameters_of(document)
