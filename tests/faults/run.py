"""One fault run: workers under load, a fault, and everything compared afterwards."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, MASTERY, RESPONSES
from tests.faults.catalogue import Fault
from tests.faults.processes import until
from tests.faults.servers import PostgresServer
from tests.faults.stage import Size, Stage, set_stage
from tests.support.run_results import (
    Found,
    events_differences,
    graph_differences,
    run_results,
    stored_mastery,
)
from tests.support.servers import Neo4j

TOLERANCE = 1e-12
RECOVERED_WITHIN_S = 60.0
"""Longest recovery that a test accepts on any machine; the goal of the command is 10 s."""

_STRIKE_AT = 0.25
_DRAINED_WITHIN_S = 120.0
_NOTICED_WITHIN_S = 40.0
_WINDOW_S = 0.6
_FULL_SPEED = 0.7


@dataclass
class Outcome:
    """Result of a run."""

    fault: str
    entries: int = 0
    reason: str = ""
    """Answers of readiness meanwhile."""
    noticed_s: float | None = None
    """Time from the fault to the first readiness that reports it."""
    ready_s: float | None = None
    """Time from the server's return until all workers are ready."""
    full_speed_s: float | None = None
    """Time from the server's return to the earlier rate."""
    repeated: int | None = None
    """Entries that were worked on a second time; None where Redis lost the count."""
    unsure: int = 0
    problems: list[str] = field(default_factory=list)


class _Pace:
    """Samples of the number of processed entries over time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.samples: list[tuple[float, int]] = []

    async def watch(self) -> None:
        while True:
            began = time.monotonic()
            counted = await self._stage.fleet.counted()
            done = sum(
                counted[f"mastery_responses_{what}_total"] for what in ("applied", "duplicate")
            )
            self.samples.append(((began + time.monotonic()) / 2, done))
            await asyncio.sleep(0.2)

    def rate(self, since: float, until_: float) -> float:
        inside = [s for s in self.samples if since <= s[0] <= until_]
        if len(inside) < 2 or inside[-1][0] == inside[0][0]:
            return 0.0
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def full_speed(self, healed: float, rate: float, total: int) -> float | None:
        """Seconds from the return to the first window at that rate, or to the end of the work."""
        for at, done in self.samples:
            if at < healed:
                continue
            if done >= total or (
                at - healed >= _WINDOW_S and self.rate(at - _WINDOW_S, at) >= rate
            ):
                return at - healed
        return None


async def run(
    fault: Fault, size: Size, *, postgres: PostgresServer, neo4j: Neo4j | None = None
) -> Outcome:
    """Make a fault happen once; what went wrong is in the outcome's `problems`."""
    outcome = Outcome(fault.name)
    async with set_stage(
        fault.needs,
        size,
        settings=fault.settings,
        fsync=fault.fsync,
        postgres=postgres,
        neo4j=neo4j,
    ) as stage:
        try:
            await _run(fault, size, stage, outcome)
        except (AssertionError, OSError, RedisError, TimeoutError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        if outcome.problems:
            outcome.problems.append(stage.fleet.tails())
    return outcome


async def _run(fault: Fault, size: Size, stage: Stage, outcome: Outcome) -> None:
    fleet, load = stage.fleet, stage.load
    outcome.entries = len(load.entries)
    await fleet.start()
    pace = _Pace(stage)
    publishing = asyncio.create_task(load.run())
    background = [publishing, asyncio.create_task(pace.watch())]
    try:

        async def under_way() -> bool:
            return bool(pace.samples) and pace.samples[-1][1] >= _STRIKE_AT * outcome.entries

        await until(under_way, f"a quarter is done\n{fleet.tails()}", within_s=120)
        struck = time.monotonic()
        before = pace.rate(struck - 1.5, struck)
        await fault.strike(stage)
        # After it: what was added while it struck is gone, and did not survive.
        struck_ms = await redis_ms(stage) if fault.loses else 0
        await noticed(fault, stage, outcome, struck)
        await asyncio.sleep(max(0.0, struck + fault.hold_s - time.monotonic()))
        await fault.heal(stage)
        healed = time.monotonic()
        outcome.ready_s = await fleet.ready(RECOVERED_WITHIN_S)
        await publishing
        if fault.loses:
            await drained(stage)
            await load.again()
        await drained(stage)
        await asyncio.sleep(0.5)  # the last counts
        if fault.check is not None:
            total = min(pace.samples[-1][1], outcome.entries)
            outcome.full_speed_s = pace.full_speed(healed, _FULL_SPEED * before, total)
            if outcome.full_speed_s is None or outcome.full_speed_s > RECOVERED_WITHIN_S:
                outcome.problems.append(f"full speed after {outcome.full_speed_s} s")
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
    await _compare(fault, size, stage, outcome, struck_ms)


async def noticed(fault: Fault, stage: Stage, outcome: Outcome, struck: float) -> None:
    """Wait until readiness names the reason, on every worker."""
    check = fault.check
    if check is None:
        return
    look = stage.fleet.degraded if fault.degraded else stage.fleet.unready

    async def said() -> bool:
        wanted = 1 if fault.seen_by_reader else len(stage.fleet.workers)
        return len(look(check, since=struck)) >= wanted

    try:
        outcome.noticed_s = await until(
            said,
            f"readiness names {check}",
            within_s=3.0 if fault.may_be_short else _NOTICED_WITHIN_S,
        )
    except AssertionError as error:
        if not fault.may_be_short:
            outcome.problems.append(str(error))
    outcome.reason = next(iter(look(check, since=struck).values()), "")


async def _compare(
    fault: Fault, size: Size, stage: Stage, outcome: Outcome, struck_ms: int
) -> None:
    """All invariants, and that nothing was rejected, stranded or done too often."""
    fleet, load = stage.fleet, stage.load
    counted = await fleet.counted()
    codes = await fleet.stop()
    if any(codes):
        outcome.problems.append(f"after SIGTERM workers ended with {codes}")
    result = await run_results(stage.direct, load.rows, TOLERANCE)
    outcome.problems += result.differences[:5]
    if result.rejected:
        outcome.problems.append(f"rejected: {dict(result.rejected)}")
    if result.pending:
        outcome.problems.append(f"{result.pending} entries are pending")
    outcome.unsure = load.unsure
    if fault.loses:
        outcome.problems += (await _survivors(stage, result, struck_ms, fault))[:5]
        return
    stored = await stored_mastery(stage.direct.dsn)
    outcome.problems += events_differences(result, load.rows, stored)[:5]
    if stage.direct.graph:
        outcome.problems += (await graph_differences(stage.direct))[:5]
    if fault.strikes_workers:
        outcome.repeated = max(stage.repeated, default=0)
    else:
        added = await _entries_added(stage)
        duplicates = counted["mastery_responses_duplicate_total"]
        outcome.repeated = duplicates - (added - len(load.rows))
    most = size.batch_size * size.workers * fault.strikes
    if outcome.repeated > most:
        outcome.problems.append(f"{outcome.repeated} entries repeated, more than {most}")


async def _survivors(stage: Stage, result: Found, struck_ms: int, fault: Fault) -> list[str]:
    """Check events: once for entries that Redis kept or got later, at most once for others."""
    connection = await asyncpg.connect(stage.direct.dsn)
    try:
        rows = await connection.fetch(
            "select student_id, response_id::text as id, concept_ids, entry "
            "from public.student_responses"
        )
    finally:
        await connection.close()
    wrong = []
    for row in rows:
        survived = int(row["entry"].rpartition("/")[2].partition("-")[0]) > struck_ms
        for concept in row["concept_ids"]:
            times = result.events[row["student_id"], row["id"], concept]
            if fault.repeats:
                # The acknowledgements are gone: old entries come again, their events as well.
                if not 1 <= times <= 2:
                    wrong.append(f"event of {row['id']} {times} times")
            elif times > 1 or (survived and times == 0):
                wrong.append(f"event of {row['id']} {times} times, survived: {survived}")
    return wrong


async def redis_ms(stage: Stage) -> int:
    async with Redis.from_url(stage.redis.url) as client:
        seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def _entries_added(stage: Stage) -> int:
    async with Redis.from_url(stage.redis.url) as client:
        info: Any = await client.xinfo_stream(RESPONSES)
    return int(info["entries-added"])


async def drained(stage: Stage) -> None:
    """Wait until nothing is unread and nothing pending."""
    groups = [(RESPONSES, ENGINE_GROUP)]
    if stage.direct.graph:
        groups.append((MASTERY, GRAPH_GROUP))
    async with Redis.from_url(stage.redis.url) as client:

        async def nothing_left() -> bool:
            with suppress(RedisError):
                return all([await _done(client, stream, group) for stream, group in groups])
            return False

        await until(
            nothing_left,
            f"everything is drained\n{stage.fleet.tails()}",
            within_s=_DRAINED_WITHIN_S,
            every_s=0.1,
        )


async def _done(client: "Redis", stream: str, group: str) -> bool:
    info: Any = await client.xinfo_stream(stream)
    groups: Any = await client.xinfo_groups(stream)
    return any(
        group_info["name"] == group.encode()
        and group_info["pending"] == 0
        and group_info["last-delivered-id"] == info["last-generated-id"]
        for group_info in groups
    )
