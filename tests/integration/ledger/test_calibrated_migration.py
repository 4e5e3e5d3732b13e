"""The columns of calibrated states come and go: rows of others stay as they are, and sealed."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, assert_stored, load, record, stored
from workers.common.errors import LedgerRefused
from workers.estimation.learner import LearnerKey
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files
from workers.ledger.sql.direct import DirectLedger

STATES = "20261130090000"
BEFORE = max(file.version for file in migration_files() if file.version < STATES)
CLASSICAL, CALIBRATED = LearnerKey("t", "classical"), LearnerKey("t", "calibrated")
LOG = learner_log(20, seed=51)
ROWS = """
select (select json_agg(m order by concept_id) from public.concept_mastery m
         where student_id = 'classical')::text
    || (select json_agg(m order by scale) from public.student_ability m
         where student_id = 'classical')::text
    || (select json_agg(m) from mastery.learners m where student_id = 'classical')::text
"""


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[DirectLedger]:
    one = DirectLedger(database_url)
    yield one
    await one.close()


async def test_given_rows_of_before_when_the_schema_goes_up_and_down_then_they_are_what_they_were(
    database_url: str, ledger: DirectLedger
) -> None:
    runner = Migrations(database_url)
    await runner.down(target=BEFORE)
    await record(ledger, CLASSICAL, LOG[:10])
    connection = await asyncpg.connect(database_url)
    first = await connection.fetchval(ROWS)

    await runner.up()

    one = await assert_stored(ledger, CLASSICAL, LOG[:10])
    assert (one.altered, one.unsealed) == ([], 0)
    await record(ledger, CLASSICAL, LOG[10:])
    before = await assert_stored(ledger, CLASSICAL, LOG)
    assert (before.altered, before.unsealed) == ([], 0)
    await runner.down(target=BEFORE)
    second = await connection.fetchval(ROWS)
    await runner.up()
    assert await stored(ledger, CLASSICAL) == before
    await runner.down(target=BEFORE)
    assert await connection.fetchval(ROWS) == second != first
    await connection.close()


async def test_given_calibrated_rows_when_taken_back_and_applied_then_their_learner_is_replayed(
    database_url: str, ledger: DirectLedger
) -> None:
    runner = Migrations(database_url)
    await record(ledger, CLASSICAL, LOG)
    await record(ledger, CALIBRATED, LOG, LAST_STEP)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "update public.concept_mastery set deviation = deviation + 1 "
        "where student_id = 'calibrated' and concept_id = 'c0'"
    )

    await runner.down(target=BEFORE)
    await runner.up()

    await assert_stored(ledger, CLASSICAL, LOG, PARAMETERS)
    one = await stored(ledger, CALIBRATED)
    # What was altered is found still.
    assert [(row.table, row.of) for row in one.altered] == [("concept_mastery", "c0")]
    assert {row[9:] for row in one.concepts} == {(0.0, 0.0, (), 0.0, 0.0, None, None)}
    assert one.parameters_version == 0
    new = answer(80, concepts=("c0",))
    assert (await load(ledger, CALIBRATED, [new])).log is not None
    await record(ledger, CALIBRATED, [new], LAST_STEP)
    one = await assert_stored(ledger, CALIBRATED, [*LOG, new], LAST_STEP)
    assert (one.altered, one.unsealed) == ([], 0)
    await connection.close()


async def test_given_a_schema_of_before_when_states_are_read_or_it_is_asked_then_it_says_migrate(
    database_url: str, ledger: DirectLedger
) -> None:
    runner = Migrations(database_url)
    await record(ledger, CLASSICAL, LOG)
    await ledger.ping()
    files = migration_files()

    await runner.down()

    assert await runner.current() == files[-2].version
    with pytest.raises(LedgerRefused, match="mastery migrate up"):
        await ledger.ping()
    await runner.down(target=BEFORE)
    # Else what is missing would be taken for nothing, and written so.
    with pytest.raises(LedgerRefused, match="mastery migrate up"):
        await ledger.stored([CLASSICAL])
