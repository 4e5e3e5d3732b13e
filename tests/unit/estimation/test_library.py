"""The library call: the engine's own fold, answer by answer, without any server."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given

from tests.support.calibrated import IRT, LAST_STEP
from tests.support.factories import START_US, calibrated_parameters, learner_log, logs
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import Learner, LearnerKey, Outcome, Response
from workers.estimation.library import State, answer, state_document, state_of, update
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay

# Coverage would take most of their time, and many other tests run the same lines.
pytestmark = pytest.mark.untraced

_KEY = LearnerKey("school-7", "student-42")


def _updated(log: list[Response], parameters: Parameters) -> tuple[State, list[Outcome]]:
    state, outcomes = State(), []
    for response in sorted(log, key=lambda r: r.position):
        state, outcome = update(state, response, parameters)
        outcomes.append(outcome)
    return state, outcomes


def _check(log: list[Response], parameters: Parameters) -> None:
    state, outcomes = _updated(log, parameters)
    learner = Learner(parameters_version=parameters.version)
    (folded,) = fold([FoldTask(_KEY, learner, list(log))], parameters)
    replayed = replay(log, parameters)

    assert state.concepts == folded.learner.concepts == replayed.concepts
    assert state.abilities == folded.learner.abilities == replayed.abilities
    assert (state.last, state.parameters_version) == (folded.learner.last, parameters.version)
    assert outcomes == [outcome._replace(session=None) for outcome in folded.outcomes]


@given(logs(), calibrated_parameters())
def test_given_any_log_then_updates_are_the_fold_to_the_last_bit(
    log: list[Response], parameters: Parameters
) -> None:
    _check(log, parameters)


@pytest.mark.parametrize("parameters", [Parameters(), LAST_STEP, IRT])
def test_given_a_long_log_then_updates_are_the_fold_to_the_last_bit(
    parameters: Parameters,
) -> None:
    _check(learner_log(300), parameters)


@given(logs(), calibrated_parameters())
def test_given_a_state_through_json_then_the_next_update_has_the_same_bits(
    log: list[Response], parameters: Parameters
) -> None:
    *earlier, last = sorted(log, key=lambda r: r.position)
    state, _ = _updated(earlier, parameters)
    read = state_of(json.loads(json.dumps(state_document(state))))

    assert read == state
    assert update(read, last, parameters) == update(state, last, parameters)


def test_given_the_classical_default_then_mastery_is_that_of_the_textbook() -> None:
    right = answer("fractions.add", True, datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
    state, outcome = update(State(), right, Parameters())

    posterior = 0.25 * 0.9 / (0.25 * 0.9 + 0.75 * 0.2)
    assert outcome.concepts[0].mastery == pytest.approx(posterior + (1 - posterior) * 0.1, 1e-15)
    assert outcome.probability_correct == pytest.approx(0.25 * 0.9 + 0.75 * 0.2)
    assert outcome.ability.estimate.standard_error < 1
    assert state.last == (START_US, "")


def test_given_many_answers_then_the_state_stays_as_small() -> None:
    def size(answers: int) -> int:
        state = State()
        for number in range(answers):
            state, _ = update(state, answer("c", number % 3 > 0, number), LAST_STEP)
        return len(json.dumps(state_document(state)))

    assert size(400) < 1.2 * size(4)


def test_given_an_update_then_the_state_before_is_unchanged() -> None:
    before, _ = update(State(), answer("a", 1, 1), Parameters())
    document = state_document(before)
    update(before, answer(["a", "b"], 0, 2), Parameters())

    assert state_document(before) == document


def test_given_an_answer_out_of_order_then_it_is_refused() -> None:
    state, _ = update(State(), answer("a", 1, 5, response_id="b"), Parameters())

    update(state, answer("a", 1, 5, response_id="c"), Parameters())
    for late in (answer("a", 1, 4), answer("a", 1, 5, response_id="b")):
        with pytest.raises(ValueError, match="in their order"):
            update(state, late, Parameters())


def test_given_other_parameters_then_the_state_is_refused() -> None:
    state, _ = update(State(), answer("a", 1, 5), Parameters())

    with pytest.raises(ValueError, match="version 1 of the parameters, not 2"):
        update(state, answer("a", 1, 6), Parameters(version=2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], 1.0, 0), "concept_ids"),
        ((["a", "a"], 1.0, 0), "distinct"),
        (("a", 1.5, 0), "score"),
        (("a", float("nan"), 0), "score"),
        (("a", 1.0, datetime(2026, 1, 1)), "zone"),  # noqa: DTZ001  # the case
    ],
)
def test_given_an_argument_out_of_range_then_it_is_named(arguments: tuple, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=words):
        answer(*arguments)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "formulas None"),
        ({"formulas": 1}, "formulas 1"),
        ({"formulas": 2, "concept": {}}, "concept: "),
        ({"formulas": 2, "concepts": {"a": {"mantissa": "x"}}}, "concepts.a"),
        ({"formulas": 2, "abilities": {"a": {"score": float("nan")}}}, "abilities.a.score"),
    ],
)
def test_given_a_foreign_document_then_its_first_fault_is_named(
    document: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        state_of(document)


def test_given_the_library_then_no_library_of_input_or_output_is_imported() -> None:
    code = "import sys, workers.estimation.library; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    io = {"redis", "asyncpg", "httpx", "faststream", "supabase", "neo4j", "starlette", "structlog"}
    assert "numpy" in loaded
    assert io.isdisjoint(loaded)
