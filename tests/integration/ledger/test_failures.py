"""Failures of real servers: the worker waits or stops with a remedy, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import assert_stored, commit, folded, load, record
from tests.support.servers import Supabase
from workers.common.errors import LedgerRefused, LedgerUnavailable
from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Committed
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger

KEY = LearnerKey("school-7", "student-42")


@asynccontextmanager
async def locked(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that holds the learner's lock meanwhile, so that a commit has to wait."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("select from mastery.learners for update")
            yield connection
    finally:
        await connection.close()


async def waiting(connection: "asyncpg.Connection[asyncpg.Record]") -> list[int]:
    """The backends of this database that wait for a lock; there is at least one."""
    async with asyncio.timeout(30):
        while True:
            # A transaction sees its backends as they were when it first looked, unless told.
            await connection.execute("select pg_stat_clear_snapshot()")
            rows = await connection.fetch(
                "select pid from pg_stat_activity "
                "where datname = current_database() and wait_event_type = 'Lock'"
            )
            if rows:
                return [row["pid"] for row in rows]
            await asyncio.sleep(0.01)


async def ours(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database() "
                "and application_name = 'mastery-engine'"
            )
        )
    finally:
        await connection.close()


async def test_given_a_backend_killed_in_a_commit_then_it_is_away_and_recovers(
    database_url: str,
) -> None:
    ledger = DirectLedger(database_url)
    await record(ledger, KEY, [answer(1)])
    made = folded(KEY, await load(ledger, KEY, [answer(2)]), [answer(2)])
    async with locked(database_url) as other:
        committing = asyncio.create_task(commit(ledger, made))
        for pid in await waiting(other):
            await other.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(LedgerUnavailable):
            await committing

    (again,) = await commit(ledger, made)

    assert isinstance(again, Committed)
    await assert_stored(ledger, KEY, [answer(1), answer(2)])
    await ledger.close()


async def test_given_a_slow_commit_then_the_ledger_is_unavailable_and_recovers(
    database_url: str,
) -> None:
    ledger = DirectLedger(database_url, timeout_s=0.5)
    await record(ledger, KEY, [answer(1)])
    made = folded(KEY, await load(ledger, KEY, [answer(2)]), [answer(2)])
    async with locked(database_url):
        with pytest.raises(LedgerUnavailable):
            await commit(ledger, made)

    (again,) = await commit(ledger, made)

    # Whether the cancelling or the lock's end came first, is the server's to say.
    known = (await load(ledger, KEY, [answer(2)])).recorded
    assert isinstance(again, Committed) or answer(2).response_id in known
    await assert_stored(ledger, KEY, [answer(1), answer(2)])
    await ledger.close()


async def test_given_a_close_during_a_call_then_the_call_ends_with_nothing_left(
    database_url: str,
) -> None:
    ledger = DirectLedger(database_url)
    await record(ledger, KEY, [answer(1)])
    made = folded(KEY, await load(ledger, KEY, [answer(2)]), [answer(2)])
    async with locked(database_url) as other:
        committing = asyncio.create_task(commit(ledger, made))
        await waiting(other)
        await ledger.close()
        with pytest.raises(LedgerUnavailable):
            await committing


async def test_given_concurrent_first_calls_then_one_pool_opens_and_closes(
    database_url: str,
) -> None:
    ledger = DirectLedger(database_url, connections=2)

    await asyncio.gather(*(ledger.ping() for _ in range(20)))

    assert 1 <= await ours(database_url) <= 2
    await ledger.close()
    async with asyncio.timeout(30):
        while await ours(database_url):
            await asyncio.sleep(0.02)
    await ledger.ping()  # opened again when it is needed
    await ledger.close()


async def test_given_a_database_without_the_schema_then_the_remedy_is_to_migrate(
    empty_database_url: str,
) -> None:
    ledger = DirectLedger(empty_database_url)
    with pytest.raises(LedgerRefused, match="mastery migrate up"):
        await ledger.ping()
    with pytest.raises(LedgerRefused, match="mastery migrate up"):
        await ledger.load([])
    await ledger.close()


async def test_given_a_wrong_password_then_it_is_said_and_the_password_is_not(
    database_url: str,
) -> None:
    parts = urlsplit(database_url)
    wrong = parts._replace(netloc=f"{parts.username}:not-this@{parts.hostname}:{parts.port}")
    ledger = DirectLedger(wrong.geturl())
    with pytest.raises(LedgerRefused, match="correct user and password") as failure:
        await ledger.ping()
    assert "not-this" not in str(failure.value)
    await ledger.close()


async def test_given_a_missing_database_then_the_remedy_is_to_create_it(
    database_url: str,
) -> None:
    ledger = DirectLedger(urlsplit(database_url)._replace(path="/nowhere").geturl())
    with pytest.raises(LedgerRefused, match=r"nowhere.*create the database"):
        await ledger.ping()
    await ledger.close()


async def test_given_a_user_without_grants_then_the_remedy_names_the_user(
    database_url: str,
) -> None:
    admin = await asyncpg.connect(database_url)
    name = f"nobody_{urlsplit(database_url).path[-12:]}"
    await admin.execute(f"create role {name} login password 'pw'")
    parts = urlsplit(database_url)
    ledger = DirectLedger(
        parts._replace(netloc=f"{name}:pw@{parts.hostname}:{parts.port}").geturl()
    )
    try:
        with pytest.raises(LedgerRefused, match="service role's key, or a database user"):
            await ledger.ping()
    finally:
        await ledger.close()
        await admin.execute(f"drop role {name}")
        await admin.close()


@pytest.mark.parametrize("key", ["sb_secret_wrong", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])
async def test_given_a_wrong_key_then_supabase_refuses_and_the_key_is_not_told(
    supabase: Supabase, key: str
) -> None:
    ledger = PostgrestLedger(supabase.url, key)
    with pytest.raises(LedgerRefused, match=r"SUPABASE_SERVICE_ROLE_KEY|service role's key") as e:
        await ledger.ping()
    assert key not in str(e.value)
    await ledger.close()


async def test_given_the_publishable_key_then_supabase_refuses(supabase: Supabase) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.publishable_key)
    with pytest.raises(LedgerRefused, match="service role's key"):
        await ledger.ping()
    await ledger.close()


async def test_given_an_expired_key_then_supabase_refuses(supabase: Supabase) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.mint("x", role="service_role", exp=1))
    with pytest.raises(LedgerRefused, match="SUPABASE_SERVICE_ROLE_KEY"):
        await ledger.ping()
    await ledger.close()


async def test_given_a_url_that_is_no_project_then_the_remedy_is_the_url(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(f"{supabase.url}/elsewhere", supabase.service_role_key)
    with pytest.raises((LedgerRefused, LedgerUnavailable), match="SUPABASE_URL"):
        await ledger.ping()
    await ledger.close()


async def test_given_a_lock_over_rest_then_it_is_unavailable_and_goes_on(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key, timeout_s=1.0)
    await record(ledger, KEY, [answer(1)])
    made = folded(KEY, await load(ledger, KEY, [answer(2)]), [answer(2)])
    async with locked(supabase.database_url):
        with pytest.raises(LedgerUnavailable):
            await commit(ledger, made)

    (again,) = await commit(ledger, made)

    # PostgREST may have gone on with the first one after we hung up: then it is known.
    known = (await load(ledger, KEY, [answer(2)])).recorded
    assert isinstance(again, Committed) or answer(2).response_id in known
    await assert_stored(ledger, KEY, [answer(1), answer(2)])
    await ledger.close()


async def test_given_a_backend_killed_over_rest_then_it_is_away_and_recovers(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
    await record(ledger, KEY, [answer(1)])
    made = folded(KEY, await load(ledger, KEY, [answer(2)]), [answer(2)])
    async with locked(supabase.database_url) as other:
        committing = asyncio.create_task(commit(ledger, made))
        for pid in await waiting(other):
            await other.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(LedgerUnavailable):
            await committing

    async with asyncio.timeout(10):
        while True:
            try:
                await commit(ledger, made)
            except LedgerUnavailable:
                await asyncio.sleep(0.1)
            else:
                break
    await assert_stored(ledger, KEY, [answer(1), answer(2)])
    await ledger.close()


async def test_given_concurrent_first_calls_over_rest_then_one_client_opens(
    supabase: Supabase,
) -> None:
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
    await asyncio.gather(*(ledger.ping() for _ in range(10)))
    await ledger.close()
    await ledger.ping()
    await ledger.close()
