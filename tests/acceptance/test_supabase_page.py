"""docs/supabase.md to the letter: its SQL on Postgres, its JavaScript through PostgREST."""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import record
from tests.support.page_code import DOCS, blocks
from tests.support.servers import Supabase
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.protocol import Ledger
from workers.ledger.sql.direct import DirectLedger
from workers.ledger.sql.postgrest import PostgrestLedger

_PAGE = DOCS / "supabase.md"
_SCHEMAS = Path(__file__).parents[2] / "supabase" / "schemas"
_SCRIPT = Path(__file__).parent / "node" / "supabase_page.cjs"
_CONCEPTS = ("a", "b", "c", "d")


def _log(students: int) -> list[Response]:
    """Twelve wrong answers on one concept, and right ones on the others."""
    wrong = [answer(n, concepts=("a",), score=0.0, scale="math") for n in range(12)]
    right = [
        answer(100 + n, concepts=(_CONCEPTS[1 + n % students],), scale="math") for n in range(9)
    ]
    return wrong + right


async def _seed(ledger: Ledger) -> None:
    for tenant in ("school-7", "school-8"):
        for number, student in enumerate(("student-42", "student-43")):
            await record(ledger, LearnerKey(tenant, student), _log(3 - number))
    await ledger.close()


@asynccontextmanager
async def _as(
    database: "asyncpg.Connection[Any]", role: str, sub: str = "", tenant_id: str = ""
) -> AsyncIterator["asyncpg.Connection[Any]"]:
    transaction = database.transaction()
    await transaction.start()
    try:
        await database.execute(f"set local role {role}")
        claims = json.dumps({"sub": sub, "app_metadata": {"tenant_id": tenant_id}})
        await database.execute("select set_config('request.jwt.claims', $1, true)", claims)
        yield database
    finally:
        await transaction.rollback()


async def _run(database: "asyncpg.Connection[Any]", block: str) -> list[Sequence[Any]]:
    """Run the statements of a block; return the rows of its last query."""
    rows: list[Sequence[Any]] = []
    for statement in re.split(r";\s*\n", block):
        found = await database.fetch(statement) if statement.strip() else []
        rows = [tuple(row) for row in found] or rows
    return rows


async def test_given_the_sql_of_the_page_then_it_shows_what_it_says(database_url: str) -> None:
    one, class_, stuck, policy, view, trial = blocks(_PAGE, "sql")
    await _seed(DirectLedger(database_url))
    database = await asyncpg.connect(database_url)
    try:
        assert [row[0] for row in await _run(database, one)] == list(_CONCEPTS)
        means = {row[0]: row for row in await _run(database, class_)}
        assert means["a"][1] == 2
        assert means["d"][1] == 1
        assert [row[:3] for row in await _run(database, stuck)] == [
            ("student-42", "a", 12),
            ("student-43", "a", 12),
        ]
        await _run(database, policy)
        await _run(database, view)
        await database.execute(
            "insert into public.class_students values ('school-7', 'teacher-1', 'student-42'), "
            "('school-8', 'teacher-1', 'student-43')"
        )
        rows = await _run(database, trial)
        assert [row[:2] for row in rows] == [("student-42", concept) for concept in _CONCEPTS]

        every = "select student_id from public.concept_mastery"
        async with _as(database, "authenticated", sub="teacher-2", tenant_id="school-7"):
            assert await database.fetch(every) == []
        async with _as(database, "authenticated", sub="student-43", tenant_id="school-7"):
            assert {row[0] for row in await database.fetch(every)} == {"student-43"}
        async with _as(database, "authenticated", sub="teacher-1", tenant_id="school-8"):
            assert {row[0] for row in await database.fetch(every)} == {"student-43"}
            weak = await database.fetch("select student_id, concept_id from public.weak_concepts")
            assert [tuple(row) for row in weak] == [("student-43", "a")]
        for table in ("concept_mastery", "weak_concepts", "class_students"):
            async with _as(database, "anon"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await database.fetch(f"select * from public.{table}")  # noqa: S608
    finally:
        await database.close()


def test_given_the_policy_of_the_page_then_it_is_the_one_of_the_schema() -> None:
    (quoted,) = re.findall(
        r"^```\n(create policy.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    table = (_SCHEMAS / "13_concept_mastery.sql").read_text(encoding="utf-8")

    assert quoted in table
    for name in ("11_responses", "14_student_ability", "15_practice_sessions"):
        other = quoted.replace("concept_mastery", name.partition("_")[2])
        other = other.replace("public.responses", "public.student_responses")
        assert other in (_SCHEMAS / f"{name}.sql").read_text(encoding="utf-8")


async def test_given_the_columns_of_the_page_then_each_table_has_them(database_url: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", _PAGE.read_text(), re.MULTILINE)
    database = await asyncpg.connect(database_url)
    try:
        assert len(listed) == 4
        for table, columns in listed:
            found = await database.fetch(
                "select column_name from information_schema.columns where table_name = $1", table
            )
            names = {row[0] for row in found}
            assert {"tenant_id", "student_id", *re.findall(r"`(\w+)`", columns)} <= names
    finally:
        await database.close()


async def test_given_the_code_of_the_page_then_a_student_reads_their_own_rows(
    supabase: Supabase, node_modules: Path, tmp_path: Path
) -> None:
    await _seed(PostgrestLedger(supabase.url, supabase.service_role_key))
    code = tmp_path / "page.js"
    code.write_text("\n".join(blocks(_PAGE, "js")), encoding="utf-8")
    done = subprocess.run(
        ["node", _SCRIPT, node_modules, code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "PATH": os.environ["PATH"],
            "SUPABASE_URL": supabase.url,
            "SUPABASE_PUBLISHABLE_KEY": supabase.publishable_key,
            "TOKEN": supabase.mint("student-43", "school-7"),
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert [row["concept_id"] for row in found["mastery"]] == ["a", "b", "c"]
    assert found["mastery"][0]["attempts"] == 12
    assert found["ability"]["scale"] == "math"
    assert found["weakest"][0]["concept_id"] == "a"
    assert [row["concept_id"] for row in found["rows"]] == ["a", "b", "c"]
