"""Strict mode on real servers: refused, registered, sent again, and counted."""

import asyncio
import json
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from contracts.streams import REJECTED
from tests.security.in_process import command, drained, settings_of
from tests.support.run_results import ledger_differences
from tests.support.whole_run import Setting, publish, simulated_rows
from workers.app.worker import Role


async def test_given_strict_mode_and_registered_names_then_refused_ones_count(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    environment = setting.environment(STRICT="true")
    rows = [{**row, "tenant_id": "school-0"} for row in simulated_rows(60, 6)]
    await publish(redis_url, rows)

    await drained(settings_of(environment), [Role.ENGINE])

    async with Redis.from_url(redis_url) as client:
        letters: Any = await client.xrange(REJECTED)
    data = [json.loads(fields[b"event"])["data"] for _, fields in letters]
    assert len(data) == len(rows)
    assert {(rejection["code"], rejection["status"], rejection["field"]) for rejection in data} == {
        ("not_found", 404, "data.response.item_id")
    }
    assert all("is registered for tenant 'school-0'" in rejection["reason"] for rejection in data)

    concepts = [{"id": f"c-{n}", "prerequisites": [f"c-{n - 1}"] if n else []} for n in range(6)]
    items = [{"id": f"q-{n}", "concept_ids": ["c-0"], "scale": "math"} for n in range(50)]
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"concepts": concepts, "items": items}))
    for arguments in (
        ("concepts", "import", str(file), "--tenant", "school-0"),
        ("rejected", "redrive", "--code", "not_found"),
    ):
        await asyncio.to_thread(command, environment, *arguments)
    await drained(settings_of(environment), [Role.ENGINE])

    assert await ledger_differences(database_url, rows, 1e-12) == []
    async with Redis.from_url(redis_url) as client:
        assert await client.xlen(REJECTED) == len(rows), "no letter more"
