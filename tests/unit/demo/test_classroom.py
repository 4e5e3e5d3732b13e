from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from contracts.responses import ResponseRecorded
from workers.demo.classroom import MONDAY, Answer, Classroom, simulate
from workers.demo.curriculum import CONCEPTS
from workers.estimation.parameters import CLASSICAL, BktParameters
from workers.importing.delegate import Delegate
from workers.importing.events import entries


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return simulate()


def by_student(classroom: Classroom) -> dict[str, list[Answer]]:
    by_student: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in classroom.answers:
        by_student[answer.student_id].append(answer)
    return by_student


def test_given_a_seed_when_simulated_twice_then_only_another_seed_differs() -> None:
    first, again, other = simulate(1, 20), simulate(1, 20), simulate(2, 20)
    assert (first.answers, first.deliveries) == (again.answers, again.deliveries)
    assert np.array_equal(first.known, again.known)
    assert {a.response_id for a in first.answers}.isdisjoint(a.response_id for a in other.answers)


def test_given_the_class_then_200_students_give_about_20_000_answers(
    classroom: Classroom,
) -> None:
    assert len(by_student(classroom)) == 200
    assert 18_000 < len(classroom.answers) < 22_000
    assert classroom.known.shape == (200, 12)
    joint = [a for a in classroom.answers if len(a.concept_ids) == 2]
    assert 0.03 < len(joint) / len(classroom.answers) < 0.07


def test_given_answers_when_counted_then_they_are_the_attempts(classroom: Classroom) -> None:
    row = {student: n for n, student in enumerate(classroom.students)}
    column = {concept.concept_id: n for n, concept in enumerate(classroom.concepts)}
    counted = np.zeros_like(classroom.attempts)
    for answer in classroom.answers:
        for concept_id in answer.concept_ids:
            counted[row[answer.student_id], column[concept_id]] += 1
    assert np.array_equal(counted, classroom.attempts)


def test_given_times_then_answers_follow_each_other_on_school_days(
    classroom: Classroom,
) -> None:
    for answers in by_student(classroom).values():
        sessions: defaultdict[str, list[Answer]] = defaultdict(list)
        for earlier, following in pairwise(answers):
            assert earlier.answered_at < following.answered_at
        for answer in answers:
            sessions[answer.session_id].append(answer)
            assert MONDAY <= answer.answered_at < MONDAY + timedelta(days=28)
            assert answer.answered_at.weekday() < 5
        for session in sessions.values():
            assert len({answer.answered_at.date() for answer in session}) == 1


def test_given_the_process_when_many_answer_then_shares_match_parameters() -> None:
    # Nobody learns or slips by chance: what is answered right tells what is known from the start.
    parameters = BktParameters(prior=0.25, learn=0.0, guess=1e-9, slip=1e-9)
    still = simulate(parameters=parameters)
    assert abs(float(still.known.mean()) - 0.25) < 0.03
    column = {concept.concept_id: n for n, concept in enumerate(CONCEPTS)}
    row = {student: n for n, student in enumerate(still.students)}
    for answer in still.answers:
        needed = [column[concept_id] for concept_id in answer.concept_ids]
        assert answer.correct == still.known[row[answer.student_id], needed].all()


def test_given_classical_parameters_when_practised_then_knowledge_follows(
    classroom: Classroom,
) -> None:
    expected = 1 - (1 - CLASSICAL.prior) * (1 - CLASSICAL.learn) ** classroom.attempts
    error = float(np.sqrt((expected * (1 - expected)).mean() / expected.size))
    assert abs(float(classroom.known.mean() - expected.mean())) < 4 * error


def test_given_deliveries_then_each_answer_comes_and_some_late_or_twice(
    classroom: Classroom,
) -> None:
    sent = list(classroom.deliveries)
    assert set(sent) == set(range(len(classroom.answers)))
    assert len(sent) - len(set(sent)) == classroom.repeats > 100
    late = 0
    newest: dict[str, datetime] = {}
    for index in dict.fromkeys(sent):
        answer = classroom.answers[index]
        before = newest.get(answer.student_id)
        late += before is not None and answer.answered_at < before
        newest[answer.student_id] = max(answer.answered_at, before or answer.answered_at)
    assert late == classroom.late > 50


def test_given_the_class_when_made_events_then_the_contract_takes_each() -> None:
    small = simulate(students=5, answers_per_student=20)
    delegate = Delegate("demo", "service_role", "demo", "authenticated", datetime.now(UTC))
    sent = list(entries(small.delivered(), delegate))
    assert len(sent) == len(small.deliveries)
    for entry, index in zip(sent, small.deliveries, strict=True):
        event = ResponseRecorded.model_validate_json(entry.event)
        answer = small.answers[index]
        assert event.data.response.response_id == answer.response_id
        assert event.data.response.answered_at == answer.answered_at
        assert event.data.response.session_id == answer.session_id
        assert event.data.response.response_time_ms == answer.response_time_ms
