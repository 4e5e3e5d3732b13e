"""Entries that end the process: each is found, tried alone and rejected; all others are applied."""

import json
import signal
import subprocess
import sys
from typing import Any

from redis.asyncio import Redis

from contracts.streams import REJECTED, RESPONSES
from tests.support.run_results import run_results
from tests.support.whole_run import Setting, publish, simulated_rows
from workers.streams.tries import tries_key

_MAX_DELIVERIES = 2
_MOST_STARTS = 20


def _run_until_drained(setting: Setting) -> list[int]:
    """Start the defective worker again and again, as a supervisor does; returns how each ended."""
    ends: list[int] = []
    command = [sys.executable, "-m", "tests.support.crashing_worker", "worker", "--burst"]
    environment = setting.environment(
        BATCH_SIZE="50", MAX_DELIVERIES=str(_MAX_DELIVERIES), CONSUMER_NAME="worker-0"
    )
    while not ends or ends[-1] != 0:
        assert len(ends) < _MOST_STARTS, f"no end of crashing: {ends}"
        arguments = [*command, "--role", "engine"]
        ends.append(subprocess.run(arguments, env=environment, check=False, timeout=240).returncode)
    return ends


async def test_given_entries_that_end_the_process_then_they_alone_are_poison(
    redis_url: str, database_url: str
) -> None:
    rows = simulated_rows(400, 20)
    bad = [row | {"item_id": "crash"} for row in rows[120:122]]
    good = rows[:120] + rows[122:]
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    await publish(redis_url, [*rows[:120], *bad, *rows[122:]])

    ends = _run_until_drained(setting)

    # In company twice with all and once with few, then alone; the second shares the first's falls.
    assert ends[-1] == 0
    assert set(ends[:-1]) == {-signal.SIGKILL}
    assert len(ends) - 1 <= 3 + 2 * _MAX_DELIVERIES
    result = await run_results(setting, good, tolerance=1e-12)
    assert (result.differences, result.pending) == ([], 0)
    assert set(result.events.values()) == {1}
    async with Redis.from_url(redis_url) as client:
        letters: Any = await client.xrange(REJECTED)
        assert not await client.exists(tries_key(RESPONSES))
    data = [json.loads(fields[b"event"])["data"] for _, fields in letters]
    assert [rejection["code"] for rejection in data] == ["poison"] * 2
    assert {json.loads(rejection["event"])["id"] for rejection in data} == {
        r["response_id"] for r in bad
    }
    assert all("the process ended each time" in rejection["reason"] for rejection in data)
