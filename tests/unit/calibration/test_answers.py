"""Answers of all learners as arrays are the logs they were made of."""

import numpy as np
import pytest

from tests.unit.calibration.simulated import simulated
from workers.calibration.answers import (
    HELD_OUT,
    Answer,
    Answers,
    AnswersBuilder,
    chunks,
    is_held_out,
)
from workers.calibration.table import table_of
from workers.estimation.learner import LearnerKey, Response


def key_of(number: int) -> LearnerKey:
    return LearnerKey(f"school-{number % 3}", f"s{number}")


def answers_of(logs: list[list[Response]]) -> Answers:
    builder = AnswersBuilder()
    for number, log in enumerate(logs):
        builder.add(
            key_of(number),
            [Answer(r.item_id, r.concept_ids, r.scale, r.score, r.answered_at_us) for r in log],
        )
    assert builder.responses == sum(map(len, logs))
    return builder.built()


def on_scales(logs: list[list[Response]], seed: int = 0) -> list[list[Response]]:
    """Three answers of four on one scale, the others on another."""
    draw = np.random.default_rng(seed)
    return [
        [one._replace(scale="math" if draw.random() < 0.75 else "reading") for one in log]
        for log in logs
    ]


@pytest.mark.parametrize("several", [False, True])
def test_given_logs_on_scales_when_tabled_then_each_table_is_that_of_its_learners_logs(
    several: bool,
) -> None:
    logs = on_scales(simulated(60, 3, concepts=4, several=several))
    answers = answers_of(logs)
    seen = [log for number, log in enumerate(logs) if not is_held_out(key_of(number))]
    assert 0 < len(seen) < len(logs)
    for number, scale in enumerate(answers.scales):
        expected, _ = table_of([[one for one in log if one.scale == scale] for log in seen])
        table = answers.table(number)
        assert (table.step == expected.step).all()
        assert (table.learner == expected.learner).all()
        assert (table.score == expected.score).all()
        assert (table.link == expected.link).all()
        names = [table.items[at] for at in table.item]
        assert names == [expected.items[at] for at in expected.item]
        names = [table.concepts[at] for at in table.concept]
        assert names == [expected.concepts[at] for at in expected.concept]
        assert set(table.concepts) == set(expected.concepts)


def test_given_a_learner_when_replayed_then_the_log_is_as_it_was_but_for_its_ids() -> None:
    logs = on_scales(simulated(5, 1, several=True))
    answers = answers_of(logs)
    for number, log in enumerate(logs):
        found = answers.log(number)
        assert [one[2:] for one in found] == [one[2:] for one in log]
        assert sorted(one.position for one in found) == [one.position for one in found]


def test_given_other_answers_when_digested_then_another_digest() -> None:
    logs = simulated(8, 2)
    digest = answers_of(logs).digest()
    assert answers_of(logs).digest() == digest
    one = logs[3][0]
    for other in (
        one._replace(score=1.0 - one.score),
        one._replace(item_id="another"),
        one._replace(concept_ids=("another",)),
        one._replace(scale="another"),
        one._replace(answered_at_us=7),
    ):
        changed = [log if n != 3 else [other, *log[1:]] for n, log in enumerate(logs)]
        assert answers_of(changed).digest() != digest
    assert answers_of(logs[1:]).digest() != digest


def test_given_many_learners_when_held_out_then_as_many_as_said_and_always_the_same() -> None:
    keys = [LearnerKey("t", f"s{number}") for number in range(5_000)]
    held = [is_held_out(key) for key in keys]
    assert abs(np.mean(held) - HELD_OUT) < 0.03
    assert held == [is_held_out(key) for key in keys]
    # Nobody else's text gives the same.
    assert [is_held_out(LearnerKey("ts", key.student_id[1:])) for key in keys] != held


def test_given_spans_when_cut_then_each_held_out_learner_is_in_one_of_them() -> None:
    answers = answers_of(simulated(120, 4))
    counts = np.diff(answers.begin)
    spans = list(chunks(answers, 40))
    assert len(spans) > 3
    inside = [n for begin, end in spans for n in range(begin, end) if answers.held_out[n]]
    assert inside == np.flatnonzero(answers.held_out).tolist()
    for begin, end in spans:
        held = counts[begin:end][answers.held_out[begin:end]]
        assert held.sum() <= 40 or held.size == 1
    assert list(chunks(answers_of([]), 40)) == []


def test_given_nobody_when_built_then_there_is_nothing() -> None:
    answers = answers_of([])
    assert (answers.learners, answers.score.size, answers.scales) == (0, 0, [])
