"""Bad entries among good ones through a worker process on a real Redis and a real Postgres."""

import json
import time
from collections import Counter
from typing import Any, cast

from redis.asyncio import Redis

from contracts.rejections import ResponseRejected
from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.support.bad_entries import ISSUER, BadEntry, recovered, spread
from tests.support.bad_entry_kinds import CONFLICTS, KINDS
from tests.support.run_results import events_differences, run_results, stored_mastery
from tests.support.whole_run import Setting, drain, simulated_rows


async def _publish(
    redis_url: str, rows: list[dict[str, Any]], bad_count: int
) -> dict[str, BadEntry]:
    """Add all entries; returns the bad ones by entry id."""
    entries = list(spread(rows, bad_count, int(time.time()), seed=1))
    async with Redis.from_url(redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for fields, _ in entries:
            pipeline.xadd(RESPONSES, cast("dict[Any, Any]", fields))
        ids = await pipeline.execute()
    return {
        entry_id.decode(): bad
        for entry_id, (_, bad) in zip(ids, entries, strict=True)
        if bad is not None
    }


async def _letters(redis_url: str) -> list[dict[str, Any]]:
    async with Redis.from_url(redis_url) as client:
        letters: Any = await client.xrange(REJECTED)
    for _, fields in letters:
        ResponseRejected.model_validate_json(fields[b"event"])
    return [json.loads(fields[b"event"])["data"] for _, fields in letters]


async def test_given_bad_entries_among_good_ones_then_each_gets_its_due(
    redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    rows = simulated_rows(3_000, 60, seed=8)
    bad = await _publish(redis_url, rows, 3 * (len(KINDS) + len(CONFLICTS)))

    # Nothing is claimed on a busy machine: each entry is delivered once.
    drain(
        setting,
        roles=("engine",),
        JWT_ISSUER=ISSUER,
        LOG_LEVEL="ERROR",
        RECLAIM_AFTER_MS="600000",
    )

    letters = await _letters(redis_url)
    assert Counter(letter["entry_id"] for letter in letters) == Counter(bad.keys())
    wrong = [
        (letter["entry_id"], bad[letter["entry_id"]].kind, letter["code"], letter["reason"])
        for letter in letters
        if letter["code"] != bad[letter["entry_id"]].code
    ]
    assert wrong == []
    for letter in letters:
        fields = bad[letter["entry_id"]].fields
        assert recovered(letter) == fields.get(b"event", fields)
        assert letter["stream"] == RESPONSES
        assert letter["deliveries"] == 1
        assert letter["reason"]

    result = await run_results(setting, rows, tolerance=1e-12)
    assert result.differences == []
    assert result.pending == 0
    assert events_differences(result, rows, await stored_mastery(database_url)) == []
    async with Redis.from_url(redis_url) as client:
        assert await client.xlen(MASTERY) == result.events.total()
