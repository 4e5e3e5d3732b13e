"""Measure bloat of the state tables after updates, by fill factor and autovacuum settings.

Usage: ``uv run python -m bench.postgres.bloat [--answers 500000] [VARIANT ...]``.
Each variant has a database with the states of so many learners after 500 answers each. Further
answers then update their rows in batches of 500 learners, a transaction each, as a commit does:
the learner's row, a concept, an ability and a session. The log is left out, since nothing updates
it: ``bench.postgres.freezing`` measures it.
"""

import argparse
import asyncio
import time
from typing import Any, Final

import asyncpg

from bench.postgres.server import database, own_postgres, schema
from bench.speed.answers import Answers
from bench.speed.cases import Contender
from bench.speed.stored import TABLES, copy_learner, record_rows

_HISTORY: Final = 500
_BATCH: Final = 500
_TENANT: Final = "school"
_STATES: Final = (
    "mastery.learners",
    "public.concept_mastery",
    "public.student_ability",
    "public.practice_sessions",
)

_EAGER: Final = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0"
VARIANTS: Final[dict[str, str]] = {
    "full": "fillfactor = 100",
    "80": "fillfactor = 80",
    "50": "fillfactor = 50",
    "80, eager": f"fillfactor = 80, {_EAGER}",
    "full, eager": f"fillfactor = 100, {_EAGER}",
    "80, snapshot": "fillfactor = 80",
}
"""Storage parameters of the tables of states; a snapshot is held open during the answers."""

_UPDATE: Final = """
with who as materialized (
  select 'student-' || trunc(random() * $1)::int as student from generate_series(1, $2)),
chosen as materialized (select distinct student from who),
l as (
  update mastery.learners t set version = version + 1, checksum = checksum + 1,
         responses = responses + 1, answered_at = now()
    from chosen c where t.tenant_id = 'school' and t.student_id = c.student),
m as (
  update public.concept_mastery t set version = version + 1, checksum = checksum + 1,
         mastery = random(), attempts = attempts + 1, answered_at = now()
    from (select student, 'c-' || trunc(random() * 16)::int as concept from chosen) c
   where t.tenant_id = 'school' and t.student_id = c.student and t.concept_id = c.concept),
a as (
  update public.student_ability t set version = version + 1, checksum = checksum + 1,
         theta = random(), responses = responses + 1
    from chosen c where t.tenant_id = 'school' and t.student_id = c.student)
update public.practice_sessions t set version = version + 1, checksum = checksum + 1,
       responses = responses + 1
  from (select student, 's-' || trunc(random() * 25)::int as session from chosen) c
 where t.tenant_id = 'school' and t.student_id = c.student and t.session_id = c.session
"""
_SIZES: Final = """
select pg_table_size($1::text::regclass) as heap, pg_indexes_size($1::text::regclass) as indexes
"""
_COUNTS: Final = """
select n_tup_upd as updates, n_tup_hot_upd as hot, n_dead_tup as dead, autovacuum_count as vacuums
  from pg_stat_user_tables where relid = $1::text::regclass
"""


async def _filled(dsn: str, storage: str, learners: int) -> None:
    contender = Contender("bloat", learners=learners, history=_HISTORY)
    await record_rows(dsn, Answers(contender, _TENANT).history(0))
    connection = await asyncpg.connect(dsn)
    try:
        for table in _STATES:
            await connection.execute(f"alter table {table} set ({storage})")
        for table in TABLES:
            if table in _STATES:
                await copy_learner(connection, table, _TENANT, learners)
        # Rewrites each table with its fill factor, in the order of its key.
        await connection.execute("vacuum full", timeout=600)
        await connection.execute("vacuum analyze", timeout=600)
        await connection.execute("select pg_stat_reset()")
    finally:
        await connection.close()


async def _sizes(connection: Any) -> dict[str, Any]:
    return {table: await connection.fetchrow(_SIZES, table) for table in _STATES}


async def _measure(dsn: str, variant: str, learners: int, answers: int) -> None:
    connection: Any = await asyncpg.connect(dsn)
    old: Any = await asyncpg.connect(dsn)
    try:
        await connection.execute("set enable_hashjoin = off; set enable_mergejoin = off")
        await connection.execute("set enable_seqscan = off; set jit = off")
        if "snapshot" in variant:
            await old.execute("begin isolation level repeatable read; select 1")
            await old.fetchval("select count(*) from mastery.settings")
        before = await _sizes(connection)
        position = await connection.fetchval("select pg_current_wal_lsn()")
        began = time.perf_counter()
        for _ in range(answers // _BATCH):
            await connection.execute(_UPDATE, learners, _BATCH)
        spent = time.perf_counter() - began
        wal = await connection.fetchval("select pg_current_wal_lsn() - $1::pg_lsn", position)
        await asyncio.sleep(1)  # until the statistics are told
        after = await _sizes(connection)
        print(f"{variant}: {answers:,} in {spent:.0f} s, {float(wal) / answers:.0f} B of WAL each")
        for table in _STATES:
            heap, indexes = before[table]
            heap_now, indexes_now = after[table]
            updates, hot, dead, vacuums = await connection.fetchrow(_COUNTS, table)
            print(
                f"  {table:<27} heap {heap / 1e6:>7.1f} to {heap_now / 1e6:>7.1f} MB, indexes "
                f"{indexes / 1e6:>6.1f} to {indexes_now / 1e6:>6.1f} MB, "
                f"HOT {hot / max(1, updates):>6.1%}, dead {dead:>9,}, vacuums {vacuums}",
                flush=True,
            )
    finally:
        await old.close()
        await connection.close()


async def _main(variants: list[str], learners: int, answers: int) -> None:
    async with own_postgres("autovacuum_naptime=10s") as server:
        for number, variant in enumerate(variants):
            dsn = await database(server, f"variant_{number}", schema())
            await _filled(dsn, VARIANTS[variant], learners)
            await _measure(dsn, variant, learners, answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", choices=[*VARIANTS, []], default=[])
    parser.add_argument("--learners", type=int, default=20_000)
    parser.add_argument("--answers", type=int, default=500_000)
    chosen = parser.parse_args()
    asyncio.run(_main(chosen.variants or list(VARIANTS), chosen.learners, chosen.answers))
