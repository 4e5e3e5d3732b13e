"""Measure the cost of verifying each token: throughput in verify mode against trust mode.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.tokens                        # 2,000 students, 20 events a token
    uv run python -m bench.tokens --students 500 --turns 5

The same entries with their tokens run in turn with JWT_MODE=trust, and with JWT_MODE=verify and an
ES256 key fetched from a key set, each on an empty Redis and a new database. The rate covers the
first entry read to the last one acknowledged; the limit is 0.85 of trust's. The order of the two
changes with each turn.
"""

import argparse
import asyncio
import random
import statistics
from collections import Counter
from typing import Any

import asyncpg
from redis.asyncio import Redis

from bench.bad_entries import Run, watch
from contracts.streams import REJECTED, RESPONSES
from tests.support.issuer import ISSUER, KeyServer, SigningKey, token_claims
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from tests.support.token_events import token_event
from tests.support.whole_run import Setting, start_worker

_LIMIT = 0.85
_PIPELINE = 1_000


def _events(options: argparse.Namespace, key: SigningKey) -> list[bytes]:
    """Make each student's events under one token, students mixed as in a school."""
    chance = random.Random(5)
    students = [f"student-{n}" for n in range(options.students)]
    signed = {student: (claims := token_claims(student), key.sign(claims)) for student in students}
    order = [student for student in students for _ in range(options.events)]
    chance.shuffle(order)
    seen: Counter[str] = Counter()
    events = []
    for student in order:
        seen[student] += 1
        claims, token = signed[student]
        events.append(token_event(claims, token, seen[student], chance))
    return events


async def _run(redis_url: str, events: list[bytes], settings: dict[str, str]) -> Run:
    (admin,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(admin, migrated=True) as dsn, Redis.from_url(redis_url) as client:
        await client.flushdb()
        for start in range(0, len(events), _PIPELINE):
            async with client.pipeline(transaction=False) as pipeline:
                for event in events[start : start + _PIPELINE]:
                    pipeline.xadd(RESPONSES, {"event": event})
                await pipeline.execute()
        setting = Setting(redis_url, {"DATABASE_URL": dsn}, dsn)
        worker = start_worker(setting, "--burst", "--role", "engine", JWT_ISSUER=ISSUER, **settings)
        try:
            seconds, cpu_s = await watch(client, len(events), [worker])
            worker.wait(timeout=60)
        finally:
            worker.kill()
            worker.wait()
        connection = await asyncpg.connect(dsn)
        try:
            applied = await connection.fetchval("select count(*) from public.student_responses")
        finally:
            await connection.close()
        letters: Any = await client.xrange(REJECTED, count=5)
        await client.flushdb()
    return Run(seconds, cpu_s, applied, [str(fields)[:300] for _, fields in letters])


async def _turns(options: argparse.Namespace, redis_url: str, server: KeyServer) -> int:
    events = _events(options, server.keys[0])
    modes = {
        "trust": {"JWT_MODE": "trust"},
        "verify": {"JWT_MODE": "verify", "JWT_JWKS_URL": server.url},
    }
    runs: dict[str, list[Run]] = {name: [] for name in modes}
    for turn in range(options.turns):
        for name in sorted(modes, reverse=bool(turn % 2)):
            run = await _run(redis_url, events, modes[name])
            runs[name].append(run)
            print(
                f"{turn + 1} {name}: {run.applied} of {len(events)} applied in {run.seconds:.2f} s:"
                f" {len(events) / run.seconds:.0f} events/s; worker's CPU {run.cpu_s:.2f} s"
            )
            for line in run.wrong:
                print("  refused: " + line)
    pairs = list(zip(runs["trust"], runs["verify"], strict=True))
    ratios = [trust.seconds / verify.seconds for trust, verify in pairs]
    by_cpu = [trust.cpu_s / verify.cpu_s for trust, verify in pairs]
    ratio = statistics.median(ratios)
    print(f"verify / trust, events/s: {[round(r, 3) for r in ratios]}, median {ratio:.3f}")
    print(
        f"the same by the worker's CPU: {[round(r, 3) for r in by_cpu]}, "
        f"median {statistics.median(by_cpu):.3f}"
    )
    right = all(run.applied == len(events) and not run.wrong for of in runs.values() for run in of)
    return 0 if right and ratio >= _LIMIT else 1


async def _main(options: argparse.Namespace) -> int:
    (server,) = server_variables("TEST_REDIS_URL")
    with KeyServer(SigningKey("bench")) as keys:
        async with exclusive_redis(server) as redis_url:
            return await _turns(options, redis_url, keys)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=20, help="of each token")
    parser.add_argument("--turns", type=int, default=4)
    raise SystemExit(asyncio.run(_main(parser.parse_args())))
