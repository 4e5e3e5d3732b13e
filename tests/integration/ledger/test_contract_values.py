"""Whatever a response may hold comes back from every ledger as it went in."""

import sys
import uuid
from dataclasses import replace
from datetime import datetime

import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import (
    assert_stored,
    commit,
    commit_of,
    documents,
    entry_of,
    folded,
    load,
    record,
    stored,
)
from workers.common.times import to_us
from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import (
    AbilityOutcome,
    ConceptState,
    Learner,
    LearnerKey,
    SessionState,
)
from workers.ledger.exchange import Commit, Committed, Loaded
from workers.ledger.protocol import Ledger

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRINGS = {
    "quotes": "\"'`''\"\"",
    "backslashes": "\\\\ \\n \\u0000 \\x00",
    "braces": '{a,b},{"c"}',
    "empty array": "{}",
    "commas": ",a,,b,",
    "null": "NULL",
    "lower null": "null",
    "sql": "'); drop table public.student_responses; --",
    "dollars": "$1 $$ %s %(x)s :x",
    "emoji": "👩‍🏫 naïve ✓",
    "far planes": "\U0001f9ee\U0010ffff\ufffe",
    "combining": "e\u0301 é",
    "right to left": "\u202eabc \u200f",
    "blanks": "  leading and trailing  ",
    "one blank": " ",
    "no-break": "\u00a0\u2028\u2029",
    "json": '{"a": [1, null]}',
    "longest": "𝔪" * 128,
    "digits": "007",
    "slash": "a/b\x1f"[:3],
}
FLOATS = {
    "sum": 0.1 + 0.2,
    "least": 5e-324,
    "denormal": 2.2250738585072009e-308,
    "least normal": sys.float_info.min,
    "third": 1 / 3,
    "next to one": 1 - 2**-53,
    "tiny": 1.2345678901234567e-300,
    "one": 1.0,
    "zero": 0.0,
}
MOMENTS = {
    "first": "0001-01-01T00:00:00+00:00",
    "first microsecond": "0001-01-01T00:00:00.000001+00:00",
    "before 1970": "1969-12-31T23:59:59.999999+00:00",
    "1970": "1970-01-01T00:00:00+00:00",
    "leap day": "2000-02-29T12:34:56.789012+00:00",
    "last": "9999-12-31T23:59:59.999999+00:00",
}


@pytest.mark.parametrize("text", STRINGS.values(), ids=STRINGS.keys())
async def test_given_any_text_as_ids_then_it_comes_back(ledger: Ledger, text: str) -> None:
    key = LearnerKey(f"{uuid.uuid4().hex[:8]}{text}"[:128], text)
    response = answer(1, concepts=(text, f"{text}2"), scale=text, session=text)._replace(
        item_id=text
    )
    made = folded(key, Loaded(Learner()), [response])
    made.entries[0] = f"{text}/1-0"

    (answered,) = await commit(ledger, made)

    assert isinstance(answered, Committed)
    await assert_stored(ledger, key, [response])
    loaded = await load(ledger, key, [response])
    known = loaded.recorded[response.response_id]
    assert known.response == response
    assert known.entry == f"{text}/1-0"
    assert known.outcome == documents(made)[0]
    assert loaded.learner.concepts.keys() == {text, f"{text}2"}
    assert loaded.learner.abilities.keys() == {text}
    assert loaded.learner.sessions.keys() == {text}
    late = await load(ledger, key, [answer(2, at=-1)])
    assert late.log == [response]
    assert await ledger.learners(LearnerKey(key.tenant_id, text[:-1]), 1) == [key]


@pytest.mark.parametrize("number", FLOATS.values(), ids=FLOATS.keys())
async def test_given_any_float_then_it_comes_back_to_the_last_bit(
    ledger: Ledger, key: LearnerKey, number: float
) -> None:
    response = answer(1, score=number, session="s")
    made = folded(key, Loaded(Learner()), [response])
    mantissa = 0.5 + number / 2 if number < 1 - 1e-9 else 1 - 2**-53
    made.folded.learner.concepts["c"] = ConceptState(
        mantissa, 2**31 - 1, 1, response.answered_at_us
    )
    made.folded.learner.abilities["default"] = AbilityState(1, number)
    made.folded.estimates["default"] = AbilityEstimate(-number, number)
    outcome = made.folded.outcomes[0]
    (change,) = outcome.concepts
    made.folded.outcomes[0] = outcome._replace(
        concepts=(change._replace(mastery=number, previous_mastery=number),),
        ability=AbilityOutcome(AbilityEstimate(-number, number), -number * 3),
    )
    made = commit_of(made.folded)

    await commit(ledger, made)

    row = await stored(ledger, key)
    assert row.log[0].score == number
    assert (row.concepts[0].mastery, row.concepts[0].odds_mantissa) == (number, mantissa)
    assert row.concepts[0].odds_exponent == 2**31 - 1
    assert (row.abilities[0].theta, row.abilities[0].standard_error) == (-number, number)
    assert row.abilities[0].score == number
    loaded = await load(ledger, key, [response])
    assert loaded.learner.concepts["c"].mantissa == mantissa
    assert loaded.learner.abilities["default"].score == number
    assert loaded.recorded[response.response_id].response.score == number
    assert loaded.recorded[response.response_id].outcome == documents(made)[0]
    floats = (
        row.concepts[0].mastery,
        row.abilities[0].theta,
        loaded.learner.abilities["default"].score,
    )
    assert all(isinstance(number, float) for number in floats)


@pytest.mark.parametrize("exponent", [-(2**31), -1074, -1, 0, 1, 1023, 1024, 2**31 - 1])
async def test_given_odds_of_any_size_then_their_exponent_comes_back(
    ledger: Ledger, key: LearnerKey, exponent: int
) -> None:
    response = answer(1)
    made = folded(key, Loaded(Learner()), [response])
    made.folded.learner.concepts["c"] = ConceptState(0.75, exponent, 1, response.answered_at_us)

    await commit(ledger, made)

    state = (await load(ledger, key, [response])).learner.concepts["c"]
    assert state == ConceptState(0.75, exponent, 1, response.answered_at_us)


@pytest.mark.parametrize("text", MOMENTS.values(), ids=MOMENTS.keys())
async def test_given_any_moment_then_it_comes_back_to_the_microsecond(
    ledger: Ledger, key: LearnerKey, text: str
) -> None:
    at_us = to_us(datetime.fromisoformat(text))
    response = answer(1, session="s")._replace(answered_at_us=at_us)

    await record(ledger, key, [response])

    await assert_stored(ledger, key, [response])
    loaded = await load(ledger, key, [response])
    assert loaded.learner.last == response.position
    assert loaded.learner.concepts["c"].answered_at_us == at_us
    assert loaded.learner.sessions["s"] == SessionState(1, 1, at_us, at_us)
    assert loaded.recorded[response.response_id].response == response


async def test_given_both_ends_of_time_then_the_later_one_counts_as_later(
    ledger: Ledger, key: LearnerKey
) -> None:
    first = answer(1)._replace(answered_at_us=-62_135_596_800_000_000)
    last = answer(2)._replace(answered_at_us=253_402_300_799_999_999)

    await record(ledger, key, [last])
    await record(ledger, key, [first])

    learner = await assert_stored(ledger, key, [first, last])
    assert learner.last == last.position


async def test_given_no_session_and_sixteen_concepts_then_they_return_in_order(
    ledger: Ledger, key: LearnerKey
) -> None:
    concepts = tuple(f"concept {number}" for number in range(16, 0, -1))
    response = answer(1, concepts=concepts, session=None, score=0.5)

    await record(ledger, key, [response])

    row = await assert_stored(ledger, key, [response])
    assert row.sessions == []
    loaded = await load(ledger, key, [response])
    assert loaded.learner.sessions == {}
    assert loaded.recorded[response.response_id].response.concept_ids == concepts
    outcome = loaded.recorded[response.response_id].outcome
    assert [change["concept_id"] for change in outcome["concepts"]] == list(concepts)
    assert outcome["session"] is None


async def test_given_the_largest_counts_then_they_come_back(
    ledger: Ledger, key: LearnerKey
) -> None:
    response = answer(1, session="s")
    made = folded(key, Loaded(Learner()), [response])
    most = 2**31 - 1
    state = ConceptState(0.5, 0, most, response.answered_at_us)
    made.folded.learner.concepts["c"] = state
    made.folded.learner.abilities["default"] = AbilityState(most, float(most))
    session = SessionState(most, most, response.answered_at_us, response.answered_at_us)
    made.folded.learner.sessions["s"] = session

    await commit(ledger, made)

    loaded = await load(ledger, key, [response])
    assert loaded.learner.concepts["c"] == state
    assert loaded.learner.abilities["default"] == AbilityState(most, float(most))
    assert loaded.learner.sessions["s"] == session


async def test_given_the_parameters_version_of_a_fold_then_all_rows_store_it(
    ledger: Ledger, key: LearnerKey
) -> None:
    version = await ledger.store("classical", {}, {}, "")
    response = answer(1)
    made = folded(key, Loaded(Learner()), [response])
    learner = replace(made.folded.learner, parameters_version=version)
    made = Commit(replace(made.folded, learner=learner), [entry_of(response)])

    await ledger.activate(version, "to see it stored")
    await commit(ledger, made)
    await ledger.activate(1, "as it was")

    row = await stored(ledger, key)
    assert row.parameters_version == version > 1
    assert row.concepts[0].parameters_version == row.abilities[0].parameters_version == version
    assert (await load(ledger, key, [response])).learner.parameters_version == version
