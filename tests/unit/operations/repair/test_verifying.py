"""Verification finds one altered value in any column it covers, and nothing where all is right."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.factories import answer, learner_log
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import Learner, LearnerKey, Position, Response
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay
from workers.ledger.exchange import Commit
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.rows import Stored
from workers.operations.repair.verifying import TOLERANCE, differences, verify

PARAMETERS = Parameters()
KEY = LearnerKey("school-7", "student-42")
LOG = [*learner_log(40, seed=11), answer(41, concepts=("c0", "c1"), score=0.5, session="s9")]


async def _ledger(*keys: LearnerKey, log: Sequence[Response] = LOG) -> MemoryLedger:
    ledger = MemoryLedger()
    for key in keys:
        (folded,) = fold([FoldTask(key, Learner(), list(log))], PARAMETERS)
        await ledger.commit([Commit(folded, ["e"] * len(log))])
    return ledger


async def _stored() -> Stored:
    (learner,) = await (await _ledger(KEY)).stored([KEY])
    return replace(
        learner,
        concepts=sorted(learner.concepts),
        abilities=sorted(learner.abilities),
        sessions=sorted(learner.sessions),
    )


def _what(stored: Stored) -> list[str]:
    differing = list(differences(stored, replay(LOG, PARAMETERS), PARAMETERS))
    assert all(difference.key == KEY for difference in differing)
    return [difference.what for difference in differing]


def _row(rows: str, number: int, **changes: Any) -> Callable[[Stored], Stored]:
    def alter(stored: Stored) -> Stored:
        altered = list(getattr(stored, rows))
        old = altered[number]
        altered[number] = old._replace(
            **{
                name: value(getattr(old, name)) if callable(value) else value
                for name, value in changes.items()
            }
        )
        return _with(stored, rows, altered)

    return alter


def _without(rows: str) -> Callable[[Stored], Stored]:
    return lambda stored: _with(stored, rows, getattr(stored, rows)[1:])


def _with(stored: Stored, rows: str, altered: Any) -> Stored:
    changes: dict[str, Any] = {rows: altered}
    return replace(stored, **changes)


def _more(number: float) -> float:
    return number + 2.5 * TOLERANCE


def _less(number: float) -> float:
    return number - 2.5 * TOLERANCE


def _one_more(number: int) -> int:
    return number + 1


ALTERED: dict[str, Callable[[Stored], Stored]] = {
    "learners.position": lambda s: replace(s, last=Position(LOG[-1].answered_at_us, "0" * 36)),
    "learners.position ": lambda s: replace(s, last=None),
    "learners.parameters_version": lambda s: replace(s, parameters_version=2),
    "concept_mastery.mastery of 'c0'": _row("concepts", 0, mastery=_more),
    "concept_mastery.mastery of 'c0' ": _row("concepts", 0, mastery=_less),
    "concept_mastery.mastery of 'c0'  ": _row("concepts", 0, mastery=math.nan),
    "concept_mastery.attempts of 'c1'": _row("concepts", 1, attempts=_one_more),
    "concept_mastery.answered_at of 'c0'": _row("concepts", 0, answered_at_us=_one_more),
    "concept_mastery.mastered of 'c2'": _row("concepts", 2, mastered=lambda old: not old),
    "concept_mastery.parameters_version of 'c0'": _row("concepts", 0, parameters_version=2),
    "concept_mastery.odds_exponent of 'c0'": _row("concepts", 0, odds_exponent=_one_more),
    "concept_mastery.odds_mantissa of 'c1'": _row("concepts", 1, odds_mantissa=_more),
    "concept_mastery.deviation of 'c0'": _row("concepts", 0, deviation=_more),
    "concept_mastery.deviation_variance of 'c0'": _row("concepts", 0, deviation_variance=_more),
    "concept_mastery.gradient of 'c0'": _row("concepts", 0, gradient=(0.0,)),
    "concept_mastery.recent of 'c0'": _row("concepts", 0, recent=_more),
    "concept_mastery.lasting of 'c0'": _row("concepts", 0, lasting=_less),
    "concept_mastery.mastery_low of 'c0'": _row("concepts", 0, mastery_low=0.1),
    "concept_mastery.mastery_high of 'c0'": _row("concepts", 0, mastery_high=0.9),
    "concept_mastery": _without("concepts"),
    "concept_mastery ": _row("concepts", 0, concept_id="unheard of"),
    "student_ability.theta of 'math'": _row("abilities", 1, theta=_more),
    "student_ability.standard_error of 'math'": _row("abilities", 1, standard_error=_less),
    "student_ability.responses of 'verbal'": _row("abilities", 2, responses=_one_more),
    "student_ability.score of 'math'": _row("abilities", 1, score=_more),
    "student_ability.parameters_version of 'math'": _row("abilities", 1, parameters_version=2),
    "student_ability.variance of 'math'": _row("abilities", 1, variance=_more),
    "student_ability.surprise of 'math'": _row("abilities", 1, surprise=_less),
    "student_ability.surprise_variance of 'math'": _row("abilities", 1, surprise_variance=_more),
    "student_ability": _without("abilities"),
    "student_ability ": _row("abilities", 0, scale="unheard of"),
    "practice_sessions.responses of 's9'": _row("sessions", -1, responses=_one_more),
    "practice_sessions.correct of 's9'": _row("sessions", -1, correct=lambda old: old - 1),
    "practice_sessions.started_at_us of 's9'": _row("sessions", -1, started_at_us=lambda o: o - 1),
    "practice_sessions.ended_at_us of 's9'": _row("sessions", -1, ended_at_us=_one_more),
    "practice_sessions": _without("sessions"),
    "practice_sessions ": _row("sessions", 0, session_id="unheard of"),
}
UNVERIFIED = {"version"}
"""Columns that tell of arrival: no log gives them."""


async def test_given_what_the_fold_stored_then_there_is_no_difference() -> None:
    assert _what(await _stored()) == []


@pytest.mark.parametrize(("what", "alter"), ALTERED.items())
async def test_given_one_altered_value_then_it_is_found_and_named(
    what: str, alter: Callable[[Stored], Stored]
) -> None:
    assert what.strip() in _what(alter(await _stored()))


async def test_given_any_column_of_the_rows_then_its_alteration_is_in_the_table() -> None:
    stored = await _stored()
    tables: dict[str, Any] = {
        "concept_mastery": stored.concepts[0],
        "student_ability": stored.abilities[0],
        "practice_sessions": stored.sessions[0],
    }
    named = {what.partition(" of ")[0] for what in ALTERED}
    for table, row in tables.items():
        key, *columns = row._fields
        assert table in named, key
        for column in set(columns) - UNVERIFIED:
            assert {f"{table}.{column}", f"{table}.{column.removesuffix('_us')}"} & named, column


async def test_given_a_difference_of_rounding_then_it_is_none() -> None:
    alter = _row("concepts", 0, mastery=lambda old: old + TOLERANCE / 10)
    assert _what(alter(await _stored())) == []


async def test_given_a_response_lost_from_the_log_then_the_state_differs() -> None:
    stored = await _stored()
    log = stored.log[:-1]
    differing = list(differences(replace(stored, log=log), replay(log, PARAMETERS), PARAMETERS))
    assert {
        "learners.position",
        "concept_mastery.attempts of 'c0'",
        "concept_mastery.attempts of 'c1'",
        "student_ability",
        "practice_sessions",
    } <= {difference.what for difference in differing}


async def test_given_another_threshold_then_what_is_mastered_differs() -> None:
    other = Parameters(mastery_threshold=1e-9)
    differing = list(differences(await _stored(), replay(LOG, other), other))
    assert {difference.what.partition(" of ")[0] for difference in differing} == {
        "concept_mastery.mastered"
    }


async def test_given_a_difference_then_its_line_names_who_what_and_both_values() -> None:
    (difference, *_) = differences(
        _row("concepts", 0, attempts=99)(await _stored()), replay(LOG, PARAMETERS), PARAMETERS
    )
    text = str(difference)
    attempts = replay(LOG, PARAMETERS).concepts["c0"].attempts
    for part in ("school-7", "student-42", "attempts of 'c0'", "is 99", f"gives {attempts}"):
        assert part in text


async def test_given_many_learners_then_all_pages_are_compared() -> None:
    keys = [LearnerKey("school-7", f"s{number}") for number in range(250)]
    ledger = await _ledger(*keys, log=LOG[:8])

    pages = [page async for page in verify(ledger, PARAMETERS)]

    assert [page.learners for page in pages] == [100, 100, 50]
    assert sum(page.responses for page in pages) == 250 * 8
    assert not any(page.differences for page in pages)


async def test_given_one_wrong_learner_on_the_last_page_then_only_it_differs() -> None:
    keys = [LearnerKey("school-7", f"s{number:03}") for number in range(120)]
    ledger = await _ledger(*keys, log=LOG[:8])
    account = ledger._accounts[keys[-1]]
    account.concepts["c0"] = account.concepts["c0"]._replace(attempts=1000)

    differing = [
        difference async for page in verify(ledger, PARAMETERS) for difference in page.differences
    ]

    assert [(difference.key, difference.stored) for difference in differing] == [(keys[-1], 1000)]


async def test_given_an_empty_ledger_then_there_is_no_page() -> None:
    assert [page async for page in verify(MemoryLedger(), PARAMETERS)] == []
