import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.support.postgres_connections import connected, embedded_database, value
from workers.common.errors import LedgerUnavailable, MigrationError
from workers.ledger.schema import migrations
from workers.ledger.schema.embedded import EmbeddedPostgres
from workers.ledger.schema.migrations import HistoryEntry, Migrations
from workers.ledger.schema.schema_files import MigrationFile

FIRST = MigrationFile("20260101000000", "first", "create table one (a int)", "drop table one")
SECOND = MigrationFile("20260102000000", "second", "create table two (a int)", "drop table two")
THIRD = MigrationFile("20260103000000", "third", "create table three (a int)", None)
FILES = (FIRST, SECOND, THIRD)
NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:1/postgres"


_EMPTY = """
set client_min_messages = warning;
drop schema if exists mastery, supabase_migrations cascade;
drop schema public cascade; create schema public; grant usage on schema public to public;
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(embedded_postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    async with embedded_database(embedded_postgres, migrated=False) as dsn:
        yield dsn


@pytest.fixture
async def dsn(database: str) -> str:
    """A database without any migration."""
    async with connected(database) as connection:
        await connection.execute(_EMPTY)
    return database


# Up and down


async def test_given_an_empty_database_when_up_then_all_is_applied_and_recorded(
    dsn: str,
) -> None:
    runner = Migrations(dsn, files=FILES)
    assert await runner.current() is None
    assert await runner.pending() == [f.version for f in FILES]
    assert await runner.up() == [f.version for f in FILES]
    assert await runner.current() == THIRD.version
    assert await runner.pending() == []
    assert await runner.up() == []
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "select version, name, statements from supabase_migrations.schema_migrations order by 1"
        )
    assert [tuple(row) for row in rows] == [(f.version, f.name, [f.up]) for f in FILES]


async def test_given_no_ledger_when_only_asked_then_nothing_is_created(dsn: str) -> None:
    runner = Migrations(dsn, files=FILES)
    assert await runner.history() == [HistoryEntry(f.version, f.name, applied=False) for f in FILES]
    assert await value(dsn, "select to_regnamespace('supabase_migrations')") is None


async def test_given_a_target_when_up_then_what_is_newer_stays_pending(dsn: str) -> None:
    runner = Migrations(dsn, files=FILES)
    assert await runner.up(SECOND.version) == [FIRST.version, SECOND.version]
    assert await runner.pending() == [THIRD.version]
    assert [entry.applied for entry in await runner.history()] == [True, True, False]
    assert await runner.up(FIRST.version) == []


async def test_given_an_unknown_target_when_up_then_the_known_ones_are_named(dsn: str) -> None:
    with pytest.raises(MigrationError, match=f"known are {FIRST.version}"):
        await Migrations(dsn, files=FILES).up("20200101000000")


async def test_given_two_applied_when_one_step_down_then_the_newest_is_gone(dsn: str) -> None:
    runner = Migrations(dsn, files=FILES[:2])
    await runner.up()
    assert await runner.down() == [SECOND.version]
    assert await runner.current() == FIRST.version
    assert await value(dsn, "select to_regclass('public.two')") is None
    assert await runner.down(5) == [FIRST.version]
    assert await runner.down() == []


async def test_given_a_target_when_down_then_it_is_the_newest_that_stays(dsn: str) -> None:
    runner = Migrations(dsn, files=FILES[:2])
    await runner.up()
    assert await runner.down(target=FIRST.version) == [SECOND.version]
    assert await runner.down(target="0") == [FIRST.version]


async def test_given_no_rollback_when_down_then_nothing_changes(dsn: str) -> None:
    runner = Migrations(dsn, files=FILES)
    await runner.up()
    with pytest.raises(MigrationError, match="20260103000000_third has no rollback"):
        await runner.down()
    assert await runner.current() == THIRD.version


async def test_given_less_than_one_step_when_down_then_it_is_refused() -> None:
    with pytest.raises(MigrationError, match="steps is 0"):
        await Migrations(NOBODY_LISTENS, files=FILES).down(0)


async def test_given_a_failing_file_when_up_then_it_alone_is_rolled_back(dsn: str) -> None:
    broken = MigrationFile("20260104000000", "broken", "create table b (a int); selec 1", None)
    runner = Migrations(dsn, files=(FIRST, broken))
    with pytest.raises(MigrationError, match=r"20260104000000_broken failed.*selec.*42601"):
        await runner.up()
    assert await runner.current() == FIRST.version
    assert await value(dsn, "select to_regclass('public.b')") is None


async def test_given_a_failing_rollback_when_down_then_it_changes_nothing(dsn: str) -> None:
    file = MigrationFile("20260104000000", "x", "create table x (a int)", "drop table x; selec 1")
    runner = Migrations(dsn, files=(file,))
    await runner.up()
    with pytest.raises(MigrationError, match=r"rollback of 20260104000000_x failed"):
        await runner.down()
    assert await runner.current() == file.version
    assert await value(dsn, "select to_regclass('public.x')") == "x"


async def test_given_several_workers_up_at_once_then_each_file_is_applied_once(
    dsn: str,
) -> None:
    results = await asyncio.gather(*(Migrations(dsn, files=FILES).up() for _ in range(5)))
    assert sorted(version for done in results for version in done) == [f.version for f in FILES]


async def test_given_another_slow_migration_when_up_then_it_asks_to_try_again(
    dsn: str,
) -> None:
    async with connected(dsn) as other:
        await other.fetchval("select pg_advisory_lock($1)", migrations._LOCK)
        with pytest.raises(LedgerUnavailable, match=r"has been migrating for 0\.2 s"):
            await Migrations(dsn, files=FILES, lock_timeout_s=0.2).up()
        assert await value(dsn, "select to_regnamespace('supabase_migrations')") is None


# The tenant's claim


@pytest.mark.parametrize("pending", [True, False])
async def test_given_a_tenant_claim_when_up_then_the_database_knows_it(
    dsn: str, pending: bool
) -> None:
    if not pending:
        await Migrations(dsn).up()
    await Migrations(dsn, jwt_tenant_claim="app.school").up()
    stored = "select value from mastery.settings where name = 'jwt_tenant_claim'"
    assert await value(dsn, stored) == "app.school"


# A ledger that does not fit


async def recorded(dsn: str, *rows: tuple[str, str | None]) -> Migrations:
    async with connected(dsn) as connection:
        await connection.execute(migrations._CREATE_LEDGER)
        for version, name in rows:
            await connection.execute(migrations._RECORD, version, None, name)
    return Migrations(dsn, files=FILES)


async def test_given_migrations_of_another_program_then_they_are_left_alone(
    dsn: str,
) -> None:
    runner = await recorded(dsn, ("20200101000000", "accounts"), ("20990101000000", None))
    assert await runner.current() is None
    assert await runner.up() == [file.version for file in runner._files]


async def test_given_a_newer_database_when_up_then_unknown_versions_are_named(
    dsn: str,
) -> None:
    runner = await recorded(dsn, (FIRST.version, "first"), ("20990101000000", "mastery_future"))
    for ask in (runner.up, runner.down, runner.history, runner.current, runner.pending):
        with pytest.raises(MigrationError, match=r"\(20990101000000\): the database is newer"):
            await ask()


async def test_given_a_development_schema_when_asked_then_the_remedy_is_named(dsn: str) -> None:
    dropped = ("20260102120000", "mastery_dropped")
    runner = await recorded(dsn, (FIRST.version, "first"), dropped, ("20990101000000", "mastery_f"))
    for ask in (runner.up, runner.down, runner.history, runner.current, runner.pending):
        with pytest.raises(
            MigrationError, match=r"20260102120000.*development version.*empty database"
        ):
            await ask()


async def test_given_a_hole_when_up_then_both_ends_are_named(dsn: str) -> None:
    runner = await recorded(dsn, (SECOND.version, "second"))
    with pytest.raises(MigrationError, match=r"first is not applied, while .* 20260102000000 is"):
        await runner.up()


async def test_given_a_renamed_file_when_up_then_it_is_told(dsn: str) -> None:
    runner = await recorded(dsn, (FIRST.version, "zeroth"))
    with pytest.raises(MigrationError, match=r"applied as 'zeroth', but the file is .*_first"):
        await runner.up()


async def test_given_a_cli_ledger_without_names_when_up_then_it_is_completed(
    dsn: str,
) -> None:
    async with connected(dsn) as connection:
        await connection.execute(
            "create schema supabase_migrations; "
            "create table supabase_migrations.schema_migrations (version text primary key)"
        )
        await connection.execute(
            "insert into supabase_migrations.schema_migrations values ($1)", FIRST.version
        )
    runner = Migrations(dsn, files=FILES)
    assert await runner.current() == FIRST.version
    assert await runner.up() == [SECOND.version, THIRD.version]


# Connections


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://postgres.ref:secret@aws.pooler.supabase.com:6543/postgres",
        "postgresql://postgres@/postgres?host=pooler&port=6543",
    ],
)
async def test_given_a_transaction_pooler_then_a_direct_connection_is_asked_for(
    dsn: str,
) -> None:
    with pytest.raises(MigrationError, match="direct connection or a session pooler") as caught:
        await Migrations(dsn, files=FILES).up()
    assert "secret" not in str(caught.value)


async def test_given_no_server_when_asked_then_the_ledger_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailable):
        await Migrations(NOBODY_LISTENS, files=FILES).current()


async def test_given_a_url_that_is_none_when_asked_then_the_setting_is_named() -> None:
    for dsn in ("postgresql://localhost/x?sslmode=nonsense", "postgresql://localhost:x/x"):
        with pytest.raises(MigrationError, match="DATABASE_URL"):
            await Migrations(dsn, files=FILES).current()


async def test_given_a_missing_database_when_asked_then_waiting_does_not_help(
    dsn: str,
) -> None:
    with pytest.raises(MigrationError, match=r"nowhere.*3D000"):
        await Migrations(dsn.replace("@/t", "@/nowhere"), files=FILES).current()


async def test_given_a_role_without_rights_when_up_then_the_owner_is_asked_for(dsn: str) -> None:
    name = f"r{uuid.uuid4().hex}"
    async with connected(dsn) as connection:
        await connection.execute(f"create role {name} login")
    with pytest.raises(MigrationError, match="migrate as the owner of the database"):
        await Migrations(dsn.replace("://postgres:", f"://{name}:"), files=FILES).up()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), LedgerUnavailable),
        (asyncpg.CannotConnectNowError("starting up"), LedgerUnavailable),
        (asyncpg.TooManyConnectionsError("too many"), LedgerUnavailable),
        (asyncpg.AdminShutdownError("bye"), LedgerUnavailable),
        (asyncpg.DeadlockDetectedError("deadlock"), LedgerUnavailable),
        (asyncpg.InterfaceError("connection is closed"), LedgerUnavailable),
        (asyncpg.InternalClientError("protocol"), LedgerUnavailable),
        (ConnectionResetError(), LedgerUnavailable),
        (TimeoutError(), LedgerUnavailable),
        (asyncpg.InvalidPasswordError("wrong password"), MigrationError),
        (asyncpg.DuplicateTableError("exists"), MigrationError),
        (asyncpg.InvalidSQLStatementNameError("no such statement"), MigrationError),
    ],
)
async def test_given_an_error_of_asyncpg_when_connecting_then_it_is_one_of_ours(
    error: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncpg, "connect", connect)
    with pytest.raises(expected) as caught:
        await Migrations(NOBODY_LISTENS, files=FILES).current()
    assert caught.value.__cause__ is error
