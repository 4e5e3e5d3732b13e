"""The ledger behind a pooler that has no room, or hands on what others left behind."""

import asyncpg
import pytest

from tests.support.pooler import pooled
from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.common.retrying import Retrying
from workers.ledger.sql.direct import DirectLedger

FAILING = """
create or replace function public.mastery_values(jsonb) returns json language plpgsql as $$
begin raise exception 'as a pooler says' using errcode = '{state}'; end $$
"""


@pytest.mark.parametrize(
    "message",
    [
        "MaxClientsInSessionMode: max clients reached",
        "Timeout waiting for a connection to the database",
        "Circuit breaker open: too many failed attempts",
    ],
)
async def test_given_a_pooler_without_room_then_the_ledger_waits_for_it(
    database_url: str, message: str
) -> None:
    async with pooled(database_url) as (pooler, url):
        ledger = DirectLedger(url)
        pooler.message = message
        pooler.refusals = 1
        with pytest.raises(LedgerUnavailable, match=message):
            await ledger.ping()

        pooler.refusals = 3
        retrying = Retrying(first_s=0.01)
        await retrying.call(ledger.ping)
        assert pooler.refusals == 0
        await ledger.close()


async def test_given_a_pooler_that_knows_no_such_user_then_it_is_refused(
    database_url: str,
) -> None:
    async with pooled(database_url) as (pooler, url):
        ledger = DirectLedger(url)
        pooler.sqlstate, pooler.message, pooler.refusals = "28P01", "no such user", 1
        with pytest.raises(LedgerRefused, match="correct user and password"):
            await ledger.ping()
        await ledger.close()


async def test_given_a_project_that_the_pooler_does_not_know_then_it_is_refused(
    database_url: str,
) -> None:
    async with pooled(database_url) as (pooler, url):
        ledger = DirectLedger(url)
        pooler.sqlstate, pooler.message, pooler.refusals = "XX000", "Tenant or user not found", 1
        with pytest.raises(LedgerRefused, match=r"postgres\.PROJECT"):
            await ledger.ping()
        await ledger.close()


@pytest.mark.parametrize("state", ["XX000", "25P02", "0A000"])
async def test_given_a_passing_state_of_the_server_then_it_is_unavailable(
    database_url: str, state: str
) -> None:
    ledger = DirectLedger(database_url)
    admin = await asyncpg.connect(database_url)
    try:
        original = await admin.fetchval(
            "select pg_get_functiondef('public.mastery_values(jsonb)'::regprocedure)"
        )
        await admin.execute(FAILING.format(state=state))
        with pytest.raises(LedgerUnavailable, match=state):
            await ledger.ping()
        await admin.execute(original)
        await ledger.ping()
    finally:
        await admin.close()
        await ledger.close()
