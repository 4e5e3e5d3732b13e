"""No table, view, sequence or function without its rule, on a Supabase and on a plain Postgres."""

from typing import Any, Final

import asyncpg

from tests.security.schema_rules import FUNCTIONS, RELATIONS, violations
from tests.support.servers import Supabase

_OWN: Final = (
    "student_id = (select mastery.claimed_student()) "
    "and tenant_id = (select mastery.claimed_tenant())"
)
# ruff: noqa: S608  # nothing but constants of this file is put together
_TABLE: Final = (
    "create table public.t (tenant_id text not null, student_id text not null, x int, "
    "primary key (tenant_id, student_id)); alter table public.t enable row level security; "
    f"create policy own on public.t for select to authenticated using ({_OWN}); "
    "revoke all on public.t from public, anon, authenticated; "
    "grant select on public.t to authenticated;"
)
_FUNCTION: Final = (
    "create function public.f(jsonb) returns json language sql set search_path = '' "
    "as 'select ''1''::json'; revoke execute on function public.f from public, anon, authenticated;"
)
_VIEW: Final = (
    "create view public.v with (security_invoker = on) as select * from public.concept_mastery;"
    "revoke all on public.v from public, anon, authenticated; "
    "grant select on public.v to authenticated;"
)
_LAWFUL: Final = (
    _TABLE,
    _FUNCTION,
    _VIEW,
    "create function mastery.g() returns int language sql immutable return 1;",
    "revoke execute on function mastery.g from public;",
    "create materialized view mastery.m as select 1 as one;",
    "create sequence mastery.s;",
)
_BAD: Final[dict[str, tuple[str, str]]] = {
    "a table as a beginner makes it": (
        "create table public.t (tenant_id text not null, x int)",
        "public.t has no row level security",
    ),
    "a table of the private schema without row level security": (
        "create table mastery.t (tenant_id text not null, x int)",
        "mastery.t has no row level security",
    ),
    "row level security without a policy": (
        _TABLE + "drop policy own on public.t",
        "public.t has no policy that says",
    ),
    "a policy for everything": (
        _TABLE + f"drop policy own on public.t; create policy p on public.t using ({_OWN})",
        "public.t has the policy p, which is for more than reading",
    ),
    "a policy that forgets the tenant": (
        _TABLE + "create policy p on public.t for select to authenticated "
        "using (student_id = (select mastery.claimed_student()))",
        "public.t has the policy p, which lets more than own rows through",
    ),
    "a policy that forgets the student": (
        _TABLE + "create policy p on public.t for select to authenticated "
        "using (tenant_id = (select mastery.claimed_tenant()))",
        "public.t has the policy p, which lets more than own rows through",
    ),
    "a policy with a way round it": (
        _TABLE + f"create policy p on public.t for select to authenticated using ({_OWN} or x = 0)",
        "public.t has the policy p, which lets more than own rows through",
    ),
    "a policy for anybody": (
        _TABLE + "create policy p on public.t for select using (true)",
        "public.t has the policy p, which lets more than own rows through",
    ),
    "a policy to write by": (
        _TABLE + "create policy p on public.t for insert to authenticated with check (true)",
        "public.t has the policy p, which is for more than reading",
    ),
    "a right to insert": (
        _TABLE + "grant insert on public.t to authenticated",
        "public.t may be INSERTed by authenticated",
    ),
    "a right to update one column": (
        _TABLE + "grant update (x) on public.t to authenticated",
        "public.t may be UPDATEed by authenticated",
    ),
    "a right to truncate, which no policy stops": (
        _TABLE + "grant truncate on public.t to authenticated",
        "public.t may be TRUNCATEed by authenticated",
    ),
    "a right of everybody": (
        _TABLE + "grant select on public.t to public",
        "public.t may be SELECTed by anon",
    ),
    "a column for anon": (
        _TABLE + "grant select (x) on public.t to anon",
        "public.t may be SELECTed by anon",
    ),
    "a table without a tenant": (
        "create table mastery.t (x int); alter table mastery.t enable row level security",
        "mastery.t has no tenant_id",
    ),
    "a tenant that may be null": (
        "create table mastery.t (tenant_id text); alter table mastery.t enable row level security",
        "mastery.t has no tenant_id",
    ),
    "a key that tenants share": (
        _TABLE + "create unique index k on public.t (student_id)",
        "public.t has the key k",
    ),
    "a partition in the open": (
        "alter table mastery.student_responses_00 set schema public",
        "public.student_responses_00 is a partition",
    ),
    "a partition that may be read past its parent": (
        "grant select on mastery.student_responses_00 to authenticated",
        "mastery.student_responses_00 may be SELECTed by authenticated",
    ),
    "a partition without row level security": (
        "alter table mastery.student_responses_07 disable row level security",
        "mastery.student_responses_07 has no row level security",
    ),
    "a view that reads as its owner": (
        _VIEW + "alter view public.v reset (security_invoker)",
        "public.v is a view without security_invoker",
    ),
    "a view that may be written through": (
        _VIEW + "grant insert on public.v to authenticated",
        "public.v may be INSERTed by authenticated",
    ),
    "a materialised view": (
        "create materialized view public.m as select * from public.concept_mastery",
        "public.m may be SELECTed by authenticated",
    ),
    "a sequence": (
        "grant usage on sequence mastery.learner_version to authenticated",
        "mastery.learner_version may be USAGEed by authenticated",
    ),
    "a function as a beginner makes it": (
        "create function public.f() returns int language sql as 'select 1'",
        "public.f() may be executed by public",
    ),
    "a function without a search_path": (
        _FUNCTION + "alter function public.f reset search_path",
        "public.f(jsonb) has no search_path of its own",
    ),
    "a function with a search_path of others": (
        _FUNCTION + "alter function public.f set search_path = public",
        "public.f(jsonb) has no search_path of its own",
    ),
    "a function that runs as its owner": (
        _FUNCTION + "alter function public.f security definer",
        "public.f(jsonb) is SECURITY DEFINER",
    ),
    "a function of the engine's for students": (
        "grant execute on function public.mastery_load(jsonb) to authenticated",
        "public.mastery_load(jsonb) may be executed by authenticated",
    ),
    "a function of the engine's for everybody": (
        "grant execute on function mastery.microseconds to public",
        "mastery.microseconds(moment timestamp with time zone) may be executed by public",
    ),
    "the claims for anon": (
        "grant execute on function mastery.claims() to anon",
        "mastery.claims() may be executed by anon",
    ),
    "a procedure": (
        "create procedure public.f() language sql as 'select 1'",
        "public.f() has no search_path of its own",
    ),
    "an aggregate": (
        "create aggregate public.a(int) (sfunc = int4pl, stype = int)",
        "public.a(integer) may be executed by public",
    ),
    "anon in the private schema": (
        "grant usage on schema mastery to anon",
        "anon may use schema mastery",
    ),
    "students who create": (
        "grant create on schema public to authenticated",
        "authenticated may create in schema public",
    ),
    "students who are the service": (
        "grant service_role to authenticated",
        "role authenticated is a member of service_role",
    ),
}


async def _look(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        kinds = {row["kind"] for row in await connection.fetch(RELATIONS)}
        assert kinds >= {"r", "p", "S"}
        assert len(await connection.fetch(FUNCTIONS)) >= 20
        return await violations(connection)
    finally:
        await connection.close()


async def test_given_a_supabase_then_every_object_has_its_rule(
    supabase: Supabase,
) -> None:
    assert await _look(supabase.database_url) == []


async def test_given_a_plain_postgres_then_every_object_has_its_rule(
    database_url: str,
) -> None:
    assert await _look(database_url) == []


async def _found(connection: Any, statement: str) -> list[str]:
    """The rules that a statement breaks; it is taken back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
        return await violations(connection)
    finally:
        await transaction.rollback()


async def test_given_new_objects_with_their_rules_then_nothing_is_wrong(
    supabase: Supabase,
) -> None:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        statement = ";".join(
            (*_LAWFUL, "revoke all on mastery.m, mastery.s from public, anon, authenticated")
        )
        assert await _found(connection, statement) == []
    finally:
        await connection.close()


async def test_given_an_object_without_its_rule_when_looked_at_then_it_is_found(
    supabase: Supabase,
) -> None:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        missed = []
        for name, (statement, expected) in _BAD.items():
            breaches = await _found(connection, statement)
            if not any(breach.startswith(expected) for breach in breaches):
                missed.append((name, breaches))
        assert missed == []
        assert await violations(connection) == []
    finally:
        await connection.close()
