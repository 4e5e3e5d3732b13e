"""Kill workers again and again under load: nothing is lost, nothing is counted twice.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.kills
    uv run python -m bench.kills --responses 10000 --kills 10

The load is published at once: simulated responses, 30 % of them twice and 10 % late. Each kill is a
SIGKILL of a random worker when its share of the work is done; another worker replaces it.
Afterwards the ledger is compared with a separate replay, the published events with the log, and
pending entries are counted.
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES
from tests.faults.load import LATE, REPEATED, published
from tests.faults.processes import until
from tests.support.run_results import events_differences, run_results, stored_mastery
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from tests.support.whole_run import Setting, drain, publish, simulated_rows, start_worker

_ENGINE = ("--role", "engine")


async def _applied(connection: Any) -> int:
    # Versions are taken one for each response, those of conflicts included: near enough.
    return int(await connection.fetchval("select last_value from mastery.learner_version"))


async def _committed_and_pending(redis_url: str, connection: Any) -> int:
    """Count committed entries that nobody has acknowledged: this work has to be repeated."""
    async with Redis.from_url(redis_url) as client:
        pending: Any = await client.xpending_range(RESPONSES, ENGINE_GROUP, "-", "+", 100_000)
    entries = [f"{RESPONSES}/{row['message_id'].decode()}" for row in pending]
    query = "select count(*) from public.student_responses where entry = any($1)"
    return int(await connection.fetchval(query, entries))


async def _kill(setting: Setting, options: argparse.Namespace) -> None:
    """Run workers and kill them, evenly over the run; returns after the last kill."""
    chance = random.Random(options.seed)
    settings = {"BATCH_SIZE": str(options.batch_size), "STREAM_KEEP": "10000000"}
    running = [start_worker(setting, *_ENGINE, **settings) for _ in range(options.workers)]
    connection = await asyncpg.connect(setting.dsn)
    try:
        for number in range(1, options.kills + 1):
            goal = options.responses * number / (options.kills + 1)

            async def reached(goal: float = goal) -> bool:
                return await _applied(connection) >= goal

            await until(reached, f"{goal:.0f} responses are applied", within_s=600)
            await asyncio.sleep(chance.uniform(0, 0.05))  # at any step of a batch
            victim = chance.randrange(options.workers)
            running[victim].kill()
            running[victim].wait()
            running[victim] = start_worker(setting, *_ENGINE, **settings)
    finally:
        repeated = await _committed_and_pending(setting.redis_url, connection)
        await connection.close()
        for worker in running:
            worker.kill()
            worker.wait()
    print(f"killed {options.kills} and at last all; {repeated} committed entries unacknowledged")


async def _run(options: argparse.Namespace, setting: Setting) -> int:
    rows = simulated_rows(options.responses, max(60, options.responses // 100), options.seed)
    entries = published(rows, options.seed)
    await publish(setting.redis_url, entries)
    late = _late(entries)
    print(
        f"{len(rows)} responses, {len(entries)} entries: "
        f"{len(entries) - len(rows)} repeated ({REPEATED:.0%}), {late} late ({LATE:.0%})"
    )
    began = time.monotonic()
    await _kill(setting, options)
    drain(
        setting,
        roles=("engine",),
        workers=options.workers,
        BATCH_SIZE=str(options.batch_size),
        STREAM_KEEP="10000000",
    )
    print(f"{time.monotonic() - began:.0f} s until nothing was unread and nothing pending")
    result = await run_results(setting, rows, options.tolerance)
    wrong = result.differences
    wrong += events_differences(result, rows, await stored_mastery(setting.dsn))
    print(f"events {result.events.total()}, distinct {len(result.events)}")
    print(f"stranded pending entries {result.pending}, rejected {dict(result.rejected)}")
    print(f"differences over {options.tolerance:g} to the replay and the events: {len(wrong)}")
    for line in wrong[:10]:
        print("  " + line)
    return int(bool(wrong or result.pending or result.rejected))


def _late(entries: Sequence[dict[str, Any]]) -> int:
    """Count responses that come after a later one of their learner, repeats excluded."""
    newest: dict[tuple[str, str], int] = {}
    seen: Counter[str] = Counter()
    late = 0
    for row in entries:
        seen[row["response_id"]] += 1
        key = row["tenant_id"], row["student_id"]
        late += seen[row["response_id"]] == 1 and row["answered_at"] < newest.get(key, 0)
        newest[key] = max(newest.get(key, 0), row["answered_at"])
    return late


async def _main(options: argparse.Namespace) -> int:
    redis, admin = server_variables("TEST_REDIS_URL", "TEST_DATABASE_URL")
    async with exclusive_redis(redis) as own_redis, fresh_database(admin, migrated=True) as dsn:
        return await _run(options, Setting(own_redis, {"DATABASE_URL": dsn}, dsn))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=1e-12)
    raise SystemExit(asyncio.run(_main(parser.parse_args())))
