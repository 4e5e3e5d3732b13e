"""The table's heads, attempts and repeats: against the learners' logs taken one by one."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.factories import START_US, answer, logs
from tests.support.simulated_learners import simulated
from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.answers import answers_of
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import NEVER, Table


def in_order(log: list[Response]) -> list[Response]:
    return sorted(log, key=lambda response: response.position)


def seen_by_engine(log: list[Response]) -> list[tuple[int, bool]]:
    """List the engine's attempts before each answer and concept, and if it follows at once."""
    learner, places = Learner(), []
    for response in log:
        for name in response.concept_ids:
            state = learner.concepts.get(name)
            again = (
                state is not None
                and learner.last is not None
                and state.answered_at_us == learner.last.answered_at_us
            )
            places.append((0 if state is None else state.attempts, again))
        apply(learner, response, Parameters())
    return places


def links_of(table: Table, learner: int) -> list[int]:
    return np.flatnonzero(table.learner[table.link] == learner).tolist()


@given(st.lists(logs(), min_size=1, max_size=5))
def test_given_any_logs_then_attempts_and_repeats_are_the_engines(
    many: list[list[Response]],
) -> None:
    # Moments collide: then the newest answer is any of the newest moment.
    many = [in_order(log) for log in many]
    table, places = table_of(many)
    for learner, place in enumerate(places):
        counted = [
            (int(table.attempt[link]), bool(table.again[link])) for link in links_of(table, learner)
        ]
        assert counted == seen_by_engine(many[place])


@given(st.lists(logs(), min_size=1, max_size=4))
def test_given_several_scales_then_repeats_look_at_the_newest_of_all(
    many: list[list[Response]],
) -> None:
    # Concepts of one scale alone: then a table of a scale has all answers on them.
    many = [
        [
            response._replace(
                concept_ids=tuple(f"{response.scale}-{name}" for name in response.concept_ids)
            )
            for response in in_order(log)
        ]
        for log in many
    ]
    answers = answers_of(many)
    for number, scale in enumerate(answers.scales):
        table = answers.table(number)
        logs_of_scale = [[response for response in log if response.scale == scale] for log in many]
        places = table_of(logs_of_scale)[1]
        for learner, place in enumerate(places):
            counted = [
                (int(table.attempt[link]), bool(table.again[link]))
                for link in links_of(table, learner)
            ]
            names = [response for response in many[place] for _ in response.concept_ids]
            wanted = seen_by_engine(many[place])
            assert counted == [
                seen
                for response, seen in zip(names, wanted, strict=True)
                if response.scale == scale
            ]


def test_given_two_scales_by_turns_then_again_is_false_for_all() -> None:
    log = [answer(k, scale="xy"[k % 2], concepts=["ab"[k % 2]]) for k in range(6)]
    answers = answers_of([log])
    for number in (0, 1):
        table = answers.table(number)
        assert table.attempt.tolist() == [0, 1, 2]
        assert not table.again.any()
    # Told of one scale alone, each follows the one before.
    assert table_of([log[::2]])[0].again.tolist() == [False, True, True]


def test_given_one_moment_then_again_is_true_for_each_later_answer() -> None:
    log = [answer(k, at=0, concepts=names) for k, names in enumerate(["a", "b", "a", "ab", "c"])]
    table, _ = table_of([log])
    assert table.attempt.tolist() == [0, 0, 1, 2, 1, 0]
    assert table.again.tolist() == [False, False, True, True, True, False]
    assert table.previous_at_us.tolist() == [NEVER, *[START_US] * 4]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 7, 23, 24, 500])
def test_given_a_number_of_steps_then_the_first_are_those_of_cut_logs(
    steps: int, several: bool
) -> None:
    many = simulated(25, 4, several=several)
    table, places = table_of(many)
    head = table.first(steps)
    ordered = [many[place] for place in places]
    cut, _ = table_of([log[:steps] for log in ordered])
    for name in (
        "learner",
        "score",
        "step",
        "link",
        "answered_at_us",
        "previous_at_us",
        "attempt",
        "again",
    ):
        assert getattr(head, name).tolist() == getattr(cut, name).tolist(), name
    assert [head.items[i] for i in head.item] == [cut.items[i] for i in cut.item]
    assert [head.concepts[c] for c in head.concept] == [cut.concepts[c] for c in cut.concept]
    assert (head.items, head.concepts, head.learners) == (table.items, table.concepts, 25)
    # What is found of the head is what the whole table says of it.
    assert head.attempt.tolist() == table.attempt[: head.link.size].tolist()
    assert head.again.tolist() == table.again[: head.link.size].tolist()


def test_given_more_steps_than_there_are_then_the_first_are_all() -> None:
    table, _ = table_of(simulated(5, 2))
    whole = table.first(10_000)
    for field in fields(Table):
        assert list(getattr(whole, field.name)) == list(getattr(table, field.name))
    nothing, _ = table_of([[]])
    assert nothing.first(3).learners == 0
