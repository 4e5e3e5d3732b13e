"""Freezing of the log: at the first vacuum after its rows were inserted, or later all at once.

Usage: ``uv run python -m bench.postgres.freezing [--rows 300000]``. Two databases get the same
answers. In one the vacuum that follows inserts freezes the rows, as with
``autovacuum_freeze_min_age = 0``; in the other it does not, and a vacuum against wraparound does it
later. Told are the seconds and the journal of both vacuums.
"""

import argparse
import asyncio
import time
from typing import Any, Final

import asyncpg

from bench.postgres.server import database, own_postgres, schema
from bench.speed.answers import Answers
from bench.speed.cases import Contender
from bench.speed.stored import store

_TENANT: Final = "school"
_HISTORY: Final = 500
_LATER: Final = "vacuum (freeze, index_cleanup off) public.student_responses"
_FIRST: Final = {
    "frozen at the first vacuum": _LATER,
    "frozen later": "vacuum (index_cleanup off) public.student_responses",
}


async def _timed(connection: Any, statement: str) -> str:
    position = await connection.fetchval("select pg_current_wal_lsn()")
    began = time.perf_counter()
    await connection.execute(statement, timeout=300)
    spent = time.perf_counter() - began
    wal = await connection.fetchval("select pg_current_wal_lsn() - $1::pg_lsn", position)
    return f"{spent:.1f} s, {float(wal) / 1e6:.0f} MB of WAL"


async def _main(rows: int) -> None:
    contender = Contender("freezing", learners=rows // _HISTORY, history=_HISTORY)
    async with own_postgres("autovacuum=off") as server:
        for number, (name, first) in enumerate(_FIRST.items()):
            dsn = await database(server, f"freezing_{number}", schema())
            await store(dsn, contender, Answers(contender, _TENANT), _TENANT)
            connection = await asyncpg.connect(dsn)
            try:
                before = await _timed(connection, first)
                # By then its pages were written long ago: each goes whole into the journal again.
                await connection.execute("checkpoint", timeout=300)
                later = await _timed(connection, _LATER)
            finally:
                await connection.close()
            print(f"{name}: first vacuum {before}; later {later}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    asyncio.run(_main(parser.parse_args().rows))
