"""Measure the cost of counting responses: load, fold and commit with and without `RATE_LIMIT`.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.rates

Batches of 500 responses of 250 learners are recorded in turn with and without a limit, each side
into a fresh database of its own. The measure is processor time of this process and of the
database's processes, which depends less on a busy machine than elapsed time; Linux only.
"""

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg

from bench.processor_time import backends_s
from tests.support.doubles import PARAMETERS, admission, raw, record
from tests.support.factories import event_json
from tests.support.servers import fresh_database, server_variables
from workers.admission.verdicts import Admitted
from workers.common.rate_limit import RateLimit
from workers.common.retrying import Retrying
from workers.engine.recorder import Recorder
from workers.ledger.sql.direct import DirectLedger
from workers.metrics.engine_metrics import EngineMetrics


@dataclass
class Side:
    """A recorder with a database of its own."""

    dsn: str
    ledger: DirectLedger
    recorder: Recorder
    ours_s: float = 0.0
    theirs_s: float = 0.0

    async def database_s(self) -> float:
        """Return the processor time of the database's processes so far, seconds."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return sum((await backends_s(connection)).values())
        finally:
            await connection.close()


def _batch(number: int, size: int) -> list[Admitted]:
    judge = admission()
    admitted = []
    for place in range(size):
        at = number * 2 + place // (size // 2)
        judged = judge.judge(raw(event_json(f"s-{place % (size // 2)}", at), at))
        if not isinstance(judged, Admitted):
            raise SystemExit(f"a good event is not admitted: {judged}")
        admitted.append(judged)
    return admitted


async def _main(options: argparse.Namespace) -> None:
    (admin,) = server_variables("TEST_DATABASE_URL")
    async with AsyncExitStack() as stack:
        sides = {}
        for name, limit in (("on", RateLimit(600, "minute")), ("off", None)):
            dsn = await stack.enter_async_context(fresh_database(admin, migrated=True))
            ledger = DirectLedger(dsn, connections=1)
            stack.push_async_callback(ledger.close)
            recorder = Recorder(
                ledger=ledger,
                parameters=PARAMETERS,
                retrying=Retrying(),
                meter=EngineMetrics("0"),
                rate_limit=limit,
            )
            sides[name] = Side(dsn, ledger, recorder)
        for number in range(options.rounds + options.warm):
            batch = _batch(number, options.batch_size)
            if number == options.warm:
                for side in sides.values():
                    side.ours_s, side.theirs_s = 0.0, -await side.database_s()
            for name in ("on", "off") if number % 2 else ("off", "on"):
                began = time.process_time()
                await record(sides[name].recorder, batch)
                sides[name].ours_s += time.process_time() - began
        for side in sides.values():
            side.theirs_s += await side.database_s()
    responses = options.rounds * options.batch_size
    print("processor time, ms per 1,000 responses")
    for name, side in sides.items():
        ours, theirs = (1e6 * s / responses for s in (side.ours_s, side.theirs_s))
        print(f"{name:4} worker {ours:6.1f}  database {theirs:6.1f}  both {ours + theirs:6.1f}")
    on, off = (sides[name].ours_s + sides[name].theirs_s for name in ("on", "off"))
    print(f"with a limit against without: {on / off - 1:+.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--warm", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=500)
    asyncio.run(_main(parser.parse_args()))
