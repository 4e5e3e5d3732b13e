"""The servers of the tests answer as the real ones would: what other tests take for granted."""

import asyncpg
import httpx
import jwt
import pytest
from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from tests.support.servers import MIGRATIONS, Neo4j, Supabase, exclusive_redis, server_variables

_TABLES = ("student_responses", "concept_mastery", "student_ability", "practice_sessions")
_ADD_MASTERY = """
insert into public.concept_mastery (
  tenant_id, student_id, concept_id, mastery, attempts, mastered, answered_at, version,
  parameters_version, odds_mantissa, odds_exponent)
values ($1, $2, 'fractions.add', 0.5, 1, false, now(), 1, 1, 0.5, 1)
"""


async def test_given_redis_then_it_is_7_or_newer_with_an_append_only_file(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        server = await client.info("server")
        persistence = await client.info("persistence")
        assert int(server["redis_version"].split(".")[0]) >= 7
        assert persistence["aof_enabled"] == 1


async def test_given_a_redis_database_in_use_then_the_next_one_asked_for_differs(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.set("mine", 1)
        async with exclusive_redis(*server_variables("TEST_REDIS_URL")) as other:
            assert other != redis_url
        assert await client.get("mine") == b"1"


async def test_given_a_fresh_database_then_it_is_migrated_empty_and_durable(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("show shared_buffers") == "256MB"
        applied = await connection.fetch(
            "select version from supabase_migrations.schema_migrations order by version"
        )
        assert [row["version"] for row in applied] == sorted(
            file.name.partition("_")[0] for file in MIGRATIONS.glob("*.sql")
        )
        for table in _TABLES:
            assert await connection.fetchval(f"select count(*) from public.{table}") == 0  # noqa: S608 - names of ours
    finally:
        await connection.close()


async def test_given_a_database_before_migrations_then_it_has_no_table(
    empty_database_url: str,
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    try:
        count = await connection.fetchval(
            "select count(*) from pg_tables where schemaname = 'public'"
        )
        assert count == 0
    finally:
        await connection.close()


async def test_given_the_service_key_then_the_gateway_lets_a_call_through(
    supabase: Supabase,
) -> None:
    assert supabase.service_role_key.startswith("sb_secret_")
    async with supabase.service_client() as client:
        for headers in ({}, {"Authorization": f"Bearer {supabase.service_role_key}"}):
            answer = await client.post(
                "/rpc/mastery_load",
                json={"tenants": "{school}", "students": "{nobody}"},
                headers=headers,
            )
            assert answer.status_code == httpx.codes.OK, answer.text
            assert answer.json()["learners"] == []


async def test_given_no_key_when_asked_then_the_gateway_refuses(supabase: Supabase) -> None:
    async with httpx.AsyncClient(base_url=supabase.url) as client:
        assert (await client.get("/rest/v1/concept_mastery")).status_code == 401
        assert (await client.get("/concept_mastery")).status_code == 404


@pytest.mark.parametrize("table", _TABLES)
async def test_given_an_anonymous_caller_when_a_table_is_read_then_it_is_refused(
    supabase: Supabase, table: str
) -> None:
    async with supabase.client() as client:
        answer = await client.get(f"/{table}")
    assert answer.status_code == 401
    assert answer.json()["code"] == "42501"


@pytest.mark.parametrize("function", ["mastery_load", "mastery_commit", "mastery_learners"])
@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_given_no_service_role_then_a_function_call_is_refused(
    supabase: Supabase, function: str, role: str
) -> None:
    async with supabase.client(supabase.mint("student-42", role=role)) as client:
        answer = await client.post(f"/rpc/{function}", json={})
    assert answer.status_code in {401, 403}
    assert answer.json()["code"] == "42501"


async def test_given_rows_of_many_when_a_student_reads_then_only_their_own_come(
    supabase: Supabase,
) -> None:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        for tenant in ("default", "school-7", "school-8"):
            for student in ("student-42", "student-43"):
                await connection.execute(_ADD_MASTERY, tenant, student)
    finally:
        await connection.close()
    claimed: tuple[str | None, ...] = (None, "school-7")
    for claim in claimed:
        async with supabase.client(supabase.mint("student-42", claim)) as client:
            answer = await client.get("/concept_mastery", params={"select": "tenant_id,student_id"})
        assert answer.json() == [{"tenant_id": claim or "default", "student_id": "student-42"}]


async def test_given_a_forged_token_when_a_student_reads_then_it_is_refused(
    supabase: Supabase,
) -> None:
    forged = jwt.encode({"sub": "student-42", "role": "service_role"}, "x" * 32, algorithm="HS256")
    async with supabase.client(forged) as client:
        answer = await client.get("/concept_mastery")
    assert answer.status_code == 401
    assert answer.json()["code"] == "PGRST301"


async def test_given_a_body_over_the_limit_then_the_gateway_answers_413(
    supabase: Supabase,
) -> None:
    async with supabase.service_client() as client:
        answer = await client.post("/rpc/mastery_load", content=b" " * (33 * 1024 * 1024))
    assert answer.status_code == 413


async def test_given_a_project_when_migrated_then_realtime_publishes_mastery(
    supabase: Supabase,
) -> None:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        tables = await connection.fetch(
            "select tablename from pg_publication_tables where pubname = 'supabase_realtime'"
        )
    finally:
        await connection.close()
    assert [row["tablename"] for row in tables] == ["concept_mastery"]


async def test_given_neo4j_when_asked_then_it_is_community_5_and_empty(neo4j: Neo4j) -> None:
    auth = (neo4j.username, neo4j.password)
    async with (
        AsyncGraphDatabase.driver(neo4j.uri, auth=auth) as driver,
        driver.session() as session,
    ):
        result = await session.run("CALL dbms.components() YIELD versions, edition")
        component = await result.single(strict=True)
        assert component["versions"][0].startswith("5.26")
        assert component["edition"] == "community"
        result = await session.run("MATCH (n) RETURN count(n) AS count")
        assert (await result.single(strict=True))["count"] == 0
