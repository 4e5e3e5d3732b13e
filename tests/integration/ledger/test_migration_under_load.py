"""The schema of corrections comes and goes while workers of the version before are at work."""

import asyncio
import random

import asyncpg
import pytest

from tests.factories import learner_log
from tests.integration.ledger.steps import PARAMETERS, persist
from workers.correcting import Corrector, Verdict
from workers.errors import LedgerUnavailable, MigrationError
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.direct import DirectLedger
from workers.ledger.migrations import Migrations
from workers.ledger.schema_files import migration_files
from workers.patience import Patience
from workers.rebuilding import Rebuilder
from workers.verification import verify

BEFORE, CORRECTIONS = "20261121090100", "20261121100000"
FILES = [file for file in migration_files() if file.version <= CORRECTIONS]
ALL_FILES = migration_files()


async def work(ledger: DirectLedger, key: LearnerKey, log: list[Response], done: list[int]) -> None:
    """What a worker of the version before asks: load and commit, again where it is told to."""
    patience = Patience(first_s=0.005, longest_s=0.02)
    for at in range(0, len(log), 3):
        part = log[at : at + 3]
        await patience.until_answered(lambda part=part: persist(ledger, key, part, earlier=True))  # type: ignore[misc]  # mypy knows no default of a lambda
        done.append(len(part))
        await asyncio.sleep(0)


async def test_given_workers_under_load_when_up_and_down_again_and_again_then_nothing_is_lost(
    empty_database_url: str,
) -> None:
    runner = Migrations(empty_database_url, files=ALL_FILES)
    await runner.up(BEFORE)
    keys = [LearnerKey("t", f"s{n}") for n in range(6)]
    logs = [random.Random(n).sample(learner_log(150, seed=n), 150) for n in range(6)]
    ledgers = [DirectLedger(empty_database_url) for _ in keys]
    done: list[int] = []
    workers = [
        asyncio.create_task(work(*each, done)) for each in zip(ledgers, keys, logs, strict=True)
    ]
    times = 0
    try:
        while not all(worker.done() for worker in workers):
            await runner.up()
            await asyncio.sleep(0.05)
            await runner.down(target=BEFORE)
            times += 1
            await asyncio.sleep(0.05)
        await asyncio.gather(*workers)
        await runner.up()

        assert times >= 3
        assert sum(done) == 6 * 150
        pages = [page async for page in verify(ledgers[0], PARAMETERS)]
        assert [one for page in pages for one in page.differences] == []
        assert sum(page.responses for page in pages) == 6 * 150
        # Those that were written while there were no checksums.
        assert sum(page.unsealed for page in pages) > 0
        rebuilder = Rebuilder(ledger=ledgers[0], parameters=PARAMETERS)
        assert [page.repaired async for page in rebuilder.rebuild()] == [[]]
        (page,) = [page async for page in verify(ledgers[0], PARAMETERS)]
        assert (page.differences, page.unsealed) == ([], 0)
    finally:
        for worker in workers:
            worker.cancel()
        for ledger in ledgers:
            await ledger.close()


async def test_given_a_correction_when_taken_back_then_it_is_refused_and_nothing_changes(
    empty_database_url: str,
) -> None:
    runner = Migrations(empty_database_url, files=ALL_FILES)
    await runner.up()
    ledger = DirectLedger(empty_database_url)
    key, log = LearnerKey("t", "s"), learner_log(3)
    try:
        await persist(ledger, key, log)
        corrector = Corrector(ledger=ledger, parameters=PARAMETERS, verdict=Verdict("void", "why"))
        await corrector.correct([(key, log[0].response_id)])
        await runner.down(target=CORRECTIONS)
        with pytest.raises(MigrationError, match="response_corrections holds 1 corrections"):
            await runner.down()
        connection = await asyncpg.connect(empty_database_url)
        try:
            await connection.execute("delete from public.response_corrections")
            with pytest.raises(MigrationError, match=r"mastery\.untold holds \d+ changes"):
                await runner.down()
            await connection.execute("delete from mastery.untold")
        finally:
            await connection.close()
        assert await runner.current() == CORRECTIONS
        assert await runner.down() == [CORRECTIONS]
    finally:
        await ledger.close()


async def test_given_a_table_in_use_when_migrated_then_others_go_on_and_it_is_tried_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.ledger.migrations._TABLE_LOCK", "100ms")
    runner = Migrations(empty_database_url, files=FILES, lock_timeout_s=120)
    await runner.up(BEFORE)
    reader, writer = [await asyncpg.connect(empty_database_url) for _ in range(2)]
    try:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("select * from public.concept_mastery")
        migrating = asyncio.create_task(runner.up())
        await asyncio.sleep(0.6)
        assert not migrating.done()
        # Behind the migration that waits, this one would wait for the reader's end as well.
        async with asyncio.timeout(30):
            await writer.execute("insert into mastery.learners values ('t', 's')")
        await transaction.commit()
        assert await migrating == [CORRECTIONS]
        await transaction_that_stays(reader)
        impatient = Migrations(empty_database_url, files=FILES, lock_timeout_s=0.2)
        with pytest.raises(LedgerUnavailable, match="lock timeout"):
            await impatient.down()
    finally:
        await reader.close()
        await writer.close()


async def transaction_that_stays(reader: "asyncpg.Connection[asyncpg.Record]") -> None:
    await reader.transaction().start()
    await reader.fetch("select * from mastery.learners")
