"""What a run on a cluster left behind, compared with the publishers' own record."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from contracts.streams import ENGINE_GROUP, shards
from workers.streams.connection import client_of

Name = tuple[str, str, str]
"""Tenant, student and response."""


@dataclass
class Outcome:
    """Result of a run."""

    confirmed: int = 0
    """Responses that were confirmed to their publisher."""
    repeated: int = 0
    """Events that were published again, since nobody had confirmed them."""
    lost_answers: list[Name] = field(default_factory=list)
    """Confirmed, and not in the log."""
    lost_events: list[Name] = field(default_factory=list)
    """Confirmed and in the log, and an event is missing."""
    doubled_events: list[Name] = field(default_factory=list)
    pending: int = 0
    rejected: int = 0
    replaced: int = 0
    """Repeats that published in the place of a lost owner."""
    promoted_s: list[float] = field(default_factory=list)
    """For each strike the time until another node serves the shard, seconds."""
    resumed_s: list[float] = field(default_factory=list)
    """For each strike the time to the first event of the struck shard, seconds."""
    full_rate_s: list[float] = field(default_factory=list)
    """For each strike the time to the rate before, on the struck shard, seconds."""
    stale: int | None = None
    """Values whose newest event is not what is stored; None: not looked at."""
    stale_after: int | None = None
    """The same after `mastery reconcile --publish`."""
    problems: list[str] = field(default_factory=list)


async def compare(
    outcome: Outcome,
    *,
    url: str,
    dsn: str,
    confirmed: Mapping[Name, tuple[str, str]],
    shard_count: int,
) -> None:
    """Compare answers and events with the record of the publishers.

    Args:
        outcome: takes what is found.
        url: URL of the cluster.
        dsn: DSN of the ledger.
        confirmed: what was confirmed to the publishers.
        shard_count: number of shards.
    """
    logged = await _logged(dsn)
    events = await _events(url, shard_count, outcome)
    outcome.confirmed = len(confirmed)
    for name in confirmed:
        concepts = logged.get(name)
        if concepts is None:
            outcome.lost_answers.append(name)
        elif any(not events[*name, concept] for concept in concepts):
            outcome.lost_events.append(name)
    doubled = {key[:3] for key, times in events.items() if times > 1}
    outcome.doubled_events = sorted(doubled)


async def _logged(dsn: str) -> dict[Name, list[str]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select tenant_id, student_id, response_id::text as id, concept_ids "
            "from public.student_responses"
        )
    finally:
        await connection.close()
    return {(r["tenant_id"], r["student_id"], r["id"]): r["concept_ids"] for r in rows}


async def _events(
    url: str, shard_count: int, outcome: Outcome
) -> Counter[tuple[str, str, str, str]]:
    counted: Counter[tuple[str, str, str, str]] = Counter()
    async with client_of(url) as client:
        for shard in shards(shard_count):
            after = "-"
            while True:
                rows: Any = await client.xrange(shard.mastery, min=after, count=2_000)
                for _, fields in rows:
                    data = orjson.loads(fields[b"event"])["data"]
                    counted[
                        data["tenant_id"],
                        data["student_id"],
                        data["response_id"],
                        data["concept_id"],
                    ] += 1
                if not rows:
                    break
                after = f"({rows[-1][0].decode()}"
            outcome.rejected += await client.xlen(shard.rejected)
            groups: Any = await client.xinfo_groups(shard.responses)
            outcome.pending += sum(
                group["pending"] for group in groups if group["name"] == ENGINE_GROUP.encode()
            )
    return counted
