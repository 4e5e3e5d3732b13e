"""The database's schema, brought up and taken back, with the ledger of the Supabase CLI.

What is applied stands in ``supabase_migrations.schema_migrations``, so that this and
``supabase db push`` take turns without harm.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import asyncpg

from workers.common.errors import LedgerUnavailable, MigrationError
from workers.common.jitter import jittered_sleep
from workers.common.postgres_dsn import Address, address
from workers.ledger.schema.schema_files import MigrationFile, migration_files
from workers.ledger.sql.pooler import Way, way
from workers.ledger.sql.sqlstate import ledger_error

OURS: Final = "mastery_"
"""Beginning of the names of our migrations; other names in the table belong to other programs."""

# "mastery" in ASCII: whoever migrates this schema holds this advisory lock.
_LOCK: Final = int.from_bytes(b"mastery", "big")
_LOCK_RETRY_S: Final = 0.1
_TABLE_LOCK: Final = "2s"
"""So long a migration waits for a table that is in use, and lets all others wait behind it."""
_TABLES_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

_CREATE_LEDGER: Final = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_RECORD: Final = """
insert into supabase_migrations.schema_migrations (version, statements, name) values ($1, $2, $3)
"""
_FORGET: Final = "delete from supabase_migrations.schema_migrations where version = $1"
_STORE_CLAIM: Final = """
insert into mastery.settings as s (name, value) values ('jwt_tenant_claim', $1)
on conflict (name) do update set value = excluded.value where s.value <> excluded.value
"""

_POOLED: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
_NEEDS_SESSION: Final = (
    "migrations need a direct connection or a session pooler (port 5432), "
    "for their lock lasts a session: set DATABASE_URL to one"
)

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A migration, and whether the database has it."""

    version: str
    name: str
    applied: bool


class Migrations:
    """Brings a database's schema up and takes it back.

    Every method raises `LedgerUnavailable` if the database can't be reached and `MigrationError`
    for all else: what the database has does not fit the files, it refuses a statement, or the
    connection is one on which migrations can't run.

    Args:
        dsn: a direct or session connection; a transaction pooler can't hold the lock.
        jwt_tenant_claim: dotted path of the claim that names the tenant, stored after each `up`
            for row level security.
        files: the migrations, oldest first; by default those of this program.
        connect_timeout_s: limit of connecting, seconds.
        lock_timeout_s: how long to wait for another process that migrates, and how long to try a
            migration again whose tables are in use, seconds.
    """

    def __init__(
        self,
        dsn: str,
        *,
        jwt_tenant_claim: str = "tenant_id",
        files: Sequence[MigrationFile] | None = None,
        connect_timeout_s: float = 15.0,
        lock_timeout_s: float = 60.0,
    ) -> None:
        self._dsn = dsn
        self._jwt_tenant_claim = jwt_tenant_claim
        self._files = tuple(migration_files() if files is None else files)
        self._connect_timeout_s = connect_timeout_s
        self._lock_timeout_s = lock_timeout_s

    async def up(self, target: str | None = None) -> list[str]:
        """Apply what is pending, each file in a transaction of its own.

        Args:
            target: the last version to apply; by default the newest.

        Returns:
            The versions applied, oldest first.
        """
        last = len(self._files) if target is None else self._position(target)
        done = []
        async with self._locked() as connection:
            await connection.execute(_CREATE_LEDGER)
            for file in self._files[len(await self._applied(connection)) : last]:
                await self._apply(connection, file)
                done.append(file.version)
            if await connection.fetchval("select to_regclass('mastery.settings')"):
                await connection.execute(_STORE_CLAIM, self._jwt_tenant_claim)
        return done

    async def down(self, steps: int = 1, *, target: str | None = None) -> list[str]:
        """Take back what was applied, newest first, with the data it holds.

        Args:
            steps: how many to take back, at least 1.
            target: instead of `steps`, the version that is to be the newest; ``"0"`` for none.

        Returns:
            The versions taken back, newest first.
        """
        if steps < 1:
            raise MigrationError(f"steps is {steps}: take back 1 or more")
        keep = None if target is None else 0 if target == "0" else self._position(target)
        done = []
        async with self._locked() as connection:
            applied = await self._applied(connection)
            first = max(len(applied) - steps, 0) if keep is None else keep
            for file in reversed(applied[first:]):
                await self._take_back(connection, file)
                done.append(file.version)
        return done

    async def history(self) -> list[HistoryEntry]:
        """All migrations of this program, oldest first."""
        count = len(await self._read())
        return [
            HistoryEntry(file.version, file.name, applied=place < count)
            for place, file in enumerate(self._files)
        ]

    async def current(self) -> str | None:
        """The newest version applied; None for an empty database."""
        applied = await self._read()
        return applied[-1].version if applied else None

    async def pending(self) -> list[str]:
        """The versions not yet applied, oldest first."""
        return [file.version for file in self._files[len(await self._read()) :]]

    async def _read(self) -> tuple[MigrationFile, ...]:
        async with self._connection() as connection:
            return await self._applied(connection)

    def _position(self, version: str) -> int:
        for place, file in enumerate(self._files, start=1):
            if file.version == version:
                return place
        known = ", ".join(file.version for file in self._files)
        raise MigrationError(f"there is no migration {version}; known are {known}")

    async def _applied(self, connection: "Connection") -> tuple[MigrationFile, ...]:
        if not await connection.fetchval(
            "select to_regclass('supabase_migrations.schema_migrations')"
        ):
            return ()
        rows = await connection.fetch(
            "select version, to_jsonb(m) ->> 'name' as name "
            'from supabase_migrations.schema_migrations m order by version collate "C"'
        )
        known = {file.version for file in self._files}
        # A Supabase project keeps its own migrations in the same table.
        recorded = {
            str(row["version"]): row["name"]
            for row in rows
            if row["version"] in known or (row["name"] or "").startswith(OURS)
        }
        if unknown := [version for version in recorded if version not in known]:
            raise MigrationError(
                f"the database has migrations that this program does not know "
                f"({', '.join(unknown)}): {_origin_of(unknown, known)}"
            )
        applied = self._files[: len(recorded)]
        for file, version in zip_longest(applied, recorded):
            if file.version != version:
                raise MigrationError(
                    f"{file} is not applied, while the newer {version} is: the order is broken; "
                    "take back the newer ones or apply the missing one by hand"
                )
            if recorded[version] not in (None, file.name):
                raise MigrationError(
                    f"version {version} is applied as {recorded[version]!r}, but the file is "
                    f"{file}: the order or the names of the files were changed; restore them"
                )
        return applied

    async def _apply(self, connection: "Connection", file: MigrationFile) -> None:
        with _failing(f"migration {file} failed and was rolled back"):
            await self._once_free(connection, file.up, _RECORD, file.version, [file.up], file.name)

    async def _take_back(self, connection: "Connection", file: MigrationFile) -> None:
        if file.down is None:
            raise MigrationError(f"{file} has no rollback")
        with _failing(f"the rollback of {file} failed and changed nothing"):
            await self._once_free(connection, file.down, _FORGET, file.version)

    async def _once_free(
        self, connection: "Connection", script: str, note: str, *arguments: object
    ) -> None:
        """Run a script and its note in one transaction; again while its tables are in use.

        A lock on a table that is waited for holds up everybody who comes later: so it is given up
        soon, and tried again when those who were held up have had their turn.
        """
        deadline = asyncio.get_running_loop().time() + self._lock_timeout_s
        while True:
            try:
                async with connection.transaction():
                    await connection.execute(f"set local lock_timeout = '{_TABLE_LOCK}'")
                    await connection.execute(script)
                    await connection.execute(note, *arguments)
            except _TABLES_BUSY:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await jittered_sleep(10 * _LOCK_RETRY_S, least=0.1)
            else:
                return

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["Connection"]:
        dsn, pooled = _address(self._dsn)
        if pooled:
            raise MigrationError(f"DATABASE_URL is a transaction pooler: {_NEEDS_SESSION}")
        with _failing("the database refuses"):
            if await way(dsn, self._connect_timeout_s) is Way.TRANSACTION_POOLER:
                raise MigrationError(
                    f"a transaction pooler answers at DATABASE_URL: {_NEEDS_SESSION}"
                )
            connection = await asyncpg.connect(
                dsn,
                timeout=self._connect_timeout_s,
                server_settings={"application_name": "mastery-migrate"},
            )
            try:
                yield connection
            finally:
                # Releases the lock too, whatever state the connection is in.
                with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                    await connection.close(timeout=self._connect_timeout_s)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator["Connection"]:
        async with self._connection() as connection:
            deadline = asyncio.get_running_loop().time() + self._lock_timeout_s
            # Tried again and again, for a wait inside Postgres could not be given up cleanly.
            while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
                if asyncio.get_running_loop().time() > deadline:
                    raise LedgerUnavailable(
                        f"another process has been migrating for {self._lock_timeout_s:g} s"
                    )
                await asyncio.sleep(_LOCK_RETRY_S)
            yield connection


def _origin_of(unknown: Sequence[str], known: Collection[str]) -> str:
    """Say where versions come from that no file of this program has, and what to do about them."""
    if min(unknown) > max(known, default=""):
        return "the database is newer than this program; update the program"
    return (
        "they come from a development version, before the schema had a baseline, and can't be "
        "upgraded; take them back with `mastery migrate down --to 0` of the version that applied "
        "them, or use an empty database. Either way the data are lost: export first what you need"
    )


def _address(dsn: str) -> Address:
    try:
        return address(dsn)
    except ValueError as error:
        raise MigrationError(f"DATABASE_URL can't be used: {error}; correct it") from None


@contextmanager
def _failing(action: str) -> Iterator[None]:
    """Map asyncpg's errors; `action` begins the message of a refusal."""
    try:
        yield
    except asyncpg.ClientConfigurationError as error:
        raise MigrationError(f"DATABASE_URL can't be used: {error}") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise LedgerUnavailable(str(error) or type(error).__name__) from error
    except _POOLED as error:
        raise MigrationError(f"{action}: {error}; {_NEEDS_SESSION}") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"{action}: {error}; migrate as the owner of the database (on Supabase: postgres)"
        ) from error
    except asyncpg.PostgresError as error:
        meaning = ledger_error(error.sqlstate or "no state", str(error))
        if isinstance(meaning, LedgerUnavailable):
            raise meaning from error
        raise MigrationError(f"{action}: {error} (SQLSTATE {error.sqlstate})") from error
