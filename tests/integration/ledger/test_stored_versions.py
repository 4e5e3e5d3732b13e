"""The tables of versions on a real Postgres: append-only, checked, no number used twice."""

import asyncpg
import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import commit_of, record
from tests.support.servers import Supabase
from workers.common.errors import LedgerRefused, ParametersRefused
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.ledger.exchange import Touched
from workers.ledger.schema.migrations import Migrations
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger

MIGRATION = "20261126140000"


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update mastery.parameters set note = 'another'",
        "delete from mastery.parameters",
        "truncate mastery.parameters",
    ],
)
async def test_given_a_version_when_somebody_changes_its_row_then_the_database_refuses(
    database_url: str, statement: str
) -> None:
    ledger = DirectLedger(database_url)
    try:
        await ledger.store("bkt", {}, {}, "mine")
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await execute(database_url, statement)
    finally:
        await ledger.close()


async def test_given_an_altered_document_when_read_then_it_is_refused_with_the_remedy(
    database_url: str,
) -> None:
    ledger = DirectLedger(database_url)
    try:
        version = await ledger.store("bkt", {"default": {"guess": 0.2}}, {}, "mine")
        await execute(
            database_url,
            "alter table mastery.parameters disable trigger append_only; update mastery.parameters "
            "set document = jsonb_set(document, '{default,guess}', '0.21')",
        )
        with pytest.raises(ParametersRefused, match=f"version {version} .*restore its row"):
            await ledger.version(version)
    finally:
        await ledger.close()


async def test_given_versions_taken_back_with_the_schema_when_made_anew_then_no_number_is_reused(
    database_url: str,
) -> None:
    key = LearnerKey("t", "s")
    ledger = DirectLedger(database_url)
    try:
        version = await ledger.store("bkt", {}, {}, "the first")
        await ledger.activate(version, "now")
        (loaded,) = await ledger.load([Touched(key, [answer(1)], version)])
        new = Parameters(version=version)
        (folded,) = fold([FoldTask(key, loaded.learner, [answer(1)])], new)
        await ledger.commit([commit_of(folded)])

        migrations = Migrations(database_url)
        while (await migrations.current() or "") >= MIGRATION:
            await migrations.down()
        await migrations.up()

        assert await ledger.active_version() == 1
        assert await ledger.store("bkt", {}, {}, "another") > version
        assert [one.key for one in await ledger.outdated()] == [key]
    finally:
        await ledger.close()


async def test_given_the_service_role_when_it_writes_the_tables_itself_then_only_as_the_engine_does(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
    try:
        await ledger.store("bkt", {}, {}, "mine")
        await record(ledger, LearnerKey("t", "s"), [answer(1)])
        connection = await asyncpg.connect(supabase.database_url)
        try:
            for statement in (
                "update mastery.parameters set note = ''",
                "delete from mastery.active_parameters",
            ):
                async with connection.transaction():
                    await connection.execute("set local role service_role")
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        async with connection.transaction():
                            await connection.execute(statement)
        finally:
            await connection.close()
    finally:
        await ledger.close()


async def test_given_an_older_schema_when_asked_for_versions_then_the_remedy_is_to_migrate(
    database_url: str,
) -> None:
    migrations = Migrations(database_url)
    while (await migrations.current() or "") >= MIGRATION:
        await migrations.down()
    ledger = DirectLedger(database_url)
    try:
        with pytest.raises(LedgerRefused, match="mastery migrate up"):
            await ledger.active_version()
    finally:
        await ledger.close()
