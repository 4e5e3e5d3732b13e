"""Number of hash partitions of the log: time of a commit, size and locks.

Usage: ``uv run python -m bench.postgres.partitions [--rows 1000000] [--batches 40] [1 4 16 64]``.
Each number has a database of its own on one server, with the same answers. Batches of answers then
go through the recorder, one database after the other, so that a slow minute hits all alike.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import asyncpg

from bench.postgres.server import TimedLedger, answer, database, own_postgres, schema
from bench.speed.answers import Answers
from bench.speed.cases import Contender
from bench.speed.stored import store
from tests.faults.servers import PostgresServer
from tests.support.doubles import recorder

_HISTORY: Final = 500
_BATCH: Final = 500
_TENANT: Final = "school"
_SIZE: Final = """
select sum(pg_table_size(c.oid))::float8 as heap, sum(pg_indexes_size(c.oid))::float8 as indexes
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'public.student_responses'::regclass
"""
_DETACH: Final = """
alter table public.student_responses detach partition mastery.student_responses_00;
alter table mastery.student_responses_00 rename to filled;
drop index public.student_responses_in_order;
alter table public.student_responses drop constraint student_responses_pkey;
"""
# In the order of the migration: of two indexes that cost the same, the newer one is taken.
_SPREAD: Final = """
insert into public.student_responses (
  tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score, answered_at,
  recorded_at, version, entry, outcome, checksum)
select tenant_id, student_id, response_id, session_id, item_id, concept_ids, scale, score,
       answered_at, recorded_at, version, entry, outcome, checksum
  from mastery.filled;
drop table mastery.filled;
create index student_responses_in_order
  on public.student_responses (tenant_id, student_id, answered_at, response_id);
alter table public.student_responses add primary key (tenant_id, student_id, response_id);
"""
_LOCKS: Final = (
    "select count(*) from pg_locks where pid = pg_backend_pid() and relation is not null"
)


@dataclass
class Side:
    """One number of partitions.

    Args:
        partitions: the number.
        dsn: its database.
        answers: deals the answers that follow.
        load_ms: time of a batch's load, milliseconds.
        commit_ms: time of a batch's commit, milliseconds.
    """

    partitions: int
    dsn: str
    answers: Answers
    load_ms: list[float] = field(default_factory=list)
    commit_ms: list[float] = field(default_factory=list)
    sent: int = 0
    ledger: TimedLedger | None = None

    async def round(self, batches: int) -> None:
        """Process some batches, each with a learner's one answer at most.

        The connections stay, so that their plans are made once. Each batch has a recorder of its
        own, which has no state in its memory.
        """
        if self.ledger is None:
            self.ledger = TimedLedger(self.dsn)
        for _ in range(batches):
            self.ledger.spent_s = {}
            rows = self.answers.take(_BATCH)
            await answer(recorder(self.ledger), rows, _BATCH, self.sent, int(time.time()))
            self.sent += _BATCH
            self.load_ms.append(self.ledger.spent_s["mastery_load"] * 1000)
            self.commit_ms.append(self.ledger.spent_s["mastery_commit"] * 1000)


async def _fill(dsn: str, rows: int) -> None:
    contender = _contender(rows)
    await store(dsn, contender, Answers(contender, _TENANT), _TENANT)


def _contender(rows: int) -> Contender:
    return Contender("partitions", learners=rows // _HISTORY, history=_HISTORY)


async def _repartitioned(server: PostgresServer, filled: str, partitions: int) -> str:
    """Copy the filled database, spread its log over so many partitions, and return its DSN."""
    name = f"of_{partitions}"
    admin = await asyncpg.connect(server.url)
    try:
        await admin.execute(f"create database {name} template {filled} strategy file_copy")
    finally:
        await admin.close()
    dsn = server.url.removesuffix("/postgres") + f"/{name}"
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_DETACH)
        for remainder in range(partitions):
            await connection.execute(
                f"create table mastery.student_responses_{remainder:02} partition of "
                f"public.student_responses for values with (modulus {partitions}, "
                f"remainder {remainder})"
            )
        await connection.execute(_SPREAD)
        await connection.execute("vacuum analyze")
    finally:
        await connection.close()
    return dsn


async def _side(dsn: str, partitions: int, rows: int) -> Side:
    answers = Answers(_contender(rows), _TENANT)
    answers.history(0)  # as many ids are taken as when the database was filled
    return Side(partitions, dsn, answers)


async def _report(side: Side) -> str:
    if side.ledger is not None:
        await side.ledger.close()
    connection = await asyncpg.connect(side.dsn)
    try:
        ((heap, indexes),) = await connection.fetch(_SIZE)
        async with connection.transaction():
            await connection.fetchval(
                "select public.mastery_log_page($1)",
                f'{{"tenant": "{_TENANT}", "student": "student-7", "limit": 100}}',
            )
            locks = await connection.fetchval(_LOCKS)
        began = time.perf_counter()
        await connection.execute("vacuum (freeze, analyze) public.student_responses", timeout=600)
        vacuum_s = time.perf_counter() - began
    finally:
        await connection.close()
    commits = sorted(side.commit_ms)
    return (
        f"{side.partitions:>10} {heap / 1e6:>8.0f} "
        f"{indexes / 1e6:>8.0f} {median(side.load_ms):>8.1f} {median(commits):>8.1f} "
        f"{commits[len(commits) * 9 // 10]:>8.1f} {locks:>6} {vacuum_s:>8.1f}"
    )


async def _main(counts: list[int], rows: int, batches: int) -> None:
    async with own_postgres("autovacuum=off") as server:
        sides = []
        await _fill(await database(server, "filled", schema(1)), rows)
        for count in counts:
            dsn = await _repartitioned(server, "filled", count)
            sides.append(await _side(dsn, count, rows))
        for _ in range(batches // 4):
            for side in sides:
                await side.round(4)
        print("partitions  heap MB index MB  load ms commit ms   p90 ms  locks vacuum s")
        for side in sides:
            print(await _report(side), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("partitions", nargs="*", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--rows", type=int, default=1_000_000, help="stored answers of each")
    parser.add_argument("--batches", type=int, default=40, help="batches of 500 of each")
    chosen = parser.parse_args()
    asyncio.run(_main(chosen.partitions, chosen.rows, chosen.batches))
