"""The schema on a real Postgres, and what its policies let whom see through a real PostgREST."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.ledger.catalogue import catalogue
from tests.support.servers import Supabase
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.ledger.schema.migrations import Migrations
from workers.ledger.schema.schema_files import migration_files
from workers.ledger.sql.postgrest import PostgrestLedger
from workers.operations.repair.correcting import Corrector, Verdict

TABLES = ("student_responses", "concept_mastery", "student_ability", "practice_sessions")


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def rows(dsn: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    async with connected(dsn) as connection:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]


# Up and down


async def round_trip(dsn: str) -> None:
    runner = Migrations(dsn)
    first = await catalogue(dsn)
    assert await runner.down(target="0") == [f.version for f in reversed(migration_files())]
    empty = await catalogue(dsn)
    assert not any(empty[kind] for kind in ("tables", "columns", "functions", "policies"))
    await runner.up()
    again = await catalogue(dsn)
    for kind, objects in first.items():
        assert again[kind] == objects, kind
    assert all(first[kind] for kind in first if kind != "published")


async def test_given_plain_postgres_up_down_and_up_then_the_schema_is_the_same(
    database_url: str,
) -> None:
    await round_trip(database_url)


async def test_given_supabase_when_up_down_and_up_then_the_schema_is_the_same(
    supabase: Supabase,
) -> None:
    await round_trip(supabase.database_url)


async def test_given_each_version_reverted_and_applied_then_schema_is_the_same(
    empty_database_url: str,
) -> None:
    runner = Migrations(empty_database_url)
    for version in (f.version for f in migration_files()):
        before = await catalogue(empty_database_url)
        await runner.up(version)
        after = await catalogue(empty_database_url)
        assert after != before
        await runner.down()
        back = await catalogue(empty_database_url)
        assert back | {"schemas": before["schemas"]} == before
        await runner.up(version)
        assert await catalogue(empty_database_url) == after


# Rights: the rules of every object are in tests/security/schema_rules.py


async def test_given_the_log_then_vacuum_freezes_its_rows_at_once(database_url: str) -> None:
    of_partitions = (
        "select distinct c.reloptions from pg_inherits i join pg_class c on c.oid = i.inhrelid "
        "where i.inhparent = 'public.student_responses'::regclass"
    )
    assert await rows(database_url, of_partitions) == [(["autovacuum_freeze_min_age=0"],)]


async def test_given_a_realtime_publication_then_it_has_mastery_alone(
    supabase: Supabase,
) -> None:
    query = "select pubname, schemaname, tablename from pg_publication_tables"
    expected = [("supabase_realtime", "public", "concept_mastery")]
    assert await rows(supabase.database_url, query) == expected


# Rows, as PostgREST gives them


async def answered(
    supabase: Supabase, tenant: str, student: str, *, session: str = "s-9", expected: int = 0
) -> dict[str, Any]:
    """Commit one response as the engine does; return the answer."""
    at = "2026-11-21T09:30:00.123456Z"
    response = "{00000000-0000-4000-8000-000000000001}"
    load = {
        "tenants": _array(tenant),
        "students": _array(student),
        "r_of": "{1}",
        "r_id": response,
        "r_at": _array(at),
        "c_of": "{1}",
        "c_id": "{add}",
        "a_of": "{1}",
        "a_id": "{math}",
        "s_of": "{1}",
        "s_id": _array(session),
    }
    request = {
        "load": load,
        "expected": f"{{{expected}}}",
        "last_by": "{1}",
        "last_at": _array(at),
        "last_id": response,
        "parameters_version": 1,
        "r_session": _array(session),
        "r_item": "{q-1}",
        "r_concepts": _array("{add}"),
        "r_scale": "{math}",
        "r_score": "{1.0}",
        "r_entry": _array("practice.responses.v1 1-1"),
        "r_outcome": _array("{}"),
        "c_of": "{1}",
        "c_concept": "{add}",
        "c_mastery": "{0.5}",
        "c_attempts": "{1}",
        "c_mastered": "{f}",
        "c_at": _array(at),
        "c_by": "{1}",
        "c_mantissa": "{0.5}",
        "c_exponent": "{1}",
        "a_of": "{1}",
        "a_scale": "{math}",
        "a_theta": "{0.1}",
        "a_standard_error": "{0.9}",
        "a_responses": "{1}",
        "a_score": "{1.0}",
        "a_by": "{1}",
        "s_of": "{1}",
        "s_session": _array(session),
        "s_responses": "{1}",
        "s_correct": "{1}",
        "s_started": _array(at),
        "s_ended": _array(at),
        "s_by": "{1}",
    }
    async with supabase.service_client() as client:
        answer = await client.post("/rpc/mastery_commit", json=request)
        assert answer.status_code == httpx.codes.OK, answer.text
        content: dict[str, Any] = answer.json()
        return content


def _array(text: str) -> str:
    return "{" + json.dumps(text, ensure_ascii=False) + "}"


async def seen(supabase: Supabase, token: str | None) -> set[tuple[str, str, str]]:
    names = set()
    async with supabase.client(token) as client:
        for table in TABLES:
            answer = await client.get(f"/{table}", params={"select": "tenant_id,student_id"})
            if answer.status_code == httpx.codes.OK:
                names |= {(table, row["tenant_id"], row["student_id"]) for row in answer.json()}
            else:
                assert answer.status_code in (401, 403), answer.text
    return names


def of(tenant: str, student: str) -> set[tuple[str, str, str]]:
    return {(table, tenant, student) for table in TABLES}


async def test_given_one_student_id_in_two_tenants_then_each_sees_its_own(
    supabase: Supabase,
) -> None:
    for tenant, student in (("school-7", "ann"), ("school-8", "ann"), ("school-7", "bob")):
        assert (await answered(supabase, tenant, student))["conflicts"] == []
    assert await seen(supabase, supabase.mint("ann", "school-7")) == of("school-7", "ann")
    assert await seen(supabase, supabase.mint("ann", "school-8")) == of("school-8", "ann")
    assert await seen(supabase, supabase.mint("bob", "school-7")) == of("school-7", "bob")
    assert await seen(supabase, supabase.mint("bob", "school-8")) == set()
    assert await seen(supabase, supabase.mint("ann")) == set()


@pytest.mark.parametrize(
    "student", ["student-42", 'ümlaut "quoted" \\ {,}', "8f14e45f-ceea-467f-a8f6-6d1d7a3c0b11"]
)
async def test_given_any_subject_when_read_then_its_own_rows_are_seen(
    supabase: Supabase, student: str
) -> None:
    await answered(supabase, "default", student)
    await answered(supabase, "default", student + "x")
    assert await seen(supabase, supabase.mint(student)) == of("default", student)


async def test_given_claims_that_are_no_strings_when_read_then_they_are_nobody(
    supabase: Supabase,
) -> None:
    await Migrations(supabase.database_url, jwt_tenant_claim="app.school").up()
    await answered(supabase, "7", "ann")
    await answered(supabase, "default", "ann")
    nobody: tuple[dict[str, Any], ...] = (
        {"app": {"school": 7}},
        {"app": {"school": ["7"]}},
        {"app": {"school": False}, "app_metadata": {"tenant_id": "default"}},
        {"app_metadata": {"tenant_id": 7}},
    )
    for claims in nobody:
        assert await seen(supabase, supabase.mint("ann", **claims)) == set()
    absent: tuple[dict[str, Any], ...] = (
        {"app": "school"},
        {"app_metadata": ["tenant_id"]},
        {"app": {"school": None}},
    )
    for claims in absent:
        assert await seen(supabase, supabase.mint("ann", **claims)) == of("default", "ann")


@pytest.mark.parametrize(
    ("path", "claims", "tenant"),
    [
        ("tenant_id", {"tenant_id": "one", "app_metadata": {}}, "one"),
        ("app.school", {"app": {"school": "one"}, "tenant_id": "two"}, "one"),
        ("app.school", {"app": {"school": "one"}, "app_metadata": {"tenant_id": "two"}}, "one"),
        ("app.school", {"app_metadata": {"tenant_id": "two"}}, "two"),
        ("app.school", {"app": {"school": None}, "app_metadata": {"tenant_id": "two"}}, "two"),
        ("app.school", {"tenant_id": "one", "app_metadata": {}}, "default"),
    ],
)
async def test_given_the_path_of_a_claim_then_the_tenant_is_found_there(
    supabase: Supabase, path: str, claims: dict[str, Any], tenant: str
) -> None:
    await Migrations(supabase.database_url, jwt_tenant_claim=path).up()
    for known in ("one", "two", "default"):
        await answered(supabase, known, "ann")
    assert await seen(supabase, supabase.mint("ann", **claims)) == of(tenant, "ann")


async def test_given_nobody_or_the_service_when_read_then_it_is_nothing_or_all(
    supabase: Supabase,
) -> None:
    await answered(supabase, "default", "ann")
    await answered(supabase, "school-7", "bob")
    assert await seen(supabase, None) == set()
    assert await seen(supabase, supabase.mint("ann", role="anon")) == set()
    everything = of("default", "ann") | of("school-7", "bob")
    assert await seen(supabase, supabase.mint("", role="service_role")) == everything


async def test_given_any_role_then_the_private_schema_is_not_exposed(
    supabase: Supabase,
) -> None:
    for token in (None, supabase.mint("ann"), supabase.mint("", role="service_role")):
        async with supabase.client(token) as client:
            answer = await client.get("/learners", headers={"Accept-Profile": "mastery"})
            assert answer.status_code in (401, 404, 406)


# Corrections


async def test_given_corrections_then_students_read_their_own_and_write_none(
    supabase: Supabase,
) -> None:
    response = "00000000-0000-4000-8000-000000000001"
    for tenant, student in (("school-7", "ann"), ("school-8", "ann"), ("school-7", "bob")):
        await answered(supabase, tenant, student)
        ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
        verdict = Verdict("void", f"of {tenant}/{student}")
        corrector = Corrector(ledger=ledger, parameters=Parameters(), verdict=verdict)
        (done,) = await corrector.correct([(LearnerKey(tenant, student), response)])
        await ledger.close()
        assert done.ending == "corrected"

    async def reasons(token: str | None) -> set[str] | int:
        async with supabase.client(token) as client:
            answer = await client.get("/response_corrections", params={"select": "reason"})
        if answer.status_code != httpx.codes.OK:
            return answer.status_code
        return {row["reason"] for row in answer.json()}

    assert await reasons(supabase.mint("ann", "school-7")) == {"of school-7/ann"}
    assert await reasons(supabase.mint("ann", "school-8")) == {"of school-8/ann"}
    assert await reasons(supabase.mint("bob", "school-8")) == set()
    assert await reasons(None) in {401, 403}
    assert await reasons(supabase.mint("ann", "school-7", role="anon")) in {401, 403}
    everything = await reasons(supabase.mint("", role="service_role"))
    assert isinstance(everything, set)
    assert len(everything) == 3
    mine = {"tenant_id": "eq.school-7", "student_id": "eq.ann"}
    async with supabase.client(supabase.mint("ann", "school-7")) as client:
        tries = (
            await client.post("/response_corrections", json={"tenant_id": "school-7"}),
            await client.patch("/response_corrections", params=mine, json={"kind": "rescore"}),
            await client.delete("/response_corrections", params=mine),
        )
    assert {answer.status_code for answer in tries} <= {401, 403}
    assert {answer.json()["code"] for answer in tries} == {"42501"}
    assert await rows(
        supabase.database_url, "select count(*) from public.response_corrections"
    ) == [(3,)]


# The order of keys


async def test_given_keys_in_two_alphabets_then_pages_come_by_code_point(
    supabase: Supabase,
) -> None:
    keys = [("B", "b"), ("a", "Z"), ("a", "a"), ("a", "ä"), ("é", "1")]
    for tenant, student in reversed(keys):
        await answered(supabase, tenant, student)
    pages: list[tuple[str, str]] = []
    async with supabase.service_client() as client:
        while True:
            after = (
                dict(zip(("after_tenant", "after_student"), pages[-1], strict=True))
                if pages
                else {}
            )
            answer = await client.post("/rpc/mastery_learners", json={"limit": 2, **after})
            page = [(tenant, student) for tenant, student in answer.json()]
            if not page:
                break
            pages += page
    assert pages == sorted(keys)
