"""Contract of every ledger: stored predictions."""

import asyncio
import random

import pytest

from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, folded, load, record
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Committed
from workers.ledger.predictions import Place, PredictionsLedger, Selection, StoredPrediction
from workers.ledger.protocol import Ledger
from workers.operations.repair.correcting import Corrector, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def watched(ledger: Ledger) -> PredictionsLedger:
    return ledger


async def all_of(
    watched: PredictionsLedger, selection: Selection, limit: int = 5_000
) -> list[StoredPrediction]:
    told, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = await watched.predictions(selection, after, limit)
        told += page.predictions
        after, pages = page.last, pages + 1
        assert len(page.predictions) <= limit
    return told


async def test_given_a_log_then_each_response_has_the_prediction_of_its_outcome(
    ledger: Ledger, watched: PredictionsLedger, key: LearnerKey
) -> None:
    log = learner_log(40, seed=3, concepts=5)
    # With late ones among them, whose outcomes name other concepts besides their own.
    await record(ledger, key, [*log[:15], *log[20:]])
    await record(ledger, key, log[15:20])
    known = (await load(ledger, key, log)).recorded

    told = await all_of(watched, Selection(key.tenant_id), limit=7)

    expected: list[tuple[object, ...]] = []
    for recorded in known.values():
        changes = recorded.outcome["concepts"][: len(recorded.response.concept_ids)]
        assert [change["concept_id"] for change in changes] == [*recorded.response.concept_ids]
        expected.append(
            (
                recorded.version,
                key,
                recorded.response.concept_ids,
                tuple(change["mastery"] for change in changes),
                changes[0]["attempts"],
                recorded.response.score,
                pytest.approx(
                    sum(change["probability_correct"] for change in changes) / len(changes),
                    abs=1e-15,
                ),
                1,
            )
        )
    assert sorted(
        (
            prediction.version,
            prediction.learner,
            prediction.concept_ids,
            prediction.masteries,
            prediction.attempts,
            prediction.score,
            prediction.probability,
            prediction.parameters_version,
        )
        for prediction in told
    ) == sorted(expected)


async def test_given_an_outcome_with_its_own_prediction_then_that_one_comes(
    ledger: Ledger, watched: PredictionsLedger, key: LearnerKey
) -> None:
    made = folded(key, await load(ledger, key, [answer(1)]), [answer(1)])
    made.outcomes[0]["probability_correct"] = 0.1 + 0.2
    made.outcomes[0]["parameters_version"] = 7
    assert isinstance((await ledger.commit([made]))[0], Committed)

    (told,) = await all_of(watched, Selection(key.tenant_id))

    assert (told.probability, told.parameters_version, told.attempts) == (0.1 + 0.2, 7, 1)


async def test_given_corrections_then_final_scores_count_and_voided_ones_do_not(
    ledger: Ledger, watched: PredictionsLedger, key: LearnerKey
) -> None:
    log = [answer(k, score=1.0) for k in range(6)]
    await record(ledger, key, log)
    for verdict, response in (
        (Verdict("void", "wrong key"), log[1]),
        (Verdict("rescore", "wrong key", 0.0), log[3]),
        (Verdict("rescore", "half", 0.5), log[3]),
        (Verdict("void", "wrong key"), log[4]),
        (Verdict("rescore", "it counts", 0.25), log[4]),
    ):
        await Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict).correct(
            [(key, response.response_id)]
        )

    told = await all_of(watched, Selection(key.tenant_id), limit=2)

    assert [
        prediction.score for prediction in sorted(told, key=lambda prediction: prediction.version)
    ] == [
        1.0,
        1.0,
        0.5,
        0.25,
        1.0,
    ]


async def test_given_a_page_of_voided_responses_then_the_next_page_still_comes(
    ledger: Ledger, watched: PredictionsLedger, key: LearnerKey
) -> None:
    log = sorted((answer(k) for k in range(4)), key=lambda response: response.response_id)
    await record(ledger, key, log)
    await Corrector(ledger=ledger, parameters=PARAMETERS, verdict=Verdict("void", "x")).correct(
        [(key, response.response_id) for response in log[:2]]
    )

    page = await watched.predictions(Selection(key.tenant_id), limit=2)

    assert page.predictions == []
    assert page.last == Place(*key, log[1].response_id)
    assert len(await all_of(watched, Selection(key.tenant_id), limit=2)) == 2


async def test_given_a_selection_then_only_its_learners_and_its_time_come(
    ledger: Ledger, watched: PredictionsLedger, tenant: str
) -> None:
    learners = [
        LearnerKey(t, student) for t in (f"{tenant}a", f"{tenant}b") for student in ("s", "t")
    ]
    draw = random.Random(1)
    for key in learners:
        await record(ledger, key, [answer(k, score=draw.random()) for k in range(3)])
    await asyncio.sleep(0.002)
    between = await ledger.clock_us()
    await asyncio.sleep(0.002)
    # When it was answered says nothing of when it was recorded.
    await record(ledger, learners[2], [answer(50, at=-10_000, score=1 / 3)])

    listed = await all_of(watched, Selection(f"{tenant}b"), limit=2)
    assert len(listed) == 7
    late = await all_of(watched, Selection(f"{tenant}b", between), limit=3)
    assert [(told.score, told.recorded_at_us >= between) for told in late] == [(1 / 3, True)]
    everything = await all_of(watched, Selection(), limit=4)
    assert len(everything) >= 13
    assert len({told.version for told in everything}) == len(everything)
    assert late[0] in await all_of(watched, Selection(None, between))
    assert await all_of(watched, Selection(f"{tenant}c")) == []


async def test_given_extreme_texts_then_pages_go_on_after_them(
    ledger: Ledger, watched: PredictionsLedger, tenant: str
) -> None:
    concepts = ("NULL", "{a,b}", '"')
    for student in ("\"\\{},' NULL ß😀", "", "null", "\uffff", "😀"):
        await record(ledger, LearnerKey(tenant, student), [answer(1, concepts=concepts)])

    told = await all_of(watched, Selection(tenant), limit=1)

    assert [prediction.concept_ids for prediction in told] == [concepts] * 5
