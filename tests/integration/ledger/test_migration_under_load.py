"""The next version's schema comes and goes while workers of the version before are at work."""

import asyncio
import random
from pathlib import Path

import asyncpg
import pytest

from tests.integration.ledger.next_schema import next_migrations
from tests.support.factories import learner_log
from tests.support.ledger_steps import PARAMETERS, persist
from tests.support.servers import server_variables
from workers.common.errors import LedgerUnavailable
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import MigrationFile, migration_files
from workers.ledger.sql.direct import DirectLedger
from workers.operations.repair.verifying import verify

BASE = migration_files()[-1].version
BUSY = MigrationFile(
    "29990101000000",
    "mastery_busy",
    "alter table mastery.learners add column x int; "
    "alter table public.concept_mastery add column x int",
    "alter table mastery.learners drop column x; alter table public.concept_mastery drop column x",
)
FILES = (*migration_files(), BUSY)


async def work(ledger: DirectLedger, key: LearnerKey, log: list[Response], done: list[int]) -> None:
    """Load and commit as a worker of the version before, and repeat on a conflict."""
    retrying = Retrying(first_s=0.005, longest_s=0.02)
    for at in range(0, len(log), 3):
        part = log[at : at + 3]
        await retrying.call(lambda part=part: persist(ledger, key, part, earlier=True))  # type: ignore[misc]  # mypy knows no default of a lambda
        done.append(len(part))
        await asyncio.sleep(0)


async def test_given_workers_under_load_when_up_and_down_then_nothing_is_lost(
    database_url: str, tmp_path: Path
) -> None:
    (server,) = server_variables("TEST_DATABASE_URL")
    runner = Migrations(database_url, files=await next_migrations(tmp_path, server))
    keys = [LearnerKey("t", f"s{n}") for n in range(6)]
    logs = [random.Random(n).sample(learner_log(150, seed=n), 150) for n in range(6)]
    ledgers = [DirectLedger(database_url) for _ in keys]
    done: list[int] = []
    workers = [
        asyncio.create_task(work(*each, done)) for each in zip(ledgers, keys, logs, strict=True)
    ]
    times = 0
    try:
        while not all(worker.done() for worker in workers):
            await runner.up()
            await asyncio.sleep(0.05)
            await runner.down(target=BASE)
            times += 1
            await asyncio.sleep(0.05)
        await asyncio.gather(*workers)
        await runner.up()

        assert times >= 3
        assert sum(done) == 6 * 150
        pages = [page async for page in verify(ledgers[0], PARAMETERS)]
        assert [difference for page in pages for difference in page.differences] == []
        assert sum(page.responses for page in pages) == 6 * 150
        assert sum(page.unsealed for page in pages) == 0
    finally:
        for worker in workers:
            worker.cancel()
        for ledger in ledgers:
            await ledger.close()


async def test_given_a_table_in_use_then_the_migration_retries_and_others_go_on(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.ledger.schema.migrations._TABLE_LOCK", "100ms")
    runner = Migrations(empty_database_url, files=FILES, lock_timeout_s=120)
    await runner.up(BASE)
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
        assert await migrating == [BUSY.version]
        await transaction_that_stays(reader)
        fast_retrying = Migrations(empty_database_url, files=FILES, lock_timeout_s=0.2)
        with pytest.raises(LedgerUnavailable, match="lock timeout"):
            await fast_retrying.down()
    finally:
        await reader.close()
        await writer.close()


async def transaction_that_stays(reader: "asyncpg.Connection[asyncpg.Record]") -> None:
    await reader.transaction().start()
    await reader.fetch("select * from mastery.learners")
