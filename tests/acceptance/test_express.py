"""Express publishes with plain ioredis, through no Python of ours."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from contracts.streams import MASTERY, REJECTED
from tests.support.whole_run import Setting, drain

_PUBLISHER = Path(__file__).parent / "node" / "express_publisher.cjs"
_COUNT = 40


async def test_given_express_events_then_mastery_is_stored_and_published_once(
    redis_url: str, database_url: str, node_modules: Path
) -> None:
    node = shutil.which("node")
    assert node is not None
    subprocess.run(
        [node, str(_PUBLISHER), redis_url, str(_COUNT)],
        check=True,
        timeout=60,
        env={"NODE_PATH": str(node_modules)},
    )
    drain(Setting(redis_url, {"DATABASE_URL": database_url}, database_url))
    connection = await asyncpg.connect(database_url)
    try:
        stored = await connection.fetch(
            "select student_id, attempts from public.concept_mastery where tenant_id = 'school-7' "
            "order by student_id"
        )
    finally:
        await connection.close()
    assert [(row["student_id"], row["attempts"]) for row in stored] == [
        (f"schüler-{n}", _COUNT // 5) for n in range(5)
    ]
    async with Redis.from_url(redis_url) as client:
        entries: Any = await client.xrange(MASTERY)
        assert await client.xlen(REJECTED) == 0
    events = [json.loads(fields[b"event"]) for _, fields in entries]
    assert len(events) == _COUNT
    assert {event["correlationid"] for event in events} == {f"req-{n}" for n in range(_COUNT)}
