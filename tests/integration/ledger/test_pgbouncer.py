"""Everything behind a PgBouncer in transaction mode, which stands in for Supabase's pooler."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner

from contracts.streams import shards
from tests.faults.servers import scratch
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_connections import value
from tests.support.run_results import run_results
from tests.support.whole_run import Setting, drain, publish, simulated_rows
from workers.cli.main import app
from workers.common.errors import LedgerRefused, MigrationError
from workers.ledger.schema.migrations import Migrations
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.pooler import Way, way

_LOCKS = """
select count(*) from pg_locks
 where locktype = 'advisory' and granted
   and database = (select oid from pg_database where datname = current_database())
"""
"""Locks of this test's database: other tests take theirs at the same time."""


@pytest.fixture
def directory() -> Iterator[Path]:
    with scratch() as made:
        yield made


@pytest.fixture
async def pooled(database_url: str, directory: Path) -> AsyncIterator[str]:
    async with pgbouncer(database_url, directory) as url:
        yield url


async def test_given_a_transaction_pooler_then_it_is_recognised(
    database_url: str, pooled: str
) -> None:
    assert await way(database_url, 5.0) is Way.SERVER
    assert await way(pooled, 5.0) is Way.TRANSACTION_POOLER


async def test_given_a_session_pooler_then_migrations_run(
    database_url: str, directory: Path
) -> None:
    async with pgbouncer(database_url, directory, mode="session") as url:
        assert await way(url, 5.0) is Way.POOLER
        assert await Migrations(url).pending() == []


@pytest.mark.parametrize("said", ["", "?pgbouncer=true"])
async def test_given_a_transaction_pooler_then_migrations_are_refused(
    database_url: str, pooled: str, said: str
) -> None:
    with pytest.raises(MigrationError, match="direct connection or a session pooler"):
        await Migrations(pooled + said).up()
    # No lock was left on a connection that somebody else gets next.
    assert await value(database_url, _LOCKS) == 0


async def test_given_pgbouncer_false_wrongly_then_the_ledger_names_it(pooled: str) -> None:
    ledger = DirectLedger(f"{pooled}?pgbouncer=false")
    other = await asyncpg.connect(pooled, statement_cache_size=0)
    try:
        await ledger.ping()
        # Takes the connection on which the statement was prepared.
        async with other.transaction():
            await other.execute("select 1")
            with pytest.raises(LedgerRefused, match="pgbouncer=true"):
                await ledger.ping()
    finally:
        await other.close()
        await ledger.close()


async def test_given_workers_behind_a_pooler_then_each_response_counts_once(
    redis_url: str, database_url: str, pooled: str
) -> None:
    rows = simulated_rows(400, 40)
    setting = Setting(redis_url, {"DATABASE_URL": pooled}, database_url)
    await publish(redis_url, [*rows, *rows[:100]], shard_count=3)
    drain(setting, roles=["engine"], workers=3, STREAM_SHARDS="3", BATCH_SIZE="50")
    result = await run_results(setting, rows, 1e-9, shards(3))
    assert result.differences == []
    assert result.pending == 0
    assert not result.rejected
    assert set(result.events.values()) == {1}


def test_given_a_pooler_when_checked_then_it_says_how_to_name_it(
    pooled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said, told in (
        ("", "a transaction pooler answers at DATABASE_URL"),
        ("?pgbouncer=true", "pending migrations can't be seen through a transaction pooler"),
        ("?pgbouncer=false", "unless it keeps prepared statements"),
    ):
        monkeypatch.setenv("DATABASE_URL", pooled + said)
        output = CliRunner().invoke(app, ["check"], env={"COLUMNS": "400"}).output
        assert told in " ".join(output.split())
