"""The cases of the bench of speed, the answers of its learners, and its table."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.speed.__main__ import arguments
from bench.speed.answers import Answers
from bench.speed.cases import BASE, CASES, DEFAULT, Contender, Order
from bench.speed.naive import next_rows, updated
from bench.speed.ready_batches import ReadyBatch, from_json, to_json
from bench.speed.report import document, table
from bench.speed.turns import Measured


def answers(**factors: Any) -> Answers:
    return Answers(replace(BASE, **factors), "school-7")


@pytest.mark.parametrize("case", CASES)
def test_given_a_case_then_its_labels_differ_and_it_can_be_chosen(case: str) -> None:
    labels = [contender.label for contender in CASES[case]]
    assert len(set(labels)) == len(labels)
    assert arguments().parse_args(["--case", case]).case == [case]


def test_given_no_options_then_no_case_needs_stored_answers() -> None:
    cases = arguments().parse_args([]).case
    assert cases == list(DEFAULT)
    assert not any(side.history or side.stored for case in cases for side in CASES[case])


@pytest.mark.parametrize("order", Order)
def test_given_any_order_then_each_learner_answers_equally_often(order: Order) -> None:
    rows = answers(order=order, learners=10, history=200).take(40)
    each = 8 if order is Order.DOUBLED else 4
    assert Counter(row["student_id"] for row in rows) == {f"student-{n}": each for n in range(10)}
    assert len({row["response_id"] for row in rows}) == 40


def test_given_neighbours_swapped_then_each_pair_of_a_learner_is_reversed() -> None:
    rows = answers(order=Order.SWAPPED, learners=3).take(12)
    times = [row["answered_at"] for row in rows if row["student_id"] == "student-1"]
    assert times[1] < times[0] < times[3] < times[2]


def test_given_late_then_answers_sort_among_the_newest_hundred() -> None:
    late = answers(order=Order.LATE, learners=2, history=300)
    stored = [row["answered_at"] for row in late.history(0)]
    assert stored == sorted(stored)
    for row in late.take(50):
        assert stored[-101] < row["answered_at"] < stored[-1]


@pytest.mark.parametrize("concepts", [1, 4, 16])
def test_given_concepts_then_each_answer_has_so_many(concepts: int) -> None:
    for row in answers(concepts=concepts).take(20):
        assert len(set(row["concept_ids"])) == concepts


@pytest.mark.parametrize(("score", "known"), [(1.0, 0.6926), (0.0, 0.1458)])
def test_given_one_answer_when_naive_then_mastery_is_by_bayes(score: float, known: float) -> None:
    assert updated(0.3, score) == pytest.approx(known, abs=1e-4)


def test_given_a_stored_row_when_naive_then_its_attempts_go_on() -> None:
    stored = [{"concept_id": "a", "mastery": 0.5, "attempts": 3, "version": 9}]
    response = {"student_id": "s", "concept_ids": ["a", "b"], "score": 1.0, "answered_at": "now"}
    old, new = next_rows(response, "school-7", stored)
    assert (old["attempts"], old["version"], new["attempts"]) == (4, 10, 1)
    assert old["odds_mantissa"] * 2.0 ** old["odds_exponent"] == pytest.approx(
        old["mastery"] / (1 - old["mastery"])
    )


def test_given_ready_batches_when_written_then_they_are_read_alike() -> None:
    batches = [ReadyBatch(2, ["{}"], ["a", "b", "c"], ["group", "event", "1-0", "2", "1", "{}"])]
    assert from_json(to_json(batches)) == batches


def measured(label: str, seconds: list[float]) -> Measured:
    used = {"worker": sum(seconds), "Postgres": 1.0}
    return Measured(
        Contender(label),
        [100] * len(seconds),
        seconds,
        used,
        lone_ms=[1.0, 3.0],
        loaded_ms={0.5: [2.0, 6.0]},
    )


def test_given_results_when_shown_then_ratios_are_to_the_first() -> None:
    results = [measured("first", [1.0, 1.0, 4.0]), measured("second", [0.5, 0.5, 0.5])]
    rows = [line[2:-2].split(" | ") for line in table(results).splitlines()]
    first, second = (dict(zip(rows[0], row, strict=True)) for row in rows[2:])
    assert (first["entries"], first["rate /s"], second["rate /s"]) == ("300", "100", "200")
    assert (second["worker µs"], second["p50 ms"]) == ("5,000", "2.0")
    assert (second["p50 ms at 50%"], second["p50 ms at 90%"]) == ("4.0", "")
    assert document(results)[1]["rate"] == 200
