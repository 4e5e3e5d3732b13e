"""One run: workers on a cluster under load, struck again and again, then everything compared."""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.client.confirmation import Confirmation
from contracts.streams import ENGINE_GROUP, Shard, shards
from tests.faults.cluster.load import ClusterLoad
from tests.faults.cluster.outcome import Outcome, compare
from tests.faults.cluster.strikes import STRIKES
from tests.faults.fleet import Fleet
from tests.faults.processes import until
from tests.faults.servers import PostgresServer, scratch
from tests.support.redis_cluster import redis_cluster
from tests.support.run_results import (
    events_differences,
    ledger_differences,
    run_results,
    stored_mastery,
)
from tests.support.whole_run import MASTERY_COMMAND, Setting
from workers.streams.connection import client_of

SHARDS: Final = 3
_FULL: Final = 0.7
"""Share of the rate before that counts as full again."""
_WINDOW_S: Final = 1.0
_CONFIRMED: Final = Confirmation()
_DRAINED_WITHIN_S: Final = 400.0


@dataclass(frozen=True)
class ClusterSize:
    """Size of a run."""

    strikes: tuple[str, ...]
    """Names of strikes, in this order."""
    pause_s: float = 3.0
    """Time of load before each strike, and after the last one, seconds."""
    rate: float = 300.0
    """Events a second."""
    most_s: float = 12.0
    """Time of load for one strike with its pause, seconds."""
    students: int = 60
    workers: int = 2
    batch_size: int = 100
    seed: int = 1
    confirmation: Confirmation | None = _CONFIRMED
    node_timeout_ms: int = 2_000
    oracle: bool = True
    """True to compare the states with an independent replay; takes long for many responses."""


async def run(size: ClusterSize, *, postgres: PostgresServer) -> Outcome:
    """Strike a cluster under load; what went wrong is in the outcome."""
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(scratch())
        cluster = await stack.enter_async_context(
            redis_cluster(
                node_timeout_ms=size.node_timeout_ms,
                append_only=True,
                options=("--cluster-require-full-coverage", "no"),
            )
        )
        await postgres.serving()
        dsn = await postgres.database()
        setting = Setting(cluster.url, {"DATABASE_URL": dsn}, dsn)
        responses = int(size.rate * size.most_s * len(size.strikes) / 1.3)
        load = ClusterLoad(
            cluster.url,
            responses,
            rate=size.rate,
            students=size.students,
            seed=size.seed,
            shard_count=SHARDS,
            confirmation=size.confirmation,
        )
        fleet = Fleet(
            setting,
            directory,
            workers=size.workers,
            roles=("engine",),
            settings={"STREAM_SHARDS": str(SHARDS), "BATCH_SIZE": str(size.batch_size)},
        )
        stack.push_async_callback(fleet.end)
        await fleet.start()
        client = await stack.enter_async_context(client_of(cluster.url))
        loading = asyncio.create_task(load.run())
        chance = random.Random(size.seed)
        try:
            for name in size.strikes:
                shard = chance.choice(shards(SHARDS))
                await until(cluster.healthy, "the cluster is whole", within_s=60)
                pace = _Pace(client, shard)
                watching = asyncio.create_task(pace.watch())
                await asyncio.sleep(size.pause_s)
                struck = time.monotonic()
                node = await STRIKES[name].strike(cluster, shard.responses)
                outcome.promoted_s.append(time.monotonic() - struck)
                # A supervisor starts it again. Until a replica is back, nothing is confirmed.
                await STRIKES[name].heal(cluster, node)
                await until(
                    partial(pace.full_again, struck),
                    f"full rate after {name}\n{fleet.tails()}",
                    within_s=60,
                )
                outcome.resumed_s.append(pace.resumed_s(struck))
                outcome.full_rate_s.append(pace.full_s - struck)
                watching.cancel()
            await loading
            await _drained(client, fleet)
        except (AssertionError, RedisError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
        if any(await fleet.stop()):
            outcome.problems.append(f"a worker ended with an error\n{fleet.tails()}")
        outcome.replaced = fleet.logged("owner_replaced")
        outcome.repeated = load.repeated
        await compare(
            outcome, url=cluster.url, dsn=dsn, confirmed=load.confirmed, shard_count=SHARDS
        )
        if size.confirmation is None:
            outcome.stale = await _stale(setting, load)
            await _publish_current(setting)
            outcome.stale_after = await _stale(setting, load)
        if size.oracle and not outcome.lost_answers:
            outcome.problems += (await ledger_differences(dsn, load.rows, 1e-12))[:5]
    return outcome


async def _stale(setting: Setting, load: ClusterLoad) -> int:
    """Count values whose newest event is not what the ledger stores."""
    result = await run_results(setting, load.rows, 1e-12, among=shards(SHARDS))
    differences = events_differences(result, load.rows, await stored_mastery(setting.dsn))
    return sum(text.startswith("newest event") for text in differences)


async def _publish_current(setting: Setting) -> None:
    command = await asyncio.create_subprocess_exec(
        *(MASTERY_COMMAND, "reconcile", "--publish", "--since", "1h"),
        env=setting.environment(STREAM_SHARDS=str(SHARDS)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await command.wait() == 0


class _Pace:
    """Samples of the number of events of a shard."""

    def __init__(self, client: Redis, shard: Shard) -> None:
        self._client = client
        self._stream = shard.mastery
        self._samples: list[tuple[float, int]] = []
        self.full_s = 0.0

    async def watch(self) -> None:
        while True:
            with suppress(RedisError, OSError):
                length = int(await self._client.xlen(self._stream))
                self._samples.append((time.monotonic(), length))
            await asyncio.sleep(0.1)

    def _rate(self, since: float, until_: float) -> float:
        inside = [s for s in self._samples if since <= s[0] <= until_]
        if len(inside) < 2:
            return 0.0
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    async def full_again(self, struck: float) -> bool:
        """Return True once the rate before the strike is reached after it."""
        now = time.monotonic()
        before = self._rate(struck - 2.0, struck)
        if now - struck < 2 * _WINDOW_S or self._rate(now - _WINDOW_S, now) < _FULL * before:
            return False
        self.full_s = now - _WINDOW_S
        return True

    def resumed_s(self, struck: float) -> float:
        """Return the longest time without an event after the strike, seconds."""
        longest, last, length = 0.0, struck, None
        for at, count in self._samples:
            if length is None or count > length:
                if at > struck:
                    longest = max(longest, at - max(last, struck))
                last, length = at, count
        return longest


async def _drained(client: Redis, fleet: Fleet) -> None:
    async def nothing_left() -> bool:
        with suppress(RedisError):
            return all([await _done(client, shard.responses) for shard in shards(SHARDS)])
        return False

    await until(
        nothing_left,
        f"everything is drained\n{fleet.tails()}",
        within_s=_DRAINED_WITHIN_S,
        every_s=0.2,
    )


async def _done(client: Redis, stream: str) -> bool:
    info: Any = await client.xinfo_stream(stream)
    groups: Any = await client.xinfo_groups(stream)
    return any(
        group["name"] == ENGINE_GROUP.encode()
        and group["pending"] == 0
        and group["last-delivered-id"] == info["last-generated-id"]
        for group in groups
    )


def described(outcomes: Sequence[Outcome]) -> str:
    """Return the sums of runs as text."""
    resumed = sorted(s for o in outcomes for s in o.resumed_s)
    full = sorted(s for o in outcomes for s in o.full_rate_s)
    counts = (
        f"{len(full)} strikes, {sum(o.confirmed for o in outcomes)} confirmed responses, "
        f"{sum(o.repeated for o in outcomes)} events repeated by publishers, "
        f"{sum(o.replaced for o in outcomes)} published in the place of a lost owner"
    )
    losses = (
        f"lost: {sum(len(o.lost_answers) for o in outcomes)} confirmed answers, "
        f"{sum(len(o.lost_events) for o in outcomes)} with events lost, "
        f"{sum(len(o.doubled_events) for o in outcomes)} with events twice"
    )
    lines = [counts, losses]
    lines += [
        f"values whose newest event is not what is stored: {o.stale}; after `mastery reconcile "
        f"--publish`: {o.stale_after}"
        for o in outcomes
        if o.stale is not None
    ]
    if full:
        lines.append(
            f"longest time without an event of the struck shard: median "
            f"{resumed[len(resumed) // 2]:.1f} s, most {resumed[-1]:.1f} s; full rate again after: "
            f"median {full[len(full) // 2]:.1f} s, most {full[-1]:.1f} s"
        )
    return "\n".join(lines + [problem for o in outcomes for problem in o.problems])
