"""The fold on single answers: hand-computed values, transitions, and what is refused."""

import pytest

from tests.support.factories import START_US, answer, learner_log
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import Learner, LearnerKey, SessionState
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay

CLASSICAL = Parameters()
KEY = LearnerKey("school-7", "student-42")


def test_given_a_first_answer_then_the_outcome_is_the_hand_computed() -> None:
    (folded,) = fold([FoldTask(KEY, Learner(), [answer(0, session="s")])], CLASSICAL)
    ((change,), ability, session, version, probability) = folded.outcomes[0]
    assert probability == change.probability_correct
    assert change.previous_mastery == 0.25
    assert change.mastery == pytest.approx(0.64, abs=1e-15)
    assert change.probability_correct == pytest.approx(0.375, abs=1e-15)
    assert (change.attempts, change.mastered, change.transition) == (1, False, "none")
    assert change.last_answered_at_us == START_US
    assert ability.previous_theta == pytest.approx(0.0, abs=1e-15)
    assert ability.estimate.theta > 0.3
    assert session == SessionState(1, 1, START_US, START_US)
    assert version == 1


def test_given_right_then_wrong_answers_then_mastered_and_lapsed_come_once() -> None:
    log = [answer(k, score=1.0 if k < 6 else 0.0) for k in range(12)]
    (folded,) = fold([FoldTask(KEY, Learner(), log)], CLASSICAL)
    transitions = [outcome.concepts[0].transition for outcome in folded.outcomes]
    masteries = [outcome.concepts[0].mastery for outcome in folded.outcomes]
    assert [t for t in transitions if t != "none"] == ["mastered", "lapsed"]
    for at, transition in enumerate(transitions):
        if transition == "mastered":
            assert masteries[at - 1] < 0.95 <= masteries[at]
        if transition == "lapsed":
            assert masteries[at] < 0.95 <= masteries[at - 1]


def test_given_mastery_exactly_at_the_threshold_then_it_counts_as_mastered() -> None:
    (folded,) = fold([FoldTask(KEY, Learner(), [answer(0)])], CLASSICAL)
    reached = folded.outcomes[0].concepts[0].mastery
    (again,) = fold([FoldTask(KEY, Learner(), [answer(0)])], Parameters(mastery_threshold=reached))
    assert again.outcomes[0].concepts[0].transition == "mastered"


def test_given_a_late_answer_without_the_log_then_it_is_refused() -> None:
    learner = replay([answer(5)], CLASSICAL)
    with pytest.raises(ValueError, match="has to be replayed"):
        fold([FoldTask(KEY, learner, [answer(3)])], CLASSICAL)


def test_given_a_wrong_stored_value_and_a_late_answer_then_repair_is_told() -> None:
    log = [answer(1, concepts=["a"]), answer(3, concepts=["b"])]
    stored = replay(log, CLASSICAL)
    stored.concepts["a"] = stored.concepts["a"]._replace(mantissa=0.5, exponent=0)
    (folded,) = fold([FoldTask(KEY, stored, [answer(2, concepts=["b"])], log)], CLASSICAL)
    own, other = folded.outcomes[0].concepts
    assert own.concept_id == "b"
    assert other.concept_id == "a"
    assert other.previous_mastery == pytest.approx(1 / 3, abs=1e-15)
    assert other.mastery == replay(log, CLASSICAL).concepts["a"].mastery
    assert folded.concepts == {"b": 0, "a": 0}


def test_given_many_learners_when_folded_together_then_each_is_as_if_alone() -> None:
    tasks = []
    for number in range(40):
        log = learner_log(12, seed=number)
        half = log[:6]
        late = number % 2 == 0
        tasks.append(
            FoldTask(
                LearnerKey("t", str(number)),
                replay(log[6:] if late else half, CLASSICAL),
                half if late else log[6:],
                log[6:] if late else None,
            )
        )
    together = fold(tasks, CLASSICAL)
    assert together == [fold([task], CLASSICAL)[0] for task in tasks]
    assert [f.key for f in together] == [w.key for w in tasks]
    assert [f.learner for f in together] == [
        replay(learner_log(12, seed=number), CLASSICAL) for number in range(40)
    ]


def test_given_no_work_when_folded_then_nothing_comes() -> None:
    assert fold([], CLASSICAL) == []
