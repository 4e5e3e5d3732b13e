"""Answers of all learners as arrays are the logs they were made of."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.simulated_learners import simulated
from workers.estimation.learner import LearnerKey, Response
from workers.modelling.calibration.answers import Answers, AnswersBuilder, answers_of
from workers.modelling.calibration.held_out import HELD_OUT, chunks, is_held_out
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import NEVER, Table


def key_of(number: int) -> LearnerKey:
    return LearnerKey(f"school-{number % 3}", f"s{number}")


def parted(logs: list[list[Response]]) -> Answers:
    """Answers of learners some of whom are held out, by their keys."""
    builder = AnswersBuilder()
    for number, log in enumerate(logs):
        builder.add(log, held_out=is_held_out(key_of(number)))
    return builder.built()


def on_scales(logs: list[list[Response]], seed: int = 0) -> list[list[Response]]:
    """Three answers of four on one scale, the others on another."""
    draw = np.random.default_rng(seed)
    return [
        [response._replace(scale="math" if draw.random() < 0.75 else "reading") for response in log]
        for log in logs
    ]


def assert_alike(table: Table, other: Table) -> None:
    for field in fields(Table):
        assert list(getattr(table, field.name)) == list(getattr(other, field.name)), field.name


@pytest.mark.parametrize("several", [False, True])
def test_given_logs_on_scales_then_each_table_is_of_the_logs_on_its_scale(
    several: bool,
) -> None:
    logs = on_scales(simulated(60, 3, concepts=4, several=several))
    answers = parted(logs)
    seen = [log for number, log in enumerate(logs) if not is_held_out(key_of(number))]
    assert 0 < len(seen) < len(logs)
    for number, scale in enumerate(answers.scales):
        expected, places = table_of(
            [[response for response in log if response.scale == scale] for log in seen]
        )
        # The response before may be on another scale, which a log of one scale does not show.
        before = {
            (place, response.answered_at_us): two.answered_at_us
            for place, log in enumerate(seen)
            for two, response in pairwise(log)
        }
        previous_at_us = [
            before.get((places[learner], answered_at_us), NEVER)
            for learner, answered_at_us in zip(
                expected.learner.tolist(), expected.answered_at_us.tolist(), strict=True
            )
        ]
        assert previous_at_us != expected.previous_at_us.tolist()
        assert_alike(
            answers.table(number), replace(expected, previous_at_us=np.array(previous_at_us))
        )


def test_given_others_held_out_then_the_table_is_of_the_remaining_learners() -> None:
    logs = [*simulated(30, 7, several=True), [], *simulated(4, 8, most=60)]
    answers = answers_of(logs)
    assert answers.learners == len(logs)
    assert_alike(answers.table(0), table_of(logs)[0])
    held = np.random.default_rng(1).random(len(logs)) < 0.5
    kept = [log for log, is_held_out in zip(logs, held, strict=True) if not is_held_out]
    assert_alike(replace(answers, held_out=held).table(0), table_of(kept)[0])


def test_given_a_learner_when_replayed_then_only_the_ids_of_the_log_change() -> None:
    logs = [*on_scales(simulated(5, 1, several=True)), [], *simulated(2, 2)]
    answers = answers_of(logs)
    for number, log in enumerate(logs):
        responses = answers.log(number)
        assert [rebased[2:] for rebased in responses] == [response[2:] for response in log]
        assert sorted(response.position for response in responses) == [
            response.position for response in responses
        ]


def test_given_other_answers_when_digested_then_another_digest() -> None:
    logs = simulated(8, 2)
    answers = parted(logs)
    digest = answers.digest()
    assert parted(logs).digest() == digest
    response = logs[3][0]
    for other in (
        response._replace(score=1.0 - response.score),
        response._replace(item_id="another"),
        response._replace(concept_ids=("another",)),
        response._replace(scale="another"),
        response._replace(answered_at_us=7),
    ):
        changed = [log if n != 3 else [other, *log[1:]] for n, log in enumerate(logs)]
        assert parted(changed).digest() != digest
    assert parted(logs[1:]).digest() != digest
    assert replace(answers, held_out=~answers.held_out).digest() != digest


def test_given_many_learners_then_the_same_given_share_is_always_held_out() -> None:
    keys = [LearnerKey("t", f"s{number}") for number in range(5_000)]
    held = [is_held_out(key) for key in keys]
    assert abs(np.mean(held) - HELD_OUT) < 0.03
    assert held == [is_held_out(key) for key in keys]
    # Nobody else's text gives the same.
    assert [is_held_out(LearnerKey("ts", key.student_id[1:])) for key in keys] != held


def test_given_spans_when_cut_then_each_held_out_learner_is_in_one_of_them() -> None:
    answers = parted(simulated(120, 4))
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


def test_given_no_answer_when_tabled_then_the_table_is_empty() -> None:
    assert_alike(answers_of([[]]).table(0), table_of([[]])[0])
