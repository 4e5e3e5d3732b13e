"""Measure a worker's memory and the lengths of streams while it works off a long backlog.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.memory
    uv run python -m bench.memory --count 60000 --mark 20000

All responses are published before the worker starts, the longest possible backlog. A subscriber
reads every mastery event at once, so that only `--keep` holds events back. The bench ends with 1 if
the worker's memory at the end is more than 20 % above the one at the mark, or if a stream is longer
than allowed.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psutil  # type: ignore[import-untyped]  # has no types of its own
from redis.asyncio import Redis

from bench.settings import setting_of
from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, MASTERY, RESPONSES
from tests.support.servers import exclusive_redis, server_variables
from tests.support.whole_run import Setting, Started, publish, start_worker
from workers.common.times import to_us

SAMPLE_S = 0.1
MOST_GROWTH = 1.2
_START = to_us(datetime(2026, 3, 2, 8, tzinfo=UTC))


def rows(count: int, students: int) -> Iterator[dict[str, Any]]:
    """Make answers in the order in which they were given, a tenth of them on two concepts."""
    chance = random.Random(3)
    for number in range(count):
        student = chance.randrange(students)
        yield {
            "tenant_id": f"school-{student % 20}",
            "student_id": f"student-{student}",
            "response_id": str(UUID(int=(number << 64) | chance.getrandbits(60), version=4)),
            "session_id": f"s-{number // (count // 20 + 1)}",
            "item_id": f"q-{chance.randrange(500)}",
            "concept_ids": chance.sample(
                [f"c-{n}" for n in range(60)], 2 if chance.random() < 0.1 else 1
            ),
            "scale": "math",
            "score": float(chance.random() < 0.6),
            "answered_at": _START + number * 10_000,
        }


@dataclass
class Seen:
    """Measurements of the worker and of the streams."""

    marked_bytes: int | None = None
    last_bytes: int = 0
    most_bytes: int = 0
    responses: int = 0
    mastery: int = 0
    pending: int = 0
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Entries done, and bytes."""

    def add(self, *, done: int, mark: int, rss: int) -> None:
        self.last_bytes, self.most_bytes = rss, max(self.most_bytes, rss)
        self.samples.append((done, rss))
        if self.marked_bytes is None and done >= mark:
            self.marked_bytes = rss


async def watch(client: Redis, worker: Started, *, count: int, mark: int) -> Seen:
    """Measure worker and streams until the worker ends."""
    seen, process = Seen(), psutil.Process(worker.pid)
    while worker.poll() is None:
        await client.xgroup_setid(MASTERY, GRAPH_GROUP, "$")
        groups: Any = await client.xinfo_groups(RESPONSES)
        group = next((g for g in groups if g["name"].decode() == ENGINE_GROUP), None)
        seen.responses = max(seen.responses, await client.xlen(RESPONSES))
        seen.mastery = max(seen.mastery, await client.xlen(MASTERY))
        try:
            rss = process.memory_info().rss
        except psutil.Error:
            break  # it has ended in between
        if group is not None and rss and worker.poll() is None:
            seen.pending = max(seen.pending, group["pending"])
            done = count - group["pending"] - (group["lag"] if group["lag"] is not None else count)
            seen.add(done=done, mark=mark, rss=rss)
        await asyncio.sleep(SAMPLE_S)
    return seen


async def run(setting: Setting, options: argparse.Namespace) -> int:
    began = time.perf_counter()
    await publish(setting.redis_url, rows(options.count, options.students))
    print(f"{options.count} responses published in {time.perf_counter() - began:.0f} s")
    async with Redis.from_url(setting.redis_url) as client:
        await client.xgroup_create(MASTERY, GRAPH_GROUP, id="0", mkstream=True)
        began = time.perf_counter()
        worker = start_worker(setting, "--burst", "--role", "engine", STREAM_KEEP=str(options.keep))
        try:
            seen = await watch(client, worker, count=options.count, mark=options.mark)
            code = worker.wait(timeout=60)
        finally:
            worker.kill()
            worker.wait()
        seconds = time.perf_counter() - began
        left, kept = await client.xlen(RESPONSES), await client.xlen(MASTERY)
    print(f"worker ended with {code} after {seconds:.0f} s: {options.count / seconds:.0f}/s")
    return verdict(seen, options, code=code, left=left, kept=kept)


def verdict(seen: Seen, options: argparse.Namespace, *, code: int, left: int, kept: int) -> int:
    for tenth in range(1, 11):
        at = [rss for done, rss in seen.samples if done >= options.count * tenth // 10]
        if at:
            print(f"  RSS at {options.count * tenth // 10:>9}: {at[0] / 2**20:7.1f} MiB")
    if seen.marked_bytes is None:
        print(f"the worker was never seen at {options.mark}")
        return 1
    ratio = seen.last_bytes / seen.marked_bytes
    print(f"RSS at {options.mark}: {seen.marked_bytes / 2**20:.1f} MiB")
    print(f"RSS at the end: {seen.last_bytes / 2**20:.1f} MiB, ratio {ratio:.3f}")
    print(f"greatest RSS: {seen.most_bytes / 2**20:.1f} MiB")
    print(f"responses: greatest length {seen.responses}, after the drain {left}")
    print(f"responses: greatest number of pending entries {seen.pending}")
    print(f"mastery: greatest length {seen.mastery}, after the drain {kept} (kept {options.keep})")
    wrong = code != 0 or ratio > MOST_GROWTH or left > 0 or kept > options.keep
    return 1 if wrong else 0


async def main(options: argparse.Namespace) -> int:
    (url,) = server_variables("TEST_REDIS_URL")
    async with exclusive_redis(url) as redis_url, setting_of(options.ledger, redis_url) as setting:
        return await run(setting, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000, help="responses")
    parser.add_argument("--mark", type=int, default=100_000, help="where memory is compared from")
    parser.add_argument("--students", type=int, default=5_000)
    parser.add_argument("--keep", type=int, default=100_000, help="STREAM_KEEP of the worker")
    parser.add_argument("--ledger", choices=("direct", "supabase"), default="direct")
    raise SystemExit(asyncio.run(main(parser.parse_args())))
