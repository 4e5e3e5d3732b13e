"""The log of all learners in pages, and stages of calibration: the same in every ledger."""

import asyncpg
import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import learner_log, uuid_of
from tests.support.ledger_steps import PARAMETERS, record
from tests.support.servers import fresh_database, server_variables
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.calibration import LoggedAnswer, Stage
from workers.ledger.corrections import effective_log
from workers.ledger.protocol import Ledger
from workers.ledger.sql.direct import DirectLedger
from workers.operations.repair.correcting import Corrector, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _logged(place: int, log: list[Response]) -> list[LoggedAnswer]:
    return [
        LoggedAnswer(place, r.item_id, list(r.concept_ids), r.scale, r.score, r.answered_at_us)
        for r in sorted(log, key=lambda response: response.position)
    ]


async def _all(
    ledger: Ledger, tenant: str, until_us: int | None = None, **bounds: int
) -> tuple[list[LearnerKey], list[list[LoggedAnswer]], int]:
    """Read all pages: one tenant's learners and answers, and the number of pages."""
    keys: list[LearnerKey] = []
    logs: list[list[LoggedAnswer]] = []
    after, pages = None, 0
    while (page := await ledger.logs(after, until_us, **bounds)).learners:
        after, pages = page.learners[-1], pages + 1
        for place, key in enumerate(page.learners):
            if key.tenant_id == tenant:
                keys.append(key)
                logs.append(
                    [
                        answer._replace(learner=0, concept_ids=list(answer.concept_ids))
                        for answer in page.answers
                        if answer.learner == place
                    ]
                )
    return keys, logs, pages


async def test_given_corrected_logs_when_paged_then_each_answer_counts_once(
    open_ledger: OpenLedger, tenant: str
) -> None:
    ledger = open_ledger()
    logs = {f"s{n}": learner_log(3 + n, seed=n) for n in range(6)}
    for student, log in logs.items():
        # Not in the learner's order, which is how it must come out.
        await record(ledger, LearnerKey(tenant, student), log[1:])
        await record(ledger, LearnerKey(tenant, student), log[:1])
    before_us = await ledger.clock_us()
    for place, verdict in (
        (0, Verdict("void", "broken")),
        (1, Verdict("rescore", "miskeyed", 0.25)),
        (1, Verdict("rescore", "miskeyed", 0.75)),
    ):
        corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=verdict)
        await corrector.correct([(LearnerKey(tenant, "s2"), logs["s2"][place].response_id)])
    await record(ledger, LearnerKey(tenant, "t"), learner_log(2, seed=9))

    keys, read, _ = await _all(ledger, tenant)
    assert keys == [LearnerKey(tenant, student) for student in [*sorted(logs), "t"]]
    (stored,) = await ledger.stored([LearnerKey(tenant, "s2")])
    counts = effective_log(stored.responses, stored.corrections)
    assert len(counts) == len(logs["s2"]) - 1
    assert {r.score for r in counts} >= {0.75}
    for key, answers in zip(keys, read, strict=True):
        if key.student_id in logs:
            wanted = counts if key.student_id == "s2" else logs[key.student_id]
            assert answers == _logged(0, wanted)

    # As it was at an earlier moment: nothing corrected, nobody new.
    _, earlier, _ = await _all(ledger, tenant, before_us)
    assert earlier[2] == _logged(0, logs["s2"])
    assert earlier[-1] == []
    for bounds in ({"learners": 2}, {"responses": 7}, {"responses": 1}):
        assert (await _all(ledger, tenant, **bounds))[:2] == (keys, read)
    assert (await _all(ledger, tenant, responses=1))[2] >= len(keys)


async def test_given_stages_when_kept_then_they_are_the_runs_own_until_forgotten(
    open_ledger: OpenLedger, tenant: str
) -> None:
    ledger = open_ledger()
    first_run, other = uuid_of(tenant, 1), uuid_of(tenant, 2)
    name = f"begun {tenant}"
    documents = ['{"a": 0.1, "b": -0.0}', "ünï \\ \"'{}"]
    await ledger.keep_stage(Stage(first_run, name, "earlier"))
    await ledger.keep_stage(Stage(first_run, name, documents[0]))
    await ledger.keep_stage(Stage(first_run, "fit", documents[1]))
    await ledger.keep_stage(Stage(other, name, "x"))

    assert await ledger.stages(first_run) == {name: documents[0], "fit": documents[1]}
    assert await ledger.stages_named(name) == [
        Stage(other, name, "x"),
        Stage(first_run, name, documents[0]),
    ]
    assert await ledger.stages_named("none") == []
    assert await ledger.forget_stages(first_run) == 2
    assert await ledger.forget_stages(first_run) == 0
    assert await ledger.stages(first_run) == {}
    assert await ledger.forget_idle_stages(3_600) == 0
    assert await ledger.stages(other) == {name: "x"}
    assert await ledger.forget_idle_stages(-1) >= 1
    assert await ledger.stages_named(name) == []


@pytest.mark.servers
async def test_given_an_altered_stage_when_read_then_it_is_not_there() -> None:
    (url,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(url, migrated=True) as own:
        ledger = DirectLedger(own)
        run = uuid_of("run")
        await ledger.keep_stage(Stage(run, "fit", "[0.25]"))
        await ledger.keep_stage(Stage(run, "other", "[0.25]"))
        connection = await asyncpg.connect(own)
        await connection.execute(
            "update mastery.calibration_stages set document = '[0.26]' where stage = 'fit'"
        )
        await connection.close()
        assert await ledger.stages(run) == {"other": "[0.25]"}
        await ledger.close()
