"""Corrections and rebuilds on a ledger in memory: what counts, what is told, what is left alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.mastery import MasteryData
from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, load, record
from workers.estimation.bkt import answer_probabilities
from workers.estimation.documents import parameters_document
from workers.estimation.learner import LearnerKey, Response
from workers.estimation.parameters import CLASSICAL, Parameters
from workers.estimation.person_fit import person_fit
from workers.estimation.replay import replay
from workers.estimation.scales import ScaleParameters
from workers.ledger.corrections import Correction, CorrectionRow, effective_log
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.repair import ItemSpan, Rewrite
from workers.ledger.rows import Stored
from workers.operations.repair.correcting import Corrected, Corrector, Verdict
from workers.operations.repair.rebuilding import Rebuilder, Rebuilt
from workers.operations.repair.rewriting import rewriting
from workers.operations.repair.verifying import Verified, differences, verify

KEY = LearnerKey("school-7", "student-42")
VOID = Verdict("void", "cheated")


def rescore(score: float) -> Verdict:
    return Verdict("rescore", "miskeyed", score)


FLIP = Verdict("flip", "miskeyed")


async def ledger_with(log: Sequence[Response], *keys: LearnerKey) -> MemoryLedger:
    ledger = MemoryLedger()
    for key in keys or (KEY,):
        await record(ledger, key, log)
    return ledger


async def correct(
    ledger: MemoryLedger, verdict: Verdict, *responses: Response, dry_run: bool = False
) -> list[Corrected]:
    corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict, dry_run=dry_run)
    return await corrector.correct((KEY, one.response_id) for one in responses)


async def stored(ledger: MemoryLedger, key: LearnerKey = KEY) -> Stored:
    (one,) = await ledger.stored([key])
    return one


async def assert_counts(ledger: MemoryLedger, log: Sequence[Response]) -> Stored:
    one = await stored(ledger)
    assert list(differences(one, replay(log, PARAMETERS), PARAMETERS)) == []
    return one


async def told(ledger: MemoryLedger) -> list[dict[str, Any]]:
    """Data of what waits to be told, valid by the contract."""
    waiting = await ledger.pending_changes()
    await ledger.forget_changes([one.number for one in waiting])
    found = []
    for one in waiting:
        data = {**one.key._asdict(), **one.change.data, "version": one.version}
        MasteryData.model_validate(data)
        assert one.change.concept_id == data["concept_id"]
        found.append(data)
    return found


# What counts


def test_given_corrections_of_a_response_then_the_one_with_the_highest_version_counts() -> None:
    log = [answer(1, score=1.0), answer(2, score=1.0), answer(3)]
    first, second, _ = (one.response_id for one in log)
    corrections = [
        CorrectionRow(first, "void", None, "r", 0, 9),
        CorrectionRow(first, "rescore", 0.5, "r", 0, 4),
        CorrectionRow(second, "void", None, "r", 0, 3),
        CorrectionRow(second, "rescore", 0.25, "r", 0, 12),
        CorrectionRow("nobody's", "void", None, "r", 0, 13),
    ]
    assert effective_log(log, corrections) == [log[1]._replace(score=0.25), log[2]]


async def test_given_a_void_then_a_rescore_then_the_learner_is_what_counts_each_time() -> None:
    log = learner_log(20, seed=1)
    ledger = await ledger_with(log)

    (done,) = await correct(ledger, VOID, log[7])

    assert (done.ending, done.before, done.after) == ("corrected", log[7].score, None)
    await assert_counts(ledger, [*log[:7], *log[8:]])
    (done,) = await correct(ledger, rescore(0.3), log[7])
    assert (done.before, done.after) == (None, 0.3)
    one = await assert_counts(ledger, [*log[:7], log[7]._replace(score=0.3), *log[8:]])
    assert [row.kind for row in one.corrections] == ["void", "rescore"]
    assert one.responses == log
    assert one.version == one.newest_version == one.corrections[-1].version


async def test_given_the_same_correction_twice_then_nothing_changes_and_nothing_is_told() -> None:
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
    assert [one.ending for one in await correct(ledger, rescore(0.5), log[0])] == ["unchanged"]
    assert (await stored(ledger)).corrections == []


async def test_given_a_flip_then_correct_is_wrong_and_the_reverse_by_what_was_published() -> None:
    log = [answer(1, score=1.0), answer(2, score=0.0), answer(3, score=0.25)]
    ledger = await ledger_with(log)
    await correct(ledger, rescore(0.6), log[2])

    done = await correct(ledger, FLIP, *log)

    assert [one.after for one in done] == [0.0, 1.0, 0.75]
    await assert_counts(
        ledger, [one._replace(score=score) for one, score in zip(log, (0, 1, 0.75), strict=True)]
    )


async def test_given_several_responses_of_a_learner_then_each_correction_has_its_own_version() -> (
    None
):
    log = learner_log(12, seed=3)
    ledger = await ledger_with(log)

    done = await correct(ledger, VOID, log[2], log[5], log[11])

    assert [one.ending for one in done] == ["corrected"] * 3
    one = await assert_counts(ledger, [r for n, r in enumerate(log) if n not in {2, 5, 11}])
    versions = [row.version for row in one.corrections]
    assert versions == sorted(set(versions))
    assert one.version == versions[-1]


async def test_given_rows_that_a_correction_does_not_touch_then_they_keep_their_versions() -> None:
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


async def test_given_all_responses_voided_then_no_row_is_left_and_the_next_one_begins_anew() -> (
    None
):
    log = [answer(1, session="s"), answer(2, session="s")]
    ledger = await ledger_with(log)

    await correct(ledger, VOID, *log)

    one = await assert_counts(ledger, [])
    assert (one.concepts, one.abilities, one.sessions, one.last) == ([], [], [], None)
    early = answer(0)
    assert (await load(ledger, KEY, [early])).log is None
    await record(ledger, KEY, [early])
    await assert_counts(ledger, [early])
    await correct(ledger, rescore(1.0), log[0])
    await assert_counts(ledger, [early, log[0]])


async def test_given_an_unknown_response_or_a_damaged_log_then_it_is_left_alone() -> None:
    log = learner_log(5, seed=4)
    ledger = await ledger_with(log)
    assert [one.ending for one in await correct(ledger, VOID, answer(99))] == ["unknown"]
    await correct(ledger, VOID, log[1])
    del ledger._accounts[KEY].log[log[1].response_id]

    before = await stored(ledger)
    assert [one.ending for one in await correct(ledger, VOID, log[2])] == ["damaged"]
    assert await stored(ledger) == before


async def test_given_a_dry_run_then_it_says_the_same_and_changes_nothing() -> None:
    log = learner_log(6, seed=5)
    ledger = await ledger_with(log)
    before = await stored(ledger)

    planned = await correct(ledger, VOID, *log, dry_run=True)

    assert await stored(ledger) == before
    assert await told(ledger) == []
    assert planned == await correct(ledger, VOID, *log)


async def test_given_an_item_then_all_answers_to_it_in_the_span_are_corrected_page_by_page() -> (
    None
):
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
    again = [one async for _, page in corrector.of_item(span) for one in page]
    assert {one.ending for one in again} == {"unchanged"}


class Overtaken(MemoryLedger):
    """Somebody else commits just before each of the first rewrites."""

    def __init__(self, *late: Response) -> None:
        super().__init__()
        self.late = list(late)

    async def rewrite(self, rewrites: Sequence[Rewrite]) -> list[int | None]:
        if self.late:
            await record(self, KEY, [self.late.pop()])
        return await super().rewrite(rewrites)


async def test_given_a_commit_in_between_then_the_correction_is_folded_again() -> None:
    log = learner_log(8, seed=7)
    ledger = Overtaken(answer(50, at=3), answer(51, at=90))
    await record(ledger, KEY, log)

    (done,) = await correct(ledger, VOID, log[0])

    assert done.ending == "corrected"
    one = await assert_counts(ledger, [*log[1:], answer(50, at=3), answer(51, at=90)])
    assert len(one.corrections) == 1


# What is told


async def test_given_a_rescore_then_the_event_has_the_new_score_and_the_values_before_and_now() -> (
    None
):
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


async def test_given_a_scale_and_a_session_that_changed_alone_then_some_event_tells_of_them() -> (
    None
):
    log = [
        answer(1, concepts=("a", "b"), scale="math", session="s1"),
        answer(2, concepts=("b",), scale="verbal", session="s2"),
        answer(3, concepts=("c",), scale="math", session="s1"),
    ]
    ledger = await ledger_with(log)
    account = ledger._accounts[KEY]
    account.abilities["verbal"] = account.abilities["verbal"]._replace(theta=float("nan"))
    account.sessions["s1"] = account.sessions["s1"]._replace(responses=9)
    account.concepts["c"] = account.concepts["c"]._replace(mastery=7.0)

    await rebuilt(ledger)

    data = {one["concept_id"]: one for one in await told(ledger)}
    assert data.keys() == {"b", "c"}
    assert data["b"]["ability"]["scale"] == "verbal"
    assert data["b"]["ability"]["previous_theta"] == pytest.approx(0.0, abs=1e-12)
    assert data["c"]["session_id"] == "s1"
    assert data["c"]["session"]["responses"] == 2
    assert data["c"]["previous_mastery"] == 0.25
    assert {one["cause"] for one in data.values()} == {"rebuild"}
    assert "correction" not in data["b"]


async def test_given_more_scales_than_concepts_then_the_rest_is_left_to_reconcile() -> None:
    log = [answer(1, scale="math"), answer(2, scale="verbal")]
    ledger = await ledger_with(log)
    account = ledger._accounts[KEY]
    for scale, row in account.abilities.items():
        account.abilities[scale] = row._replace(theta=1.0)
    await rebuilt(ledger)
    assert [one["ability"]["scale"] for one in await told(ledger)] == ["math"]


# Rebuild and verify


async def rebuilt(ledger: MemoryLedger, **options: Any) -> Rebuilt:
    rebuilder = Rebuilder(ledger=ledger, parameters=PARAMETERS, **options)
    found = Rebuilt()
    async for page in rebuilder.rebuild():
        found.learners += page.learners
        found.repaired += page.repaired
        found.damaged += page.damaged
    return found


async def test_given_wrong_lost_and_stray_rows_when_rebuilt_then_only_that_learner_changes() -> (
    None
):
    keys = [LearnerKey("school-7", f"s{n:03}") for n in range(150)]
    log = learner_log(20, seed=8)
    ledger = await ledger_with(log, *keys)
    account = ledger._accounts[keys[120]]
    account.concepts["c0"] = account.concepts["c0"]._replace(odds_exponent=30)
    account.concepts["stray"] = account.concepts["c1"]._replace(concept_id="stray")
    del account.concepts["c1"]
    account.last = None
    before = {key: await stored(ledger, key) for key in keys}

    assert (await rebuilt(ledger, dry_run=True)).repaired == [keys[120]]
    assert await stored(ledger, keys[120]) == before[keys[120]]
    found = await rebuilt(ledger)

    assert (found.learners, found.repaired, found.damaged) == (150, [keys[120]], [])
    one = await stored(ledger, keys[120])
    assert list(differences(one, replay(log, PARAMETERS), PARAMETERS)) == []
    assert one.version > before[keys[120]].version
    assert {key for key in keys if await stored(ledger, key) != before[key]} == {keys[120]}
    # Of a concept that no answer ever named nobody was told.
    assert {data["concept_id"] for data in await told(ledger)} == {"c0", "c1"}
    assert (await rebuilt(ledger)).repaired == []


async def test_given_other_parameters_when_rebuilt_then_the_state_is_under_them() -> None:
    log = learner_log(10, seed=9)
    ledger = await ledger_with(log)
    other = Parameters(version=2)
    rebuilder = Rebuilder(ledger=ledger, parameters=other)
    (page,) = [one async for one in rebuilder.rebuild(KEY)]
    assert page.repaired == [KEY]
    assert list(differences(await stored(ledger), replay(log, other), other)) == []


async def test_given_calibrated_parameters_when_rebuilt_then_it_is_told_how_sure_all_is() -> None:
    log = learner_log(40, seed=14)
    ledger = await ledger_with(log)
    rebuilder = Rebuilder(ledger=ledger, parameters=LAST_STEP)
    assert [page.repaired async for page in rebuilder.rebuild(KEY)] == [[KEY]]

    found = {data["concept_id"]: data for data in await told(ledger)}

    one = await stored(ledger)
    rows = {row.concept_id: row for row in one.concepts}
    assert found.keys() == rows.keys()
    for name, data in found.items():
        row = rows[name]
        if row.mastery_low is None:
            assert "mastery_interval" not in data
        else:
            wanted = {"low": row.mastery_low, "high": row.mastery_high}
            assert data["mastery_interval"] == wanted
    fits = {row.scale: person_fit(row.state) for row in one.abilities}
    for data in found.values():
        assert data["ability"].get("person_fit") == fits[data["ability"]["scale"]]
    assert all(fits.values())


async def test_given_an_ability_above_6_when_rebuilt_then_events_name_it_as_previous() -> None:
    far = replace(LAST_STEP, any_scale=ScaleParameters(8.0, 2.0))
    log = learner_log(5, seed=15)
    ledger = MemoryLedger()
    await record(ledger, KEY, log, far)
    before = {row.scale: row.theta for row in (await stored(ledger)).abilities}
    assert max(before.values()) > 6.0

    rebuilder = Rebuilder(ledger=ledger, parameters=LAST_STEP)
    assert [page.repaired async for page in rebuilder.rebuild(KEY)] == [[KEY]]

    for data in await told(ledger):
        assert data["ability"]["previous_theta"] == before[data["ability"]["scale"]]


async def test_given_a_damaged_log_when_rebuilt_then_it_is_left_alone_unless_it_is_accepted() -> (
    None
):
    log = learner_log(10, seed=10)
    ledger = await ledger_with(log)
    await correct(ledger, VOID, log[4])
    del ledger._accounts[KEY].log[log[4].response_id]
    ledger._accounts[KEY].abilities.clear()

    assert (await rebuilt(ledger)).damaged == [KEY]
    assert (await stored(ledger)).abilities == []
    found = await rebuilt(ledger, accept_log=True)
    assert (found.repaired, found.damaged) == ([KEY], [])
    assert (await stored(ledger)).abilities != []


async def test_given_a_commit_in_between_when_rebuilt_then_it_is_rebuilt_again() -> None:
    log = learner_log(10, seed=11)
    late = answer(77, at=2)
    ledger = Overtaken(late)
    await record(ledger, KEY, log)
    ledger._accounts[KEY].sessions.clear()
    await rebuilt(ledger)
    await assert_counts(ledger, [*log, late])


async def test_given_a_state_that_is_right_then_there_is_nothing_to_rewrite() -> None:
    log = learner_log(10, seed=12)
    one = await stored(await ledger_with(log))
    assert rewriting(one, PARAMETERS) is None
    correction = Correction(log[0].response_id, "void", None, "why")
    assert rewriting(one, PARAMETERS, correction) is not None


async def test_given_a_sample_or_one_learner_when_verified_then_only_these_are_looked_at() -> None:
    keys = [LearnerKey("school-7", f"s{n:03}") for n in range(230)]
    ledger = await ledger_with(learner_log(3, seed=13), *keys)

    async def looked_at(**options: Any) -> list[int]:
        return [page.learners async for page in verify(ledger, PARAMETERS, **options)]

    assert await looked_at(sample=150) == [100, 50]
    assert await looked_at(sample=1000) == [100, 100, 30]
    assert await looked_at(only=keys[3]) == [1]


async def test_given_a_learner_with_an_older_version_than_a_row_then_it_is_named() -> None:
    log = learner_log(4, seed=14)
    one = await stored(await ledger_with(log))
    found = list(differences(replace(one, version=1), replay(log, PARAMETERS), PARAMETERS))
    assert [difference.what for difference in found] == ["learners.version"]
    counted = replace(one, correction_count=1)
    found = list(differences(counted, replay(log, PARAMETERS), PARAMETERS))
    assert "the number of rows of response_corrections is 0, there were 1" in str(found[0])
    # Where the learner's row is lost nothing can be said of the log.
    lost = replace(counted, version=0)
    found = list(differences(lost, replay(log, PARAMETERS), PARAMETERS))
    assert [difference.what for difference in found] == [
        "learners.version",
        "the number of rows of response_corrections",
    ]


def test_given_a_page_then_rows_without_checksum_are_none_unless_said() -> None:
    assert Verified(1, 2, []).unsealed == 0


async def test_given_two_correctors_at_once_then_each_response_is_corrected_once() -> None:
    log = learner_log(12, seed=15)
    ledger = await ledger_with(log)
    both = await asyncio.gather(correct(ledger, VOID, *log[:6]), correct(ledger, VOID, *log[:6]))
    endings = [one.ending for done in both for one in done]
    assert endings.count("corrected") == 6
    assert len((await stored(ledger)).corrections) == 6


async def test_given_news_of_an_older_version_meanwhile_when_corrected_then_it_is_under_the_active(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = [answer(1), answer(2)]
    ledger = await ledger_with(log)
    version = await ledger.store("bkt", parameters_document(LAST_STEP), {}, "")
    await ledger.activate(version, "better")
    source = ParametersSource(ledger, 0.95)
    read = ledger.stored

    async def stored_late(keys: Sequence[LearnerKey]) -> list[Stored]:
        # As another task of the process whose answer was on its way for long.
        await source.switch_to(1)
        return await read(keys)

    monkeypatch.setattr(ledger, "stored", stored_late)
    corrector = Corrector(ledger=ledger, parameters=source, verdict=VOID)
    await corrector.correct([(KEY, log[0].response_id)])

    (one,) = await read([KEY])
    assert one.parameters_version == version
