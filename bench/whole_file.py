"""Run a whole data set through worker processes on real servers, and compare with a replay.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.whole_file FILE --ledger direct
    uv run python -m bench.whole_file FILE --ledger supabase
    uv run python -m bench.whole_file FILE --twice --workers 3
    uv run python -m bench.whole_file FILE --kills 10

The rate covers the engine alone: from the first worker's start until nothing is unread or pending.
The limit is the rate of a loop that only reads and acknowledges the same entries.
"""

import argparse
import asyncio
import random
import subprocess
import time
from pathlib import Path
from typing import Any

from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from bench.settings import neo4j_server, setting_of
from contracts.streams import RESPONSES
from tests.support.oracle import rows_of_csv
from tests.support.run_results import (
    events_differences,
    graph_differences,
    run_results,
    stored_mastery,
)
from tests.support.servers import server_variables
from tests.support.whole_run import MASTERY_COMMAND, Setting, drain, publish


async def _limit(redis_url: str) -> float:
    """Measure entries per second of a bare read-and-acknowledge loop."""
    async with Redis.from_url(redis_url) as client:
        await client.xgroup_create(RESPONSES, "limit", id="0")
        began, total = time.perf_counter(), 0
        while True:
            answer: Any = await client.xreadgroup("limit", "one", {RESPONSES: ">"}, count=500)
            if not answer:
                break
            entries = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
            entries = entries[0] if isinstance(entries[0], list) else entries
            await client.xack(RESPONSES, "limit", *(entry[0] for entry in entries))
            total += len(entries)
        rate = total / (time.perf_counter() - began)
        await client.xgroup_destroy(RESPONSES, "limit")
    return rate


async def _run(options: argparse.Namespace, setting: Setting) -> int:
    rows = rows_of_csv(options.file, options.limit)
    published = rows
    if options.twice:
        published = rows * 2
        random.Random(7).shuffle(published)
    async with Redis.from_url(setting.redis_url) as client:
        await client.flushdb()
    await _empty_graph(setting)
    count = await publish(setting.redis_url, published)
    limit = await _limit(setting.redis_url)
    seconds = drain(
        setting, roles=("engine",), workers=options.workers, kills=options.kills, seed=11
    )
    rate = count / seconds
    print(f"engine: {count} entries in {seconds:.1f} s: {rate:.0f}/s, start included")
    print(f"limit (read and acknowledge alone): {limit:.0f}/s, ratio {rate / limit:.3f}")
    seconds = drain(setting, roles=("graph",), BATCH_SIZE="2000")
    print(f"graph: {seconds:.1f} s")
    verified = subprocess.run(
        [MASTERY_COMMAND, "verify"], env=setting.environment(), check=False, capture_output=True
    )
    print(f"mastery verify: {verified.returncode}: {verified.stdout.decode().strip()}")
    result = await run_results(setting, rows, tolerance=options.tolerance)
    stored = await stored_mastery(setting.dsn)
    wrong = result.differences + events_differences(result, rows, stored)
    wrong += await graph_differences(setting)
    print(f"events {result.events.total()}, distinct {len(result.events)}, wanted {len(rows)}")
    print(f"pending {result.pending}, rejected {dict(result.rejected)}")
    print(f"events out of the order of versions: {result.disordered}")
    print(
        f"differences over {options.tolerance:g} to the replay, the events, the graph: {len(wrong)}"
    )
    for line in wrong[:10]:
        print("  " + line)
    return 1 if wrong or verified.returncode else 0


async def _empty_graph(setting: Setting) -> None:
    login = (setting.graph["NEO4J_USERNAME"], setting.graph["NEO4J_PASSWORD"])
    async with AsyncGraphDatabase.driver(setting.graph["NEO4J_URI"], auth=login) as driver:
        await driver.execute_query("MATCH (n) DETACH DELETE n")


async def _main(options: argparse.Namespace) -> int:
    (redis_url,) = server_variables("TEST_REDIS_URL")
    graph = neo4j_server().environment
    async with setting_of(options.ledger, f"{redis_url}/14", graph) as setting:
        return await _run(options, setting)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--ledger", choices=("direct", "supabase"), default="direct")
    parser.add_argument("--limit", type=int, help="only so many rows")
    parser.add_argument("--twice", action="store_true", help="published twice, shuffled")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-12)
    raise SystemExit(asyncio.run(_main(parser.parse_args())))
