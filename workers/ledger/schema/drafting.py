"""Drafts the next migration: what changed in `supabase/schemas` since the newest migration.

Both are made in scratch databases and compared there.
"""

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from workers.common.errors import MigrationError
from workers.ledger.schema.catalogue import Catalogue, read_catalogue, table_differences
from workers.ledger.schema.embedded import EmbeddedPostgres
from workers.ledger.schema.migrations import OURS, Migrations
from workers.ledger.schema.schema_files import MigrationFile, migration_files, schema_directory
from workers.ledger.schema.statements import changes, script

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_NAME: Final = re.compile(r"[a-z0-9_]+")
_VERSION: Final = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted migration.

    Args:
        files: what was written: the migration and, if it was drafted too, its rollback.
        changed: the objects that it changes.
        by_hand: what differs between the tables, to be written by hand.
    """

    files: tuple[Path, ...]
    changed: tuple[str, ...]
    by_hand: tuple[str, ...]


async def draft(
    name: str, directory: Path | None = None, *, server: str | None = None
) -> Draft | None:
    """Write the migration, and its rollback, that bring the migrations up to the schema files.

    The very first migration is the schema files one after the other; its rollback is written by
    hand.

    Args:
        name: what the migration does: small letters, digits and underscores.
        directory: holds `schemas`, `migrations` and `rollbacks`; by default that of this checkout.
        server: DSN of a Postgres on which databases may be created; by default an embedded one.

    Returns:
        The draft; None if the migrations give what the schema files say.

    Raises:
        MigrationError: there are no schema files, the name is wrong, or Postgres refuses a file.
    """
    base = directory or schema_directory()
    if not (base / "schemas").is_dir():
        raise MigrationError(
            f"no schema files in {base}: an installed package has none. "
            "Run `mastery migrate draft` in a checkout of the repository"
        )
    if not _NAME.fullmatch(name):
        raise MigrationError(f"{name!r}: a name has small letters, digits and underscores only")
    files = migration_files(base)
    file_name = f"{_next_version(files)}_{OURS}{name.removeprefix(OURS)}.sql"
    if not files:
        written = _write(base / "migrations" / file_name, _whole_schema(base))
        return Draft((written,), ("everything",), ())
    async with _server(server) as dsn:
        before = await _catalogue_of_migrations(dsn, files)
        after = await _catalogue_of_schema_files(dsn, base)
    changed, by_hand = changes(before, after), table_differences(before, after)
    if not (changed or by_hand):
        return None
    migration = f"-- Changes {', '.join(changed) or 'tables'}.\n\n{script(before, after)}"
    rollback = f"-- Takes back {file_name}.\n\n{script(after, before)}"
    written_files = (
        _write(base / "migrations" / file_name, migration),
        _write(base / "rollbacks" / file_name, rollback),
    )
    return Draft(written_files, tuple(changed), tuple(by_hand))


def schema_files(directory: Path) -> tuple[Path, ...]:
    """List the schema files in the order in which they are applied: by name."""
    return tuple(sorted((directory / "schemas").glob("*.sql")))


async def _catalogue_of_migrations(dsn: str, files: tuple[MigrationFile, ...]) -> Catalogue:
    async with _scratch_database(dsn) as (own_dsn, connection):
        await Migrations(own_dsn, files=files).up()
        return await read_catalogue(connection)


async def _catalogue_of_schema_files(dsn: str, directory: Path) -> Catalogue:
    async with _scratch_database(dsn) as (_, connection):
        for file in schema_files(directory):
            try:
                await connection.execute(file.read_text(encoding="utf-8"))
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{file}: {error} (SQLSTATE {error.sqlstate})") from error
        return await read_catalogue(connection)


@asynccontextmanager
async def _server(dsn: str | None) -> AsyncIterator[str]:
    if dsn is not None:
        yield dsn
        return
    async with EmbeddedPostgres() as postgres:
        yield postgres.dsn


@asynccontextmanager
async def _scratch_database(dsn: str) -> AsyncIterator[tuple[str, "Connection"]]:
    name = f"{OURS}draft_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(f"create database {name} template template0 strategy file_copy")
        own_dsn = urlsplit(dsn)._replace(path=f"/{name}").geturl()
        connection = await asyncpg.connect(own_dsn)
        try:
            yield own_dsn, connection
        finally:
            await connection.close()
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


def _whole_schema(base: Path) -> str:
    texts = [file.read_text(encoding="utf-8").strip() for file in schema_files(base)]
    return "\n\n".join([*texts, "notify pgrst, 'reload schema';"]) + "\n"


def _next_version(files: tuple[MigrationFile, ...]) -> str:
    now = datetime.now(UTC).strftime(_VERSION)
    if not files or now > files[-1].version:
        return now
    newest = datetime.strptime(files[-1].version, _VERSION).replace(tzinfo=UTC)
    return (newest + timedelta(seconds=1)).strftime(_VERSION)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
