"""One digit or character is altered anywhere in the ledger by plain SQL: verify names it."""

# ruff: noqa: S608  # the statements are made of the names of our own tables and columns

import math
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.support.calibrated import LAST_STEP
from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import record
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import DirectLedger
from workers.operations.repair.correcting import Corrector, Verdict
from workers.operations.repair.rebuilding import Rebuilder, Rebuilt
from workers.operations.repair.verifying import Difference, verify

LOG_TABLES = ("student_responses", "response_corrections")
STATE_TABLES = ("learners", "concept_mastery", "student_ability", "practice_sessions")
KEYS = [
    LearnerKey("school-7", "ann"),
    LearnerKey("school-7", "bob"),
    LearnerKey("school-90", "ann"),
]
LOG = [*learner_log(12, seed=31), answer(60, concepts=("c0", "c9"), score=0.25, session="s9")]

COLUMNS = """
select a.attname, format_type(a.atttypid, null) as type, a.attgenerated <> '' as generated
  from pg_attribute a
 where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
 order by a.attnum
"""


class Books:
    """A small ledger with corrections, and a connection that writes past its functions."""

    def __init__(self, ledger: DirectLedger, connection: Any) -> None:
        self.ledger = ledger
        self.connection = connection

    async def differences(self) -> list[Difference]:
        return [
            difference
            async for page in verify(self.ledger, LAST_STEP)
            for difference in page.differences
        ]

    async def rebuild(self, *, accept_log: bool = False) -> Rebuilt:
        rebuilder = Rebuilder(ledger=self.ledger, parameters=LAST_STEP, accept_log=accept_log)
        total = Rebuilt()
        async for page in rebuilder.rebuild():
            total.repaired += page.repaired
            total.damaged += page.damaged
            total.sealed += page.sealed
        return total


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    ledger = DirectLedger(database_url)
    connection = await asyncpg.connect(database_url)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=str, format="text"
    )
    try:
        for key in KEYS:
            await record(ledger, key, LOG, LAST_STEP)
        for verdict, at in (
            (Verdict("void", "cheated"), 2),
            (Verdict("rescore", "miskeyed", 0.125), 12),
            (Verdict("rescore", "after all", 0.5), 12),
        ):
            corrector = Corrector(ledger=ledger, parameters=LAST_STEP, verdict=verdict)
            await corrector.correct([(KEYS[0], LOG[at].response_id)])
        yield Books(ledger, connection)
    finally:
        await connection.close()
        await ledger.close()


def schema_of(table: str) -> str:
    return f"mastery.{table}" if table == "learners" else f"public.{table}"


def alterations(value: Any, kind: str) -> list[Any]:  # noqa: PLR0911  # one for each type
    """The value with one digit or character altered; the first that the database takes is used."""
    if kind == "uuid":
        return [str(value)[:-1] + ("0" if str(value)[-1] != "0" else "1")]
    if kind in {"text", "jsonb"}:
        places = [at for at, character in enumerate(value) if character.isdigit()] or [
            len(value) - 1
        ]
        at = places[-1]
        other = "7" if value[at] != "7" else "8"
        return [value[:at] + other + value[at + 1 :]]
    if kind == "double precision[]":
        return [[math.nextafter(value[0], 2.0), *value[1:]]]
    if kind in {"integer[]", "bigint[]"}:
        return [[value[0] + 1, *value[1:]]]
    if kind == "text[]":
        return [[*alterations(value[0], "text"), *value[1:]]]
    if kind == "double precision":
        return [math.nextafter(value, 2.0), math.nextafter(value, -2.0), value / 2]
    if kind in {"integer", "bigint"}:
        return [value + 1, value - 1]
    if kind == "boolean":
        return [not value]
    assert kind == "timestamp with time zone", kind
    assert isinstance(value, datetime)
    return [value + timedelta(microseconds=1), value - timedelta(microseconds=1)]


async def altered(connection: Any, table: str, column: str, kind: str) -> tuple[Any, ...] | None:
    """Alter one value; returns what puts it back, None where a constraint lets no value through."""
    row = await connection.fetchrow(
        f"select tableoid as place, ctid as at, {column} as value "
        f"from {schema_of(table)} where {column} is not null "
        "and tenant_id = 'school-7' and student_id = 'ann' limit 1"
    )
    assert row is not None, column
    for value in alterations(row["value"], kind):
        if value == row["value"]:
            continue
        try:
            # Not through its place in the file: a row whose key is altered may move.
            async with connection.transaction():
                moved = await connection.fetchrow(
                    f"update {schema_of(table)} set {column} = $1::{kind} "
                    f"where tableoid = $2 and ctid = $3 "
                    "returning tableoid as place, ctid as at",
                    value,
                    row["place"],
                    row["at"],
                )
        except asyncpg.IntegrityConstraintViolationError:
            continue
        return row["value"], moved["place"], moved["at"]
    return None


async def test_given_any_altered_column_of_any_table_then_verify_names_the_table(
    books: Books,
) -> None:
    assert await books.differences() == []
    refused = set()
    tried = 0
    for table in (*LOG_TABLES, *STATE_TABLES):
        for column, kind, generated in await books.connection.fetch(COLUMNS, schema_of(table)):
            if generated:
                continue  # Postgres itself computes it, and lets nobody write it
            before = await altered(books.connection, table, column, kind)
            if before is None:
                refused.add((table, column))
                continue
            tried += 1
            differing = await books.differences()
            assert any(table in difference.what for difference in differing), (
                table,
                column,
                differing,
            )
            if table in LOG_TABLES:
                value, place, at = before
                # What is computed from an altered log would be wrong as well.
                assert (await books.rebuild()).damaged != [], (table, column)
                await books.connection.execute(
                    f"update {schema_of(table)} set {column} = $1::{kind} "
                    "where tableoid = $2 and ctid = $3",
                    value,
                    place,
                    at,
                )
            else:
                assert (await books.rebuild()).repaired != [], (table, column)
            assert await books.differences() == [], (table, column)
    # A kind that does not go with its score is refused by the table itself.
    assert refused == {("response_corrections", "kind")}
    assert tried > 50


@pytest.mark.parametrize("table", [*LOG_TABLES, *STATE_TABLES])
async def test_given_any_one_row_deleted_then_verify_finds_it(books: Books, table: str) -> None:
    rows = await books.connection.fetch(
        f"select ctid as at, tableoid as place from {schema_of(table)} "
        "where tenant_id = 'school-7' and student_id = 'ann'"
    )
    assert rows
    for row in rows:
        transaction = books.connection.transaction()
        await transaction.start()
        copy = await books.connection.fetchrow(
            f"delete from {schema_of(table)} where tableoid = $1 and ctid = $2 returning *",
            row["place"],
            row["at"],
        )
        await transaction.commit()
        differing = await books.differences()
        assert differing != [], copy
        assert {difference.key for difference in differing} == {KEYS[0]}
        if table in STATE_TABLES:
            assert (await books.rebuild()).repaired == [KEYS[0]]
        else:
            assert (await books.rebuild()).damaged == [KEYS[0]]
            columns = [name for name in copy.keys() if name != "correct"]  # noqa: SIM118  # a Record iterates its values
            places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
            await books.connection.execute(
                f"insert into {schema_of(table)} ({', '.join(columns)}) values ({places})",
                *(copy[name] for name in columns),
            )
        assert await books.differences() == []


async def test_given_rows_of_nobody_then_verify_finds_and_rebuild_removes_them(
    books: Books,
) -> None:
    for student, concept in (("ann", "never answered"), ("nobody", "c0")):
        await books.connection.execute(
            "insert into public.concept_mastery select m.tenant_id, $1, $2, m.mastery, m.attempts, "
            "m.mastered, m.answered_at, m.version, m.parameters_version, m.odds_mantissa, "
            "m.odds_exponent, null from public.concept_mastery m "
            "where tenant_id = 'school-7' and student_id = 'bob' limit 1",
            student,
            concept,
        )
    differing = await books.differences()
    assert {
        difference.key.student_id
        for difference in differing
        if difference.what == "concept_mastery"
    } == {
        "ann",
        "nobody",
    }

    await books.rebuild()

    assert await books.differences() == []
    assert (
        await books.connection.fetchval(
            "select count(*) from public.concept_mastery where student_id = 'nobody' "
            "or concept_id = 'never answered'"
        )
        == 0
    )


async def test_given_rows_without_checksums_then_verify_counts_and_rebuild_seals(
    books: Books,
) -> None:
    total = 0
    for table in (*LOG_TABLES, *STATE_TABLES):
        status = await books.connection.execute(
            f"update {schema_of(table)} set checksum = null where tenant_id = 'school-7'"
        )
        total += int(status.split()[1])
    before = await books.ledger.stored(KEYS)
    assert sum(learner.unsealed for learner in before) == total > 50
    assert await books.differences() == []

    sealed = (await books.rebuild()).sealed

    assert sealed == total
    after = await books.ledger.stored(KEYS)
    assert [learner.unsealed for learner in after] == [0, 0, 0]
    assert [learner.version for learner in after] == [learner.version for learner in before]
    await books.connection.execute(
        "update public.student_responses set item_id = 'other' where student_id = 'bob'"
    )
    differing = await books.differences()
    assert sum("student_responses" in difference.what for difference in differing) == len(LOG)


async def test_given_an_altered_log_when_accepted_then_the_state_follows_from_it(
    books: Books,
) -> None:
    await books.connection.execute(
        "update public.student_responses set score = 1 - score, item_id = 'other' "
        "where student_id = 'bob' and response_id = $1",
        LOG[0].response_id,
    )
    assert (await books.rebuild()).damaged == [KEYS[1]]

    rebuilt = await books.rebuild(accept_log=True)

    assert (rebuilt.repaired, rebuilt.damaged) == ([KEYS[1]], [])
    assert await books.differences() == []
    (stored,) = await books.ledger.stored([KEYS[1]])
    assert {response.item_id for response in stored.log} >= {"other"}


async def test_given_a_learner_never_counted_that_goes_on_then_rebuild_counts_it(
    books: Books,
) -> None:
    await books.connection.execute(
        "update mastery.learners set responses = null, checksum = null where student_id = 'bob'"
    )
    await record(books.ledger, KEYS[1], [answer(90)], LAST_STEP)
    (stored,) = await books.ledger.stored([KEYS[1]])
    assert (stored.response_count, stored.unsealed) == (None, 1)
    assert await books.differences() == []

    assert (await books.rebuild()).sealed == 1

    (stored,) = await books.ledger.stored([KEYS[1]])
    assert (stored.response_count, stored.unsealed) == (len(LOG) + 1, 0)
    await books.connection.execute(
        "delete from public.student_responses where student_id = 'bob' and response_id = $1",
        answer(90).response_id,
    )
    assert any("number of rows" in difference.what for difference in await books.differences())
