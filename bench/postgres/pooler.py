"""The cost of a transaction pooler: load and commit of a batch, direct and through PgBouncer.

Usage: ``uv run python -m bench.postgres.pooler [--batches 30]``. The sides take turns, on
databases of their own.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
from statistics import median

from bench.postgres.partitions import Side
from bench.postgres.server import database, own_postgres, schema
from bench.speed.answers import Answers
from bench.speed.cases import Contender
from tests.faults.servers import scratch
from tests.support.pgbouncer import pgbouncer

_CONTENDER = Contender("pooler", learners=500)


async def _main(batches: int) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(own_postgres())
        directory = stack.enter_context(scratch())
        sides = {}
        for number, name in enumerate(("direct", "no prepared statements", "PgBouncer")):
            dsn = await database(server, f"side_{number}", schema())
            if name == "PgBouncer":
                dsn = await stack.enter_async_context(pgbouncer(dsn, directory))
            query = "" if name == "direct" else "?pgbouncer=true"
            sides[name] = Side(16, dsn + query, Answers(_CONTENDER, "school"))
        for _ in range(batches):
            for side in sides.values():
                await side.round(1)
        for name, side in sides.items():
            print(
                f"{name:<23} load {median(side.load_ms):6.1f} ms, commit "
                f"{median(side.commit_ms):6.1f} ms for 500 answers"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=30)
    asyncio.run(_main(parser.parse_args().batches))
