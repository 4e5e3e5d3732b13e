"""The main job on real servers: worker processes, plain XADD, Postgres two ways, Neo4j."""

import random
from typing import Any

import pytest

from tests.support.run_results import (
    events_differences,
    graph_differences,
    run_results,
    stored_mastery,
)
from tests.support.servers import Neo4j, Supabase
from tests.support.whole_run import Setting, drain, publish, simulated_rows


@pytest.fixture(params=["direct", "supabase"])
def setting(request: pytest.FixtureRequest, redis_url: str, neo4j: Neo4j) -> Setting:
    if request.param == "direct":
        dsn = request.getfixturevalue("database_url")
        return Setting(redis_url, {"DATABASE_URL": dsn}, dsn, neo4j.environment)
    project: Supabase = request.getfixturevalue("supabase")
    return Setting(redis_url, project.environment, project.database_url, neo4j.environment)


async def _all_is_right(setting: Setting, rows: list[dict[str, Any]]) -> None:
    result = await run_results(setting, rows, tolerance=1e-12)
    assert result.differences == []
    assert result.pending == 0
    assert result.rejected == {}
    assert events_differences(result, rows, await stored_mastery(setting.dsn)) == []
    assert await graph_differences(setting) == []


async def test_given_ordered_responses_and_one_worker_then_all_stores_agree(
    setting: Setting,
) -> None:
    rows = sorted(simulated_rows(2_000, 40), key=lambda r: (r["answered_at"], r["response_id"]))
    await publish(setting.redis_url, rows)
    drain(setting)
    await _all_is_right(setting, rows)
    result = await run_results(setting, rows, tolerance=1e-12)
    assert result.disordered == 0


async def test_given_random_repeats_and_three_workers_then_each_counts_once(
    setting: Setting,
) -> None:
    rows = simulated_rows(1_500, 40, seed=2)
    published = rows * 2
    random.Random(3).shuffle(published)
    await publish(setting.redis_url, published)
    drain(setting, workers=3, BATCH_SIZE="100")
    await _all_is_right(setting, rows)


async def test_given_killed_workers_and_others_then_nothing_is_lost_or_doubled(
    setting: Setting,
) -> None:
    rows = simulated_rows(4_000, 60, seed=4)
    published = rows + random.Random(5).sample(rows, 1_000)
    await publish(setting.redis_url, published)
    drain(setting, workers=2, kills=3, seed=6, pause_s=(0.5, 1.5), BATCH_SIZE="50")
    await _all_is_right(setting, rows)
