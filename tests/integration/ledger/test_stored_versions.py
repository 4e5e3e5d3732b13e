"""The tables of versions on a real Postgres: append-only, checked, no number used twice."""

import asyncpg
import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import record
from tests.support.servers import Supabase
from workers.common.errors import LedgerRefused, ParametersRefused
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger

KEY = LearnerKey("t", "s")


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
async def test_given_a_version_when_its_row_is_changed_then_the_database_refuses(
    database_url: str, statement: str
) -> None:
    ledger = DirectLedger(database_url)
    try:
        await ledger.store("bkt", {}, {}, "mine")
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await execute(database_url, statement)
    finally:
        await ledger.close()


async def test_given_an_altered_document_when_read_then_the_remedy_is_named(
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


async def test_given_the_service_role_then_direct_writes_must_match_the_engine(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
    try:
        await ledger.store("bkt", {}, {}, "mine")
        await record(ledger, KEY, [answer(1)])
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


async def test_given_no_schema_when_asked_then_the_remedy_is_to_migrate(
    empty_database_url: str,
) -> None:
    ledger = DirectLedger(empty_database_url)
    try:
        for ask in (ledger.active_version, ledger.ping, lambda: ledger.stored([KEY])):
            with pytest.raises(LedgerRefused, match="mastery migrate up"):
                await ask()
    finally:
        await ledger.close()
