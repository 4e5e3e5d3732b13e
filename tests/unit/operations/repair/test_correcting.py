"""Corrections on a ledger in memory: what counts, what is told, what is left alone."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, load, record
from tests.support.repair_steps import (
    KEY,
    VOID,
    Overtaken,
    assert_counts,
    correct,
    ledger_with,
    stored,
    told,
)
from workers.estimation.bkt import answer_probabilities
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import CLASSICAL
from workers.estimation.replay import replay
from workers.ledger.corrections import CorrectionRow, effective_log
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.repair import ItemSpan
from workers.ledger.rows import Stored
from workers.operations.repair.correcting import Corrector, Verdict


def rescore(score: float) -> Verdict:
    return Verdict("rescore", "miskeyed", score)


FLIP = Verdict("flip", "miskeyed")


# What counts


def test_given_corrections_of_a_response_then_the_highest_version_counts() -> None:
    log = [answer(1, score=1.0), answer(2, score=1.0), answer(3)]
    first, second, _ = (response.response_id for response in log)
    corrections = [
        CorrectionRow(first, "void", None, "r", 0, 9),
        CorrectionRow(first, "rescore", 0.5, "r", 0, 4),
        CorrectionRow(second, "void", None, "r", 0, 3),
        CorrectionRow(second, "rescore", 0.25, "r", 0, 12),
        CorrectionRow("nobody's", "void", None, "r", 0, 13),
    ]
    assert effective_log(log, corrections) == [log[1]._replace(score=0.25), log[2]]


async def test_given_a_void_then_a_rescore_then_the_learner_is_right_each_time() -> None:
    log = learner_log(20, seed=1)
    ledger = await ledger_with(log)

    (done,) = await correct(ledger, VOID, log[7])

    assert (done.ending, done.before, done.after) == ("corrected", log[7].score, None)
    await assert_counts(ledger, [*log[:7], *log[8:]])
    (done,) = await correct(ledger, rescore(0.3), log[7])
    assert (done.before, done.after) == (None, 0.3)
    learner = await assert_counts(ledger, [*log[:7], log[7]._replace(score=0.3), *log[8:]])
    assert [row.kind for row in learner.corrections] == ["void", "rescore"]
    assert learner.responses == log
    assert learner.version == learner.newest_version == learner.corrections[-1].version


async def test_given_the_same_correction_twice_then_nothing_changes_or_is_told() -> None:
    log = learner_log(9, seed=2)
    ledger = await ledger_with(log)
    for verdict in (VOID, rescore(0.75), FLIP):
        await correct(ledger, verdict, log[3])
        before = await stored(ledger)
        await told(ledger)
        (again,) = await correct(ledger, verdict, log[3])
        assert again.ending == "unchanged"
        assert await stored(ledger) == before
        assert await told(ledger) == []


async def test_given_a_rescore_to_the_score_published_then_nothing_changes() -> None:
    log = [answer(1, score=0.5)]
    ledger = await ledger_with(log)
    assert [corrected.ending for corrected in await correct(ledger, rescore(0.5), log[0])] == [
        "unchanged"
    ]
    assert (await stored(ledger)).corrections == []


async def test_given_a_flip_then_published_right_is_wrong_and_wrong_is_right() -> None:
    log = [answer(1, score=1.0), answer(2, score=0.0), answer(3, score=0.25)]
    ledger = await ledger_with(log)
    await correct(ledger, rescore(0.6), log[2])

    done = await correct(ledger, FLIP, *log)

    assert [corrected.after for corrected in done] == [0.0, 1.0, 0.75]
    await assert_counts(
        ledger,
        [response._replace(score=score) for response, score in zip(log, (0, 1, 0.75), strict=True)],
    )


async def test_given_several_responses_then_each_correction_has_its_own_version() -> None:
    log = learner_log(12, seed=3)
    ledger = await ledger_with(log)

    done = await correct(ledger, VOID, log[2], log[5], log[11])

    assert [corrected.ending for corrected in done] == ["corrected"] * 3
    learner = await assert_counts(ledger, [r for n, r in enumerate(log) if n not in {2, 5, 11}])
    versions = [row.version for row in learner.corrections]
    assert versions == sorted(set(versions))
    assert learner.version == versions[-1]


async def test_given_rows_a_correction_does_not_touch_then_versions_stay() -> None:
    log = [
        answer(1, concepts=("a",), scale="math", session="s1"),
        answer(2, concepts=("b",), scale="verbal", session="s2"),
    ]
    ledger = await ledger_with(log)
    before = await stored(ledger)

    await correct(ledger, rescore(0.0), log[1])

    after = await stored(ledger)
    for rows in ("concepts", "abilities", "sessions"):
        (kept, was_2), (still, now_2) = getattr(before, rows), getattr(after, rows)
        assert kept == still
        assert now_2.version == after.version > was_2.version


async def test_given_all_responses_voided_then_no_row_stays_and_the_next_is_new() -> None:
    log = [answer(1, session="s"), answer(2, session="s")]
    ledger = await ledger_with(log)

    await correct(ledger, VOID, *log)

    learner = await assert_counts(ledger, [])
    assert (learner.concepts, learner.abilities, learner.sessions, learner.last) == (
        [],
        [],
        [],
        None,
    )
    early = answer(0)
    assert (await load(ledger, KEY, [early])).log is None
    await record(ledger, KEY, [early])
    await assert_counts(ledger, [early])
    await correct(ledger, rescore(1.0), log[0])
    await assert_counts(ledger, [early, log[0]])


async def test_given_an_unknown_response_or_a_damaged_log_then_it_is_left_alone() -> None:
    log = learner_log(5, seed=4)
    ledger = await ledger_with(log)
    assert [corrected.ending for corrected in await correct(ledger, VOID, answer(99))] == [
        "unknown"
    ]
    await correct(ledger, VOID, log[1])
    del ledger._accounts[KEY].log[log[1].response_id]

    before = await stored(ledger)
    assert [corrected.ending for corrected in await correct(ledger, VOID, log[2])] == ["damaged"]
    assert await stored(ledger) == before


async def test_given_a_dry_run_then_it_says_the_same_and_changes_nothing() -> None:
    log = learner_log(6, seed=5)
    ledger = await ledger_with(log)
    before = await stored(ledger)

    planned = await correct(ledger, VOID, *log, dry_run=True)

    assert await stored(ledger) == before
    assert await told(ledger) == []
    assert planned == await correct(ledger, VOID, *log)


async def test_given_an_item_then_its_answers_in_the_span_are_corrected_by_pages() -> None:
    log = learner_log(30, seed=6)
    keys = [LearnerKey("school-7", f"s{n:04}") for n in range(700)]
    ledger = await ledger_with(log[:2], *keys[:-1])
    await record(ledger, keys[-1], log)
    await record(ledger, LearnerKey("school-8", "other"), log)
    item = log[1].item_id
    meant = [r for r in log if r.item_id == item and r.answered_at_us < log[20].answered_at_us]
    span = ItemSpan("school-7", item, None, log[20].answered_at_us)
    corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=VOID)

    pages = [page async for page in corrector.of_item(span)]

    assert [looked_at for looked_at, _ in pages] == [500, 1000]
    assert sum(len(done) for _, done in pages) == 699 + len(meant)
    left = await stored(ledger, keys[-1])
    assert {r.response_id for r in left.responses} - {r.response_id for r in left.log} == {
        r.response_id for r in meant
    }
    assert (await stored(ledger, LearnerKey("school-8", "other"))).corrections == []
    again = [corrected async for _, page in corrector.of_item(span) for corrected in page]
    assert {corrected.ending for corrected in again} == {"unchanged"}


async def test_given_a_commit_in_between_then_the_correction_is_folded_again() -> None:
    log = learner_log(8, seed=7)
    ledger = Overtaken(answer(50, at=3), answer(51, at=90))
    await record(ledger, KEY, log)

    (done,) = await correct(ledger, VOID, log[0])

    assert done.ending == "corrected"
    learner = await assert_counts(ledger, [*log[1:], answer(50, at=3), answer(51, at=90)])
    assert len(learner.corrections) == 1


async def test_given_two_correctors_at_once_then_each_response_is_corrected_once() -> None:
    log = learner_log(12, seed=15)
    ledger = await ledger_with(log)
    both = await asyncio.gather(correct(ledger, VOID, *log[:6]), correct(ledger, VOID, *log[:6]))
    endings = [corrected.ending for done in both for corrected in done]
    assert endings.count("corrected") == 6
    assert len((await stored(ledger)).corrections) == 6


async def test_given_an_older_version_known_meanwhile_then_the_active_one_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = [answer(1), answer(2)]
    ledger = await ledger_with(log)
    version = await ledger.store("bkt", parameters_document(LAST_STEP), {}, "")
    await ledger.activate(version, "better")
    source = ParametersSource(ledger, 0.95)
    read = ledger.stored

    async def stored_late(keys: Sequence[LearnerKey], *_most: int) -> list[Stored]:
        # As another task of the process whose answer was on its way for long.
        await source.switch_to(1)
        return await read(keys)

    monkeypatch.setattr(ledger, "stored", stored_late)
    corrector = Corrector(ledger=ledger, parameters=source, verdict=VOID)
    await corrector.correct([(KEY, log[0].response_id)])

    (learner,) = await read([KEY])
    assert learner.parameters_version == version


# What is told


async def test_given_a_rescore_then_the_event_has_the_new_score_and_both_values() -> None:
    log = [answer(n, score=1.0, scale="math", session="s") for n in range(3)]
    ledger = await ledger_with(log)
    before = replay(log, PARAMETERS)

    await correct(ledger, rescore(0.0), log[2])

    (data,) = await told(ledger)
    now = replay([*log[:2], log[2]._replace(score=0.0)], PARAMETERS)
    earlier = replay(log[:2], PARAMETERS).concepts["c"].mastery
    assert (data["mastery"], data["previous_mastery"]) == (
        now.concepts["c"].mastery,
        before.concepts["c"].mastery,
    )
    assert (data["transition"], data["mastered"]) == ("lapsed", False)
    assert data["probability_correct"] == answer_probabilities(earlier, CLASSICAL, None)[0]
    assert (data["score"], data["correct"], data["response_id"]) == (
        0.0,
        False,
        log[2].response_id,
    )
    assert (data["cause"], data["correction"]) == ("correction", "rescore")
    assert data["session"] == {"responses": 3, "correct": 2}
    assert data["version"] == (await stored(ledger)).version
    assert data["ability"]["theta"] < data["ability"]["previous_theta"]


async def test_given_a_void_of_the_only_answer_then_the_event_tells_of_the_prior() -> None:
    log = [answer(1, concepts=("a", "b"), session="s"), answer(2, concepts=("b",))]
    ledger = await ledger_with(log)

    await correct(ledger, VOID, log[0])

    of_a, of_b = await told(ledger)
    assert (of_a["concept_id"], of_a["attempts"], of_a["mastery"]) == ("a", 0, 0.25)
    assert (of_b["concept_id"], of_b["attempts"]) == ("b", 1)
    assert of_a["correction"] == "void"
    assert of_a["score"] == 1.0
    assert of_a["session"] == {"responses": 0, "correct": 0}
    assert of_a["last_answered_at"] == of_a["answered_at"]
    assert of_b["last_answered_at"] > of_b["answered_at"]
