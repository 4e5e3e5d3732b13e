"""The real servers of the tests, described in the environment by `.ci/servers.sh start`."""

import asyncio
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import httpx
import jwt
import pytest
from filelock import FileLock, Timeout
from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from tests.support.left_schema import empty_tables, is_as_left, leave_note

_ROOT = Path(__file__).parents[2]
MIGRATIONS = _ROOT / "supabase" / "migrations"
SUPABASE_DATABASE = _ROOT / ".ci" / "servers" / "supabase_database.sql"

# Table in which the Supabase CLI records applied migrations.
_HISTORY = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text primary key, statements text[], name text
);
"""
_RELOAD_S = 60.0


NO_SERVER: Final = "no real server to test with"
"""The reason of each test that is skipped for want of a server."""


def server_variables(*names: str) -> tuple[str, ...]:
    """Return the values of environment variables that name a server.

    If one is missing, the test is skipped; under CI, where all servers run, it fails.
    """
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        reason = (
            f"{', '.join(missing)} not set: {NO_SERVER}. "
            'Start them all with: eval "$(.ci/servers.sh start)"'
        )
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return tuple(os.environ[name] for name in names)


@dataclass(frozen=True)
class Supabase:
    """A project's REST API behind its gateway, and the database below it."""

    url: str
    service_role_key: str
    publishable_key: str
    database_url: str
    jwt_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the engine's settings for this project."""
        return {
            "SUPABASE_URL": self.url,
            "SUPABASE_SERVICE_ROLE_KEY": self.service_role_key,
        }

    def mint(
        self,
        student_id: str,
        tenant_id: str | None = None,
        role: str = "authenticated",
        **claims: Any,
    ) -> str:
        """Return a JWT as the project's auth server would issue it; `claims` overrides any claim.

        The tenant is set both in the engine's default claim and in the database's claim.
        """
        now = int(time.time())
        content: dict[str, Any] = {
            "sub": student_id,
            "iss": f"{self.url}/auth/v1",
            "aud": "authenticated",
            "role": role,
            "iat": now,
            "exp": now + 3600,
        }
        if tenant_id is not None:
            content |= {"tenant_id": tenant_id, "app_metadata": {"tenant_id": tenant_id}}
        return jwt.encode(content | claims, self.jwt_secret, algorithm="HS256")

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """Return a client of the REST API, with a user's token or anonymous."""
        headers = {"apikey": self.publishable_key}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(base_url=f"{self.url}/rest/v1", headers=headers, timeout=30)

    def service_client(self) -> httpx.AsyncClient:
        """Return a client of the REST API with only the service role's key."""
        return httpx.AsyncClient(
            base_url=f"{self.url}/rest/v1", headers={"apikey": self.service_role_key}, timeout=30
        )


@dataclass(frozen=True)
class Neo4j:
    """A Neo4j server and its credentials."""

    uri: str
    username: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """Return the engine's settings for this server."""
        return {
            "NEO4J_URI": self.uri,
            "NEO4J_USERNAME": self.username,
            "NEO4J_PASSWORD": self.password,
        }


def _lock(what: str) -> FileLock:
    """Return a lock on a resource shared by all test sessions of this machine."""
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"mastery-engine-test-{digest}.lock")


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()


@asynccontextmanager
async def exclusive_redis(url: str) -> AsyncIterator[str]:
    """Reserve an empty logical database of a Redis, never number 0, for this test session."""
    async with Redis.from_url(url) as admin:
        count = int((await admin.config_get("databases"))["databases"] or 1)
    while True:
        for number in range(1, count):
            own = _with_path(url, str(number))
            try:
                with _lock(own).acquire(timeout=0):
                    async with Redis.from_url(own) as client:
                        await client.flushdb()
                        try:
                            yield own
                        finally:
                            await client.flushdb()
                    return
            except Timeout:
                continue
        await asyncio.sleep(0.1)


async def apply_migrations(connection: "asyncpg.Connection[Any]") -> None:
    """Apply all migrations in order, and record them as the Supabase CLI does."""
    await connection.execute(_HISTORY)
    for file in sorted(MIGRATIONS.glob("*.sql")):
        version, _, name = file.stem.partition("_")
        sql = file.read_text(encoding="utf-8")
        async with connection.transaction():
            await connection.execute(sql)
            await connection.execute(
                "insert into supabase_migrations.schema_migrations values ($1, $2, $3)",
                version,
                [sql],
                name,
            )


@asynccontextmanager
async def fresh_database(url: str, *, migrated: bool) -> AsyncIterator[str]:
    """Create a database on the server of `url`, and drop it afterwards.

    A migrated one is copied from a template, which is made once for each content of the migrations.
    """
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(url)
    try:
        template = await _template(admin, url) if migrated else "template1"
        await admin.execute(f"create database {name} template {template}")
        try:
            yield _with_path(url, name)
        finally:
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


def _migrations_digest() -> str:
    digest = hashlib.sha256(SUPABASE_DATABASE.read_bytes())
    for file in sorted(MIGRATIONS.glob("*.sql")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


async def _template(admin: "asyncpg.Connection[Any]", url: str) -> str:
    template = f"migrated_{_migrations_digest()[:16]}"
    exists = "select exists (select from pg_database where datname = $1)"
    with _lock(f"{url} {template}"):
        if not await admin.fetchval(exists, template):
            # Under another name until it is complete, so that no session uses half a template.
            building = f"building_{uuid.uuid4().hex}"
            await admin.execute(f"create database {building}")
            connection = await asyncpg.connect(_with_path(url, building))
            try:
                await apply_migrations(connection)
            finally:
                await connection.close()
            await admin.execute(f"alter database {building} rename to {template}")
    return template


@asynccontextmanager
async def exclusive_supabase(project: Supabase) -> AsyncIterator[Supabase]:
    """Reserve the project's database, newly migrated and empty, and its reloaded REST API."""
    with _lock(project.database_url):
        connection = await asyncpg.connect(project.database_url)
        try:
            await _end_others(connection)
            made_by = _migrations_digest()
            if await is_as_left(connection, made_by):
                await empty_tables(connection)
            else:
                await _remake(connection)
                await _await_reload(project, connection)
            await leave_note(connection, made_by)
        finally:
            await connection.close()
        yield project


async def _end_others(connection: "asyncpg.Connection[Any]") -> None:
    # Connections left open by a failed test would hold locks; PostgREST keeps its own.
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
        "and usename = current_user and pid <> pg_backend_pid()"
    )
    await connection.execute("set client_min_messages = warning; set lock_timeout = '10s'")


async def _remake(connection: "asyncpg.Connection[Any]") -> None:
    await connection.execute(
        "drop schema if exists mastery, public, supabase_migrations cascade; create schema public"
    )
    await connection.execute(SUPABASE_DATABASE.read_text(encoding="utf-8"))
    await apply_migrations(connection)


async def _await_reload(project: Supabase, connection: "asyncpg.Connection[Any]") -> None:
    """Wait until PostgREST has read this very schema.

    It may answer from the schema before the drop, and then read one between two migrations. Only a
    name that never existed before proves that the new schema is loaded.
    """
    name = f"made_{uuid.uuid4().hex}"
    await connection.execute(f"create function public.{name}() returns int return 1")
    await connection.execute(f"grant execute on function public.{name}() to service_role")
    await connection.execute("notify pgrst, 'reload schema'")
    end = time.monotonic() + _RELOAD_S
    async with project.service_client() as client:
        while True:
            answer = await client.post(f"/rpc/{name}", json={})
            if answer.status_code == httpx.codes.OK:
                break
            if time.monotonic() > end:
                pytest.fail(f"PostgREST did not load the schema: {answer.text}", pytrace=False)
            await asyncio.sleep(0.05)
    await connection.execute(f"drop function public.{name}()")


@asynccontextmanager
async def exclusive_neo4j(server: Neo4j) -> AsyncIterator[Neo4j]:
    """Reserve the one database of Neo4j Community, without any node; constraints stay."""
    with _lock(server.uri):
        auth = (server.username, server.password)
        async with (
            AsyncGraphDatabase.driver(server.uri, auth=auth) as driver,
            driver.session() as session,
        ):
            result = await session.run(
                "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS"
            )
            await result.consume()
        yield server
