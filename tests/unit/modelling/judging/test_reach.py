"""Concepts on which mastery cannot be reached, or cannot be kept."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import THOROUGH, examples
from tests.support.factories import answer, scores
from tests.support.simulated_learners import simulated
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.modelling.calibration.bkt.mastery import fit_mastery, mastery_parameters
from workers.modelling.calibration.ceilings import LOWEST
from workers.modelling.calibration.fitting import fit
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.judging.reach import (
    IN_A_ROW,
    UNSEEN,
    lowest_ceiling,
    out_of_reach,
    slow_warning,
)

# Every process would make again what the tests share.
pytestmark = pytest.mark.xdist_group("reach")


def of(**concepts: BktParameters) -> Parameters:
    return Parameters(
        concepts={name: ConceptParameters(concept) for name, concept in concepts.items()}
    )


def p_known(parameters: BktParameters, answers: int) -> float:
    """Equations 1 and 3 of Corbett & Anderson (1995), with forgetting, on probabilities."""
    p = parameters.prior
    for _ in range(answers):
        p = p * (1 - parameters.slip) / (p * (1 - parameters.slip) + (1 - p) * parameters.guess)
        p = p * (1 - parameters.forget) + (1 - p) * parameters.learn
    return p


def test_given_the_built_in_parameters_then_mastery_is_within_reach() -> None:
    assert out_of_reach(Parameters()) == []


def test_given_each_way_to_miss_mastery_then_the_concept_is_named() -> None:
    parameters = of(
        good=BktParameters(0.3, 0.1, 0.2, 0.1),
        # Reaches .95 after each right answer, and forgets too much of it.
        forgets=BktParameters(0.3, 0.1, 0.05, 0.05, 0.011),
        # Right answers say next to nothing, and nothing is learnt.
        slow=BktParameters(0.01, 0.0, 0.5, 0.4),
        # At the limit of forgetting.
        keeps=BktParameters(0.3, 0.1, 0.05, 0.05, 0.01),
    )
    assert out_of_reach(parameters) == ["forgets", "slow"]
    warning = slow_warning(parameters, out_of_reach(parameters))
    assert warning is not None
    assert "do not reach mastery 0.95 on 'slow': " in warning
    assert slow_warning(parameters, ["forgets", UNSEEN]) is None


def test_given_a_default_out_of_reach_then_concepts_never_seen_are_named() -> None:
    slow = BktParameters(0.01, 0.0, 0.5, 0.4)
    good = ConceptParameters(BktParameters(0.3, 0.1, 0.2, 0.1))
    assert out_of_reach(Parameters(default=slow, concepts={"good": good})) == [UNSEEN]


def test_given_items_with_own_guess_then_that_of_the_concept_counts() -> None:
    easy = ItemParameters(0.0, 1.0, guess=0.9, slip=0.05)
    parameters = Parameters(
        concepts={"good": ConceptParameters(BktParameters(0.3, 0.1, 0.2, 0.1))},
        items={"q": easy},
    )
    assert out_of_reach(parameters) == []


@given(
    st.floats(0.01, 0.6),
    st.floats(0.0, 0.3),
    st.floats(0.05, 0.6),
    st.floats(0.02, 0.35),
    st.floats(0.0, 0.01),
)
def test_given_any_concept_then_reach_is_what_probabilities_give(
    prior: float, learn: float, guess: float, slip: float, forget: float
) -> None:
    parameters = BktParameters(prior, max(learn, 1e-3), guess, slip, max(forget, 1e-3))
    highest = max(p_known(parameters, number) for number in range(1, IN_A_ROW + 1))
    if abs(highest - 0.95) > 1e-9:
        assert (out_of_reach(of(c=parameters)) == []) is (highest > 0.95)


@pytest.mark.parametrize(("answers", "within"), [(IN_A_ROW, True), (IN_A_ROW + 1, False)])
def test_given_so_many_answers_until_mastery_then_fifteen_are_the_most(
    answers: int, within: bool
) -> None:
    # Answers say nothing, so that only learning counts: 1 - .5·(1 - learn)^n.
    learn = 1.0 - (0.05 / 0.9) ** (1.0 / (answers - 0.5))
    parameters = BktParameters(0.1, learn, 0.5, 0.4999999)
    assert (out_of_reach(of(c=parameters)) == []) is within


Logs = list[list[Response]]
LEARNERS, LENGTH = (40, 12) if THOROUGH else (12, 6)


def by_chances(guess: float, slip: float) -> Logs:
    """Answers of classical learners, half of whom know at the start."""
    draw = np.random.default_rng(3)
    logs = []
    for _ in range(3 * LEARNERS // 2):
        known, log = draw.random() < 0.5, []
        for k in range(LENGTH - 2):
            right = draw.random() < (1.0 - slip if known else guess)
            log.append(answer(k, score=float(right)))
            known |= draw.random() < 0.05
        logs.append(log)
    return logs


@cache
def adversarial() -> dict[str, Logs]:
    draw = np.random.default_rng(5)
    return {
        "guess .6, slip .4": by_chances(0.6, 0.4),
        "guess .9, slip .05": by_chances(0.9, 0.05),
        "guess .3, slip .8": by_chances(0.3, 0.8),
        "all wrong": [[answer(k, score=0.0) for k in range(LENGTH)] for _ in range(LEARNERS)],
        "all right": [[answer(k) for k in range(LENGTH)] for _ in range(LEARNERS)],
        "guttman": [
            [answer(k, item=f"q{k}", score=float(k < who % (LENGTH + 1))) for k in range(LENGTH)]
            for who in range(3 * LEARNERS // 2)
        ],
        "ever worse": [
            [answer(k, score=float(2 * k < LENGTH)) for k in range(LENGTH)] for _ in range(LEARNERS)
        ],
        "half credit": [[answer(k, score=0.5) for k in range(LENGTH)] for _ in range(LEARNERS)],
        "one wrong answer": [[answer(0, score=0.0)]],
        "coins": [
            [answer(k, score=float(draw.random() < 0.02), concepts=[f"c{k % 4}"]) for k in range(9)]
            for _ in range(LEARNERS)
        ],
        "able and less so": simulated(LEARNERS, 2, concepts=3, most=2 * LENGTH, several=True),
    }


@pytest.mark.usefixtures("few_parts", "shared_parts")
@pytest.mark.parametrize("data", list(adversarial()))
@pytest.mark.parametrize("model", ["bkt-irt", "irt", "2pl", "bkt"])
def test_given_adversarial_data_when_fitted_then_mastery_is_within_reach(
    model: str, data: str
) -> None:
    parameters = fit(model, adversarial()[data]).parameters
    assert out_of_reach(parameters) == []
    assert lowest_ceiling(parameters) >= LOWEST


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), scores()), min_size=1, max_size=12),
        min_size=1,
        max_size=12,
    )
)
def test_given_any_answers_when_mastery_is_fitted_then_it_is_within_reach(
    drawn: list[list[tuple[str, float]]],
) -> None:
    logs = [
        [answer(k, score=score, concepts=[name]) for k, (name, score) in enumerate(log)]
        for log in drawn
    ]
    table, _ = table_of(logs)
    fitted = mastery_parameters(table, fit_mastery(table))
    parameters = Parameters(
        default=fitted.default,
        concepts={name: ConceptParameters(bkt) for name, bkt in fitted.own.items()},
    )
    assert out_of_reach(parameters) == []
    assert lowest_ceiling(parameters) >= LOWEST
    for bkt in (fitted.default, *fitted.own.values()):
        assert bkt.forget == 0.0
        assert bkt.prior >= 0.05 - 1e-12
        assert (1.0 - bkt.slip) / bkt.guess >= 1.5 - 1e-9
