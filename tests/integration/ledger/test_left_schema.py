"""A database of the tests is used again only while nothing was defined in it."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.support.left_schema import empty_tables, is_as_left, leave_note

Connection: TypeAlias = "asyncpg.Connection[Any]"


@pytest.fixture
async def noted(database_url: str) -> AsyncIterator[Connection]:
    """A connection to a migrated database with a note."""
    connection = await asyncpg.connect(database_url)
    try:
        await leave_note(connection, "migrations")
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "alter table mastery.learners add column more int",
        "create function public.more() returns int return 1",
        "create index on public.student_responses (item_id)",
        "drop function public.mastery_commit",
        "grant select on mastery.learners to anon",
        "delete from supabase_migrations.schema_migrations",
        "drop schema supabase_migrations cascade",
    ],
)
async def test_given_a_definition_since_the_note_then_it_is_not_as_left(
    statement: str, noted: Connection
) -> None:
    assert await is_as_left(noted, "migrations")
    await noted.execute(statement)
    assert not await is_as_left(noted, "migrations")


async def test_given_other_migrations_then_the_schema_is_not_as_left(noted: Connection) -> None:
    assert not await is_as_left(noted, "newer migrations")


async def test_given_rows_when_emptied_then_none_is_left_and_the_schema_is(
    noted: Connection,
) -> None:
    await noted.execute("insert into mastery.learners (tenant_id, student_id) values ('t', 's')")
    await noted.execute(
        "insert into mastery.parameters (model, document, diagnostics, note, checksum) "
        "values ('bkt', '{}', '{}', '', 1)"
    )
    first = await noted.fetchval("select version from mastery.parameters")
    assert await is_as_left(noted, "migrations")

    await empty_tables(noted)

    assert await noted.fetchval("select count(*) from mastery.learners") == 0
    assert await noted.fetchval("select count(*) from mastery.parameters") == 0
    assert await noted.fetchval("select nextval('mastery.parameters_version')") == first
    await leave_note(noted, "migrations")
    assert await is_as_left(noted, "migrations")
