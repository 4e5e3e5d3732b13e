"""The migrations give exactly what `supabase/schemas` says, on a real Postgres."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.integration.ledger.catalogue import catalogue
from tests.integration.ledger.next_schema import next_migrations
from tests.support.servers import MIGRATIONS, SUPABASE_DATABASE, fresh_database, server_variables
from workers.common.errors import MigrationError
from workers.ledger.schema.drafting import schema_files
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files

SUPABASE = MIGRATIONS.parent
pytestmark = pytest.mark.servers

OLDER = ("20261121090000", "mastery_ledger"), ("20261121090100", "mastery_load_and_commit")
LOOK_UP = """
explain (costs off)
select * from public.student_responses
 where tenant_id = 't' and student_id = 's' and response_id = '0193e6f0-0000-7000-8000-000000000001'
"""
IN_ORDER = """
explain (costs off)
select * from public.student_responses
 where tenant_id = 't' and student_id = 's' order by answered_at, response_id
"""
# Of each partition: whether its primary key is newer than its index in order.
NEWER_KEYS = """
select k.indexrelid > i.indexrelid
  from pg_index k join pg_index i using (indrelid)
       join pg_class c on c.oid = k.indrelid
 where c.relname like 'student\\_responses\\_%' and c.relispartition
   and k.indisprimary and not i.indisprimary
"""


@asynccontextmanager
async def database(platform: str) -> AsyncIterator[str]:
    """A new database: a plain one, or one with Supabase's generous default privileges."""
    (url,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(url, migrated=False) as dsn:
        if platform == "supabase":
            await execute(dsn, SUPABASE_DATABASE.read_text(encoding="utf-8"))
        yield dsn


async def execute(dsn: str, script: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def plan(connection: "asyncpg.Connection[asyncpg.Record]", query: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(query))


async def declared(dsn: str, directory: Path) -> dict[str, list[str]]:
    for file in schema_files(directory):
        await execute(dsn, file.read_text(encoding="utf-8"))
    return await catalogue(dsn)


async def migrated(dsn: str, directory: Path) -> dict[str, list[str]]:
    await Migrations(dsn, files=migration_files(directory)).up()
    return await catalogue(dsn)


@pytest.mark.parametrize("platform", ["plain", "supabase"])
async def test_given_migrations_when_applied_then_they_equal_the_schema_files(
    platform: str,
) -> None:
    async with database(platform) as dsn, database(platform) as other:
        expected = await declared(dsn, SUPABASE)
        catalogue = await migrated(other, SUPABASE)
    for kind, objects in expected.items():
        assert catalogue[kind] == objects, kind
    assert all(objects for kind, objects in expected.items() if kind != "published")
    assert bool(expected["published"]) == (platform == "supabase")


@pytest.mark.parametrize("platform", ["plain", "supabase"])
async def test_given_a_drafted_commit_when_applied_then_the_schema_files_are_met(
    platform: str, tmp_path: Path
) -> None:
    (url,) = server_variables("TEST_DATABASE_URL")
    await next_migrations(tmp_path, url)
    async with database(platform) as dsn, database(platform) as other:
        expected = await declared(dsn, tmp_path)
        before = await migrated(other, SUPABASE)
        assert before != expected
        assert await migrated(other, tmp_path) == expected
        await Migrations(other, files=migration_files(tmp_path)).down()
        assert await catalogue(other) == before


async def test_given_equal_costs_when_a_response_is_looked_up_then_by_its_key(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        newer = [row[0] for row in await connection.fetch(NEWER_KEYS)]
        assert newer == [True] * 16
        # As the functions set it.
        await connection.execute("set enable_seqscan = off")
        assert re.search(r"student_responses_\d\d_pkey", await plan(connection, LOOK_UP))
        # Both without statistics and with those of an empty table.
        await connection.execute("analyze public.student_responses")
        assert re.search(r"student_responses_\d\d_pkey", await plan(connection, LOOK_UP))
        assert "answered_at_respo_idx" in await plan(connection, IN_ORDER)
    finally:
        await connection.close()


async def test_given_a_development_version_then_the_remedy_is_named(
    empty_database_url: str,
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(
            "create schema mastery; create schema supabase_migrations; "
            "create table supabase_migrations.schema_migrations "
            "(version text primary key, statements text[], name text)"
        )
        await connection.executemany(
            "insert into supabase_migrations.schema_migrations (version, name) values ($1, $2)",
            OLDER,
        )
    finally:
        await connection.close()
    runner = Migrations(empty_database_url)
    for ask in (runner.up, runner.down, runner.history, runner.current, runner.pending):
        with pytest.raises(MigrationError, match=r"20261121090000.*migrate down --to 0.*empty"):
            await ask()
