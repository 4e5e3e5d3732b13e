"""Stored answers of learners before a run: one learner's are recorded, and copied for the others.

Copied rows take checksums of their own: a replay refuses a learner whose log was altered.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from bench.speed.answers import Answers, Row, learner_name
from bench.speed.cases import Contender
from tests.support.doubles import admission, record, recorder
from tests.support.whole_run import event_of
from workers.admission.verdicts import Admitted
from workers.ledger.sql.direct import DirectLedger
from workers.streams.batch import RawEntry

_BATCH: Final = 1_000
TABLES: Final = {
    "mastery.learners": "learner_checksum",
    "mastery.snapshots": "snapshot_checksum",
    "public.student_responses": "response_checksum",
    "public.concept_mastery": "concept_checksum",
    "public.student_ability": "ability_checksum",
    "public.practice_sessions": "session_checksum",
}
"""The function of each table that gives a row's checksum; its arguments are columns."""
_OTHERS: Final = 500
"""Stored answers of each learner who does not answer during the run."""


async def store(dsn: str, contender: Contender, answers: Answers, tenant: str) -> None:
    """Store the histories of a contender's learners, and the answers of other learners."""
    if contender.history:
        await _store(dsn, answers.history(0), tenant, contender.learners)
    if contender.stored:
        others = f"{tenant}-others"
        before = Answers(replace(contender, history=_OTHERS), others)
        await _store(dsn, before.history(0), others, contender.stored // _OTHERS)


async def _store(dsn: str, rows: Sequence[Row], tenant: str, learners: int) -> None:
    await record_rows(dsn, rows)
    connection = await asyncpg.connect(dsn)
    try:
        for table in TABLES:
            await copy_learner(connection, table, tenant, learners)
        await connection.execute("analyze")
    finally:
        await connection.close()


async def record_rows(dsn: str, rows: Sequence[Row]) -> None:
    """Record answers as a worker does."""
    ledger, judge, now = DirectLedger(dsn), admission(), int(time.time())
    work = recorder(ledger)
    try:
        for start in range(0, len(rows), _BATCH):
            admitted = []
            for number, row in enumerate(rows[start : start + _BATCH]):
                entry = RawEntry(f"{now * 1000}-{start + number}", {b"event": event_of(row, now)})
                judged = judge.judge(entry)
                if not isinstance(judged, Admitted):
                    raise SystemExit(f"a good event is not admitted: {judged}")
                admitted.append(judged)
            await record(work, admitted)
    finally:
        await ledger.close()


async def copy_learner(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, tenant: str, learners: int
) -> None:
    """Copy a table's rows of the first learner of a tenant for all its other learners."""
    columns = await connection.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 "
        "and not attisdropped and attgenerated = '' and attname <> all ('{student_id,checksum}')",
        table,
    )
    names = ", ".join(row["attname"] for row in columns)
    of_checksum = await connection.fetchval(
        "select array_to_string(proargnames, ', ') from pg_proc "
        "where proname = $1 and pronamespace = 'mastery'::regnamespace",
        TABLES[table],
    )
    # Names are of the catalogue and the list above, never input.
    await connection.execute(
        f"insert into {table} (student_id, {names}, checksum) "  # noqa: S608
        f"select student_id, {names}, mastery.{TABLES[table]}({of_checksum}) "
        f"from (select 'student-' || n as student_id, {names} "
        f"from {table}, generate_series(1, $2::int - 1) as n "
        "where student_id = $3 and tenant_id = $1 offset 0) as copies",
        tenant,
        learners,
        learner_name(0),
    )
