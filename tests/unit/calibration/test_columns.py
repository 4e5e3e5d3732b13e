"""Columns: the same answers and the same table as the logs that they were made of."""

from dataclasses import fields

import numpy as np
import pytest

from tests.factories import answer
from tests.unit.calibration.simulated import simulated
from workers.calibration.columns import columns_of
from workers.calibration.table import Table, table_of

LOGS = [*simulated(30, 7, several=True), [], *simulated(4, 8, most=60)]


def assert_alike(one: Table, other: Table) -> None:
    for field in fields(Table):
        assert list(getattr(one, field.name)) == list(getattr(other, field.name)), field.name


def test_given_columns_then_logs_come_back_but_for_their_ids() -> None:
    columns = columns_of(LOGS)
    again = [[one._replace(response_id="") for one in log] for log in columns.logs()]
    assert again == [[one._replace(response_id="", session_id=None) for one in log] for log in LOGS]
    assert columns.learners == len(LOGS)


def test_given_columns_when_tabled_then_the_table_is_that_of_the_logs() -> None:
    columns = columns_of(LOGS)
    assert_alike(columns.table(), table_of(LOGS)[0])
    chosen = np.random.default_rng(1).random(len(LOGS)) < 0.5
    kept = [log for log, one in zip(LOGS, chosen, strict=True) if one]
    assert_alike(columns.table(chosen), table_of(kept)[0])


def test_given_no_answer_when_tabled_then_the_table_is_empty() -> None:
    assert columns_of([[]]).table().score.size == 0


def test_given_answers_on_two_scales_then_they_are_refused() -> None:
    with pytest.raises(ValueError, match="on one scale, not on a, b"):
        columns_of([[answer(0)._replace(scale="a"), answer(1)._replace(scale="b")]])
