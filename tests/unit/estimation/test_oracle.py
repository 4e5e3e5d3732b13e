"""The oracle itself: hand-computed values, another library's arithmetic, every kind of row."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import mpmath
import pytest

from tests.support import oracle
from tests.support.factories import answer, learner_log, rows


@pytest.mark.parametrize(("score", "expected"), [(1.0, "0.64"), (0.0, "0.136"), (0.5, "0.28")])
def test_given_one_answer_when_replayed_then_mastery_is_the_hand_computed(
    score: float, expected: str
) -> None:
    state = oracle.replay(rows([answer(0, score=score)]))
    assert abs(state.mastery()["c"] - Decimal(expected)) < Decimal("1e-50")


@pytest.mark.parametrize(("responses", "score"), [(0, 0.0), (1, 1.0), (12, 7.5), (2000, 1999.25)])
def test_given_answers_then_ability_equals_that_of_other_arithmetic(
    responses: int, score: float
) -> None:
    with mpmath.workdps(30):
        # All three integrals are taken over the same places.
        @cache
        def density(theta: mpmath.mpf) -> mpmath.mpf:
            wrong = responses - score
            right_odds = mpmath.exp(-(theta**2) / 2) / (1 + mpmath.exp(-theta)) ** score
            return right_odds / (1 + mpmath.exp(theta)) ** wrong

        total, first, second = (
            mpmath.quad(lambda theta, k=k: theta**k * density(theta), list(range(-12, 13)))
            for k in range(3)
        )
        mean = first / total
        error = mpmath.sqrt(second / total - mean**2)
        theta, standard_error = oracle.eap(responses, Decimal(score))
        assert abs(mpmath.mpf(str(theta)) - mean) < mpmath.mpf("1e-20")
        assert abs(mpmath.mpf(str(standard_error)) - error) < mpmath.mpf("1e-20")


def test_given_mastery_by_other_arithmetic_then_the_replay_is_the_same() -> None:
    log = learner_log(60, seed=5, concepts=1)
    with mpmath.workdps(70):
        p, learn, guess, slip = (mpmath.mpf(k) / 100 for k in (25, 10, 20, 10))
        for response in log:
            s = mpmath.mpf(response.score)
            known = p * (1 - slip) ** s * slip ** (1 - s)
            unknown = (1 - p) * guess**s * (1 - guess) ** (1 - s)
            p = known / (known + unknown)
            p = p + (1 - p) * learn
        mastery = oracle.replay(rows(log)).mastery()["c0"]
        assert abs(mpmath.mpf(str(mastery)) - p) < mpmath.mpf("1e-50")


def _as_datetime(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC)


@pytest.mark.parametrize(
    "convert",
    [
        lambda row: row,
        lambda row: {**row, "answered_at": _as_datetime(row["answered_at"])},
        lambda row: {**row, "answered_at": _as_datetime(row["answered_at"]).isoformat()},
        lambda row: {**row, "response_id": UUID(row["response_id"])},
    ],
)
def test_given_rows_of_any_source_in_any_order_then_the_replay_is_the_same(
    convert: Any,
) -> None:
    plain = rows(learner_log(30))
    expected = oracle.replay(plain)
    replayed = oracle.replay([convert(row) for row in [*plain[::-1], *plain[:10]]])
    assert replayed.mastery() == expected.mastery()
    assert replayed.abilities == expected.abilities
    assert {k: (s.responses, s.correct) for k, s in replayed.sessions.items()} == {
        k: (s.responses, s.correct) for k, s in expected.sessions.items()
    }


def test_given_a_csv_when_read_then_answers_are_in_the_order_of_its_column(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("student,item,concept,correct,order\n7,1,3,0,1\n7,2,3,1,0\n8,1,4,1,0\n")
    states = oracle.replay_by_student(oracle.rows_of_csv(file))
    right_then_wrong = oracle.replay(rows([answer(0), answer(1, score=0.0)])).mastery()["c"]
    assert states["default", "7"].mastery() == {"3": right_then_wrong}
    assert states["default", "8"].concepts["4"].attempts == 1
    assert len(oracle.rows_of_csv(file, limit=2)) == 2
