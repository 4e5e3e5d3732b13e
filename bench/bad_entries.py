"""Measure the cost of bad entries among good ones, and check that each is rejected properly.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.bad_entries                      # 100,000 good, 10,000 bad
    uv run python -m bench.bad_entries --good 10000 --turns 3

A clean run of the good entries alone and a run with the bad ones spread among them alternate, each
on an empty Redis and a new database. The rate is the number of good responses per second, from the
first entry read to the last one acknowledged; the limit is 0.70 of the clean run's. A rate of all
entries would be too favourable, since a rejected entry is less work than an applied one.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
import psutil  # type: ignore[import-untyped]  # has no types of its own
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, REJECTED, RESPONSES
from tests.support.bad_entries import ISSUER, BadEntry, recovered, spread
from tests.support.bad_entry_kinds import CONFLICTS, KINDS, Fields
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from tests.support.whole_run import MASTERY_COMMAND, Setting, Started, event_of, simulated_rows

_LIMIT = 0.70
_POLL_S = 0.02
_PIPELINE = 1_000

Entries = list[tuple[Fields, BadEntry | None]]


class Run(NamedTuple):
    """Result of one run."""

    seconds: float
    cpu_s: float
    """Measured in the workers: the better figure on a machine with other work."""
    applied: int
    wrong: list[str]


def _good(rows: list[dict[str, Any]], issued_at: int) -> Entries:
    return [({b"event": event_of(row, issued_at)}, None) for row in rows]


async def _publish(client: Redis, entries: Entries) -> dict[str, BadEntry]:
    bad: dict[str, BadEntry] = {}
    for start in range(0, len(entries), _PIPELINE):
        part = entries[start : start + _PIPELINE]
        async with client.pipeline(transaction=False) as pipeline:
            for fields, _ in part:
                untyped: dict[Any, Any] = dict(fields)
                pipeline.xadd(RESPONSES, untyped)
            ids = await pipeline.execute()
        bad |= {
            entry_id.decode(): bad_entry
            for entry_id, (_, bad_entry) in zip(ids, part, strict=True)
            if bad_entry is not None
        }
    return bad


def _start(setting: Setting, options: argparse.Namespace) -> list[subprocess.Popen[bytes]]:
    # Each refusal is a line of the log at the level that is the default.
    environment = setting.environment(JWT_ISSUER=ISSUER, LOG_LEVEL=options.log_level)
    return [
        subprocess.Popen(
            [MASTERY_COMMAND, "worker", "--burst", "--role", "engine"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(options.workers)
    ]


async def watch(client: Redis, total: int, workers: Sequence[Started]) -> tuple[float, float]:
    """Measure seconds and CPU seconds from the first entry read to the last acknowledged."""
    processes = [psutil.Process(worker.pid) for worker in workers]
    began: tuple[float, float] | None = None
    while True:
        groups: Any = await client.xinfo_groups(RESPONSES) if await client.exists(RESPONSES) else []
        group = next((g for g in groups if g["name"] == ENGINE_GROUP.encode()), None)
        read = 0 if group is None else group["entries-read"] or 0
        if read and any(worker.poll() is None for worker in workers):
            now = time.perf_counter(), sum(sum(process.cpu_times()[:2]) for process in processes)
            began = began or now
            if group is not None and read == total and group["pending"] == 0:
                return now[0] - began[0], now[1] - began[1]
        elif all(worker.poll() is not None for worker in workers):
            raise SystemExit("the workers ended before the stream was drained")
        await asyncio.sleep(_POLL_S)


async def _run(options: argparse.Namespace, redis_url: str, entries: Entries) -> Run:
    (admin,) = server_variables("TEST_DATABASE_URL")
    async with fresh_database(admin, migrated=True) as dsn, Redis.from_url(redis_url) as client:
        await client.flushdb()
        bad = await _publish(client, entries)
        setting = Setting(redis_url, {"DATABASE_URL": dsn}, dsn)
        workers = _start(setting, options)
        try:
            seconds, cpu_s = await watch(client, len(entries), workers)
            for worker in workers:
                worker.wait(timeout=60)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        connection = await asyncpg.connect(dsn)
        try:
            applied = await connection.fetchval("select count(*) from public.student_responses")
        finally:
            await connection.close()
        wrong = await _wrong(client, bad)
        await client.flushdb()
    return Run(seconds, cpu_s, applied, wrong)


async def _wrong(client: Redis, bad: dict[str, BadEntry]) -> list[str]:
    """List the errors among the dead letters."""
    seen: Counter[str] = Counter()
    wrong = []
    after = "-"
    while True:
        page: Any = await client.xrange(REJECTED, min=after, count=1_000)
        if not page:
            break
        for _, fields in page:
            data = json.loads(fields[b"event"])["data"]
            entry_id = data["entry_id"]
            seen[entry_id] += 1
            bad_entry = bad.get(entry_id)
            if bad_entry is None:
                wrong.append(f"{entry_id} was refused, and is good: {data['reason']}")
            elif data["code"] != bad_entry.code:
                wrong.append(f"{bad_entry.kind}: {data['code']}, not {bad_entry.code}")
            elif recovered(data) != bad_entry.fields.get(b"event", bad_entry.fields):
                wrong.append(f"{bad_entry.kind}: its text is not kept whole")
        after = "(" + page[-1][0].decode()
    wrong += [
        f"{entry_id}: {seen[entry_id]} dead letters" for entry_id in bad if seen[entry_id] != 1
    ]
    return wrong


async def _turns(options: argparse.Namespace, redis_url: str) -> int:
    rows = simulated_rows(options.good, max(options.good // 50, 1), seed=3)
    rows.sort(key=lambda row: (row["answered_at"], row["response_id"]))
    issued_at = int(time.time())
    streams = {
        "clean": _good(rows, issued_at),
        "mixed": list(spread(rows, options.bad or options.good // 10, issued_at, seed=4)),
    }
    print(f"{len(KINDS) + len(CONFLICTS)} kinds of bad entries; {options.workers} worker(s)")
    runs: dict[str, list[Run]] = {name: [] for name in streams}
    for turn in range(1, options.turns + 1):
        for name, entries in streams.items():
            run = await _run(options, redis_url, entries)
            runs[name].append(run)
            print(
                f"{turn} {name}: {run.applied} of {len(rows)} applied, "
                f"{len(entries) - len(rows)} bad, {run.seconds:.2f} s: "
                f"{len(rows) / run.seconds:.0f} responses/s, {len(entries) / run.seconds:.0f} "
                f"entries/s; worker's CPU {run.cpu_s:.2f} s; wrong: {len(run.wrong)}"
            )
            for line in run.wrong[:10]:
                print("  " + line)
    pairs = list(zip(runs["clean"], runs["mixed"], strict=True))
    ratios = [clean.seconds / mixed.seconds for clean, mixed in pairs]
    by_cpu = [clean.cpu_s / mixed.cpu_s for clean, mixed in pairs]
    ratio = statistics.median(ratios)
    print(f"mixed / clean, responses/s: {[round(r, 3) for r in ratios]}, median {ratio:.3f}")
    print(f"the same by the worker's CPU: {[round(r, 3) for r in by_cpu]}")
    done = [run for of in runs.values() for run in of]
    right = all(run.applied == len(rows) and not run.wrong for run in done)
    return 0 if right and ratio >= _LIMIT else 1


async def _main(options: argparse.Namespace) -> int:
    (server,) = server_variables("TEST_REDIS_URL")
    async with exclusive_redis(server) as redis_url:
        return await _turns(options, redis_url)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--good", type=int, default=100_000)
    parser.add_argument("--bad", type=int, help="by default a tenth of the good ones")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log-level", default="INFO")
    raise SystemExit(asyncio.run(_main(parser.parse_args())))
