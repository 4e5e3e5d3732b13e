"""Visible rows through the REST API: every table and function, by every kind of token."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import httpx

from tests.integration.ledger.test_schema import answered
from tests.security.schema_rules import FUNCTIONS, RELATIONS
from tests.support.servers import Supabase
from workers.estimation.learner import LearnerKey
from workers.estimation.parameters import Parameters
from workers.ledger.sql.postgrest import PostgrestLedger
from workers.operations.repair.correcting import Corrector, Verdict

_RESPONSE: Final = "00000000-0000-4000-8000-000000000001"
_LEARNERS: Final = (("school-7", "ann"), ("school-8", "ann"), ("school-7", "bob"))
_REFUSED: Final = frozenset({401, 403})

Rows = dict[str, set[tuple[str, str]]]
"""Owners of rows by table or view."""


async def _catalogue(supabase: Supabase, query: str) -> list[Any]:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        return [row for row in await connection.fetch(query) if row["schema"] == "public"]
    finally:
        await connection.close()


async def _readable(supabase: Supabase) -> list[str]:
    return [
        row["name"].removeprefix("public.")
        for row in await _catalogue(supabase, RELATIONS)
        if row["kind"] != "S"
    ]


async def _seen(supabase: Supabase, token: str | None) -> Rows:
    """The rows of every table and view that a token shows; none where it is refused."""
    rows: Rows = {}
    async with supabase.client(token) as client:
        for table in await _readable(supabase):
            answer = await client.get(f"/{table}", params={"select": "tenant_id,student_id"})
            if answer.status_code == httpx.codes.OK:
                rows[table] = {(row["tenant_id"], row["student_id"]) for row in answer.json()}
            else:
                unknown_role = answer.json()["code"] == "22023"
                assert unknown_role or answer.status_code in _REFUSED, answer.text
                rows[table] = set()
    return rows


def _each(tables: Rows, holders: set[tuple[str, str]]) -> Rows:
    return {table: set(holders) for table in tables}


async def _fill(supabase: Supabase) -> Rows:
    """A row of each learner in every table, as the engine writes them; proves that it is so."""
    ledger = PostgrestLedger(supabase.url, supabase.service_role_key)
    try:
        for tenant, student in _LEARNERS:
            await answered(supabase, tenant, student)
            corrector = Corrector(
                ledger=ledger, parameters=Parameters(), verdict=Verdict("rescore", "wrong key", 0.5)
            )
            (done,) = await corrector.correct([(LearnerKey(tenant, student), _RESPONSE)])
            assert done.ending == "corrected"
    finally:
        await ledger.close()
    everything = await _seen(supabase, supabase.mint("", role="service_role"))
    assert everything == _each(everything, set(_LEARNERS)), "a new table: fill it here"
    assert len(everything) >= 5
    return everything


async def test_given_every_table_then_each_student_sees_its_own_rows_alone(
    supabase: Supabase,
) -> None:
    everything = await _fill(supabase)

    for tenant, student in _LEARNERS:
        own = _each(everything, {(tenant, student)})
        assert await _seen(supabase, supabase.mint(student, tenant)) == own
    nothing = _each(everything, set())
    strangers = (
        supabase.mint("bob", "school-8"),
        supabase.mint("ann"),
        supabase.mint("ann", "SCHOOL-7"),
        supabase.mint("ann", "school-7 "),
        supabase.mint("%", "school-7"),
        supabase.mint("ann' or '1'='1", "school-7"),
        supabase.mint("", "school-7"),
        supabase.mint("ann", "school-7", sub=None),
        supabase.mint("ann", app_metadata={"tenant_id": ["school-7"]}),
        supabase.mint("ann", "school-7", role="anon"),
        supabase.mint("ann", "school-7", exp=1),
        supabase.mint("ann", "school-7", role="postgres"),
        supabase.mint("ann", "school-7", role="authenticator"),
        # A role that reports for others is none of the database's: to report is not to read.
        supabase.mint("teacher", "school-7", role="teacher"),
        None,
    )
    for token in strangers:
        assert await _seen(supabase, token) == nothing


async def test_given_a_delegated_database_role_then_it_sees_its_own_rows_alone(
    supabase: Supabase,
) -> None:
    everything = await _fill(supabase)
    nothing = _each(everything, set())
    # By itself it has no right; as one of those who are logged in, those of its subject. (Not one
    # role before and after the grant: its statements stay planned as they were for a while.)
    async with _role(supabase) as role:
        assert await _seen(supabase, supabase.mint("ann", "school-7", role=role)) == nothing
    async with _role(supabase) as role:
        await _execute(supabase, f"grant authenticated to {role}")
        own = _each(everything, {("school-7", "ann")})
        assert await _seen(supabase, supabase.mint("ann", "school-7", role=role)) == own
        assert await _seen(supabase, supabase.mint("teacher", "school-7", role=role)) == nothing


async def test_given_every_table_written_by_student_or_nobody_then_none_changes(
    supabase: Supabase,
) -> None:
    await _fill(supabase)
    tables = await _readable(supabase)
    before = await _content(supabase, tables)
    for token in (None, supabase.mint("ann", "school-7"), supabase.mint("ann", role="anon")):
        async with supabase.client(token) as client:
            for table in tables:
                learner = {"tenant_id": "eq.school-7", "student_id": "eq.ann"}
                row = {"tenant_id": "school-7", "student_id": "ann"}
                merge = {"Prefer": "resolution=merge-duplicates"}
                tries = (
                    await client.post(f"/{table}", json=row),
                    await client.post(f"/{table}", json=row, headers=merge),
                    await client.patch(f"/{table}", params=learner, json={"student_id": "bob"}),
                    await client.delete(f"/{table}", params=learner),
                )
                assert {answer.status_code for answer in tries} <= _REFUSED, table
                assert {answer.json()["code"] for answer in tries} == {"42501"}, table
    assert await _content(supabase, tables) == before


async def test_given_any_function_called_by_student_or_nobody_then_it_is_refused(
    supabase: Supabase,
) -> None:
    await _fill(supabase)
    tables = await _readable(supabase)
    before = await _content(supabase, tables)
    functions = await _catalogue(supabase, FUNCTIONS)
    assert len(functions) >= 11
    for token in (None, supabase.mint("ann", "school-7"), supabase.mint("ann", role="anon")):
        async with supabase.client(token) as client:
            for function in functions:
                body = {name: None for name in function["arguments"] if name}
                answer = await client.post(f"/rpc/{function['short_name']}", json=body)
                assert answer.status_code in _REFUSED, function["name"]
                assert answer.json()["code"] == "42501", function["name"]
    assert await _content(supabase, tables) == before


async def _content(supabase: Supabase, tables: list[str]) -> dict[str, list[Any]]:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        return {t: sorted(map(repr, await connection.fetch(f"table public.{t}"))) for t in tables}
    finally:
        await connection.close()


async def _execute(supabase: Supabase, statement: str) -> None:
    connection = await asyncpg.connect(supabase.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def _role(supabase: Supabase) -> AsyncIterator[str]:
    """A role of the server's that PostgREST may take on; roles belong to all databases."""
    name = f"teacher_{uuid.uuid4().hex}"
    await _execute(
        supabase,
        f"create role {name} nologin; grant {name} to authenticator; "
        f"grant usage on schema public to {name}",
    )
    try:
        yield name
    finally:
        await _execute(
            supabase,
            f"revoke usage on schema public from {name}; drop role {name}",
        )
