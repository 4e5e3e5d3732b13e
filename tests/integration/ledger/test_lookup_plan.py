"""Looking a response up on a real Postgres: by its key, however little the planner knows."""

import asyncpg
import pytest

from tests.support.factories import answer
from tests.support.ledger_steps import commit, folded, load
from workers.estimation.learner import LearnerKey
from workers.ledger.sql.direct import DirectLedger

LEARNER = LearnerKey("school-7", "of-a-long-history")
HISTORY = 5_000
# As `mastery_load` asks, and under its settings.
LOOK_UPS = """
explain (costs off)
select s.response_id
  from unnest($1::text[], $2::text[], $3::uuid[]) as r(tenant, student, id),
       lateral (select * from public.student_responses s
                 where s.tenant_id = r.tenant and s.student_id = r.student
                   and s.response_id = r.id offset 0) as s
"""
SETTINGS = """
set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off;
set jit = off; set plan_cache_mode = force_generic_plan
"""
ONE_ANSWER_EACH = """
insert into public.student_responses
  (tenant_id, student_id, response_id, item_id, concept_ids, scale, score, answered_at, version,
   entry, outcome)
select 'school-7', $1 || n, gen_random_uuid(), 'q', '{c}', 'math', 1,
       timestamptz '2026-01-01' + n * interval '1 s', n, n::text, '{}'
  from generate_series(1, 3000) as n
"""
HISTORY_OF_ONE = ONE_ANSWER_EACH.replace("$1 || n", "$1").replace("3000", str(HISTORY))
READ_IN_ORDER = """
select coalesce(sum(idx_tup_read), 0)::int from pg_stat_user_indexes
 where relname like 'student\\_responses%' and indexrelname like '%answered\\_at%'
"""


async def plan(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
    await connection.execute(SETTINGS)
    rows = await connection.fetch(LOOK_UPS, ["t"], ["s"], [answer(1).response_id])
    return "\n".join(row[0] for row in rows)


async def fill(connection: "asyncpg.Connection[asyncpg.Record]", known: str) -> None:
    """Bring the statistics into one of the states in which both indexes cost the same."""
    if known != "nothing":
        await connection.execute(ONE_ANSWER_EACH, "student-")
        await connection.execute("analyze public.student_responses")
    await connection.execute(HISTORY_OF_ONE, LEARNER.student_id)


@pytest.mark.parametrize("known", ["nothing", "one answer each"])
async def test_given_poor_statistics_then_each_partition_is_read_by_key(
    database_url: str, known: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await fill(connection, known)
        shown = await plan(connection)
    finally:
        await connection.close()

    for partition in range(16):
        assert f"student_responses_{partition:02}_pkey" in shown
    assert "answered_at" not in shown


@pytest.mark.parametrize("known", ["nothing", "one answer each"])
async def test_given_a_long_history_then_load_and_commit_do_not_scan_it(
    database_url: str, known: str
) -> None:
    connection = await asyncpg.connect(database_url)
    ledger = DirectLedger(database_url, connections=1)
    try:
        await fill(connection, known)
        await connection.execute("select pg_stat_force_next_flush()")
        before = await connection.fetchval(READ_IN_ORDER)
        for number in range(3):
            made = folded(LEARNER, await load(ledger, LEARNER, [answer(number)]), [answer(number)])
            await commit(ledger, made)
        await ledger.close()
        read = await statistics(connection)
    finally:
        await ledger.close()
        await connection.close()

    assert read - before < HISTORY / 10


async def test_given_a_scan_in_order_then_the_counter_of_the_test_sees_it(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await fill(connection, "nothing")
        await connection.execute("set enable_seqscan = off; set enable_sort = off")
        await connection.fetch(
            "select 1 from public.student_responses where tenant_id = 'school-7' "
            "and student_id = $1 order by answered_at, response_id",
            LEARNER.student_id,
        )
        assert await statistics(connection) >= HISTORY
    finally:
        await connection.close()


async def statistics(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Read the counter once every session's counts have arrived."""
    await connection.execute("select pg_stat_force_next_flush()")
    await connection.execute("select pg_stat_clear_snapshot()")
    return int(await connection.fetchval(READ_IN_ORDER))
