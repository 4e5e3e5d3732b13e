"""docs/snapshot.md to the letter, on real servers, while responses flow: there is no gap."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from redis.asyncio import Redis

from contracts import MasteryChanged
from contracts.client.asyncio import follow, positions
from tests.faults.processes import free_port
from tests.support.page_code import DOCS, blocks, run_python
from tests.support.servers import Supabase
from tests.support.whole_run import Setting, publish, simulated_rows, start_worker
from workers.web.answers import MasteryPage

_SHARDS = 2
_SECRET = "a secret that is long enough for a test of HS256"
_ALL, _ONE = blocks(DOCS / "snapshot.md", "python")
_PATIENCE_S = 120.0

Names = dict[tuple[str, str, str], tuple[int, float]]


@pytest.fixture(params=["direct", "supabase"])
def setting(request: pytest.FixtureRequest, redis_url: str) -> Setting:
    if request.param == "direct":
        dsn = request.getfixturevalue("database_url")
        return Setting(redis_url, {"DATABASE_URL": dsn}, dsn)
    project: Supabase = request.getfixturevalue("supabase")
    return Setting(redis_url, project.environment, project.database_url)


@asynccontextmanager
async def flowing(setting: Setting, rows: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Publish all rows bit by bit to a running worker; yield the URL of its HTTP side."""
    port = free_port()
    worker = start_worker(
        setting,
        "--role",
        "engine",
        STREAM_SHARDS=str(_SHARDS),
        BATCH_SIZE="20",
        HTTP_PORT=str(port),
        JWT_SECRET=_SECRET,
        JWT_MODE="trust",
        HTTP_SUBJECT_LIMIT="10000/minute",
    )

    async def flow() -> None:
        for begin in range(0, len(rows), 25):
            await publish(setting.redis_url, rows[begin : begin + 25], shard_count=_SHARDS)
            await asyncio.sleep(0.05)

    publishing = asyncio.create_task(flow())
    try:
        yield f"http://127.0.0.1:{port}"
        await publishing
    finally:
        publishing.cancel()
        worker.terminate()
        assert worker.wait(60) == 0


async def _stored(setting: Setting) -> Names:
    database = await asyncpg.connect(setting.dsn)
    try:
        return {
            (row["tenant_id"], row["student_id"], row["concept_id"]): (
                row["version"],
                row["mastery"],
            )
            for row in await database.fetch("select * from public.concept_mastery")
        }
    finally:
        await database.close()


async def _count(setting: Setting) -> int:
    database = await asyncpg.connect(setting.dsn)
    try:
        return int(await database.fetchval("select count(*) from public.student_responses"))
    finally:
        await database.close()


async def _until_recorded(setting: Setting, count: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while await _count(setting) < count:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_given_a_snapshot_of_all_amid_the_flow_then_nothing_is_missing(
    setting: Setting,
) -> None:
    rows = simulated_rows(800, 30)
    stop = asyncio.Event()
    names: dict[str, Any] = {
        "redis_url": setting.redis_url,
        "database_url": setting.dsn,
        "shards": _SHARDS,
        "stop": stop,
    }
    async with flowing(setting, rows), Redis.from_url(setting.redis_url) as redis:
        await _until_recorded(setting, 200)
        at_snapshot = await positions(redis, MasteryChanged, shards=_SHARDS)
        page = asyncio.create_task(run_python(_ALL, names))
        await _until_recorded(setting, len(rows))
        end = time.monotonic() + _PATIENCE_S
        while names.get("after") != await positions(redis, MasteryChanged, shards=_SHARDS):
            assert time.monotonic() < end
            if page.done():
                await page
            await asyncio.sleep(0.05)
        stop.set()
        await page
        published = [await redis.xlen(stream) for stream in names["after"]]
        later: list[Any] = [
            await redis.xrange(stream, f"({id_}") for stream, id_ in at_snapshot.items()
        ]
    await names["redis"].aclose()

    assert names["current"] == await _stored(setting)
    # Both parts were needed: the snapshot had some of it, the stream the rest.
    assert 0 < sum(map(len, later)) < sum(published)


async def test_given_snapshots_of_one_student_then_each_goes_on_without_a_gap(
    setting: Setting,
) -> None:
    rows = simulated_rows(600, 3, seed=7)
    tenant, student = rows[0]["tenant_id"], rows[0]["student_id"]
    now = int(time.time())
    token = jwt.encode(
        {
            "sub": student,
            "iss": "https://school.example",
            "aud": "authenticated",
            "role": "authenticated",
            "iat": now,
            "exp": now + 3_600,
            "tenant_id": tenant,
        },
        _SECRET,
        algorithm="HS256",
    )
    code = _ONE.replace("student-42", student).replace('"limit": 200', '"limit": 2')
    snapshots: list[dict[str, Any]] = []
    async with flowing(setting, rows) as url, Redis.from_url(setting.redis_url) as redis:
        await _until_recorded(setting, 50)
        while await _count(setting) < len(rows):
            names: dict[str, Any] = {"engine_url": url, "token": token}
            # The page's code is plain: it must not stop the flow.
            await asyncio.to_thread(asyncio.run, run_python(code, names))
            snapshots.append(names)
            await asyncio.sleep(0.1)
        end = await positions(redis, MasteryChanged, shards=_SHARDS)
        followed = [await _followed(redis, names, tenant, student, end) for names in snapshots]
        described = MasteryPage.model_validate(snapshots[-1]["pages"][0])

    stored = await _stored(setting)
    expected = {c: value for (t, s, c), value in stored.items() if (t, s) == (tenant, student)}
    assert len(snapshots) > 1
    assert described.student_id == student
    assert all(current == expected for current, _ in followed)
    assert sum(applied for _, applied in followed) > 0


async def _followed(
    redis: Redis, names: dict[str, Any], tenant: str, student: str, end: dict[str, str]
) -> tuple[dict[str, tuple[int, float]], int]:
    """Return what a snapshot and the stream after it give, and how many events were newer."""
    current = {c: (row["version"], row["mastery"]) for c, row in names["current"].items()}
    ((stream, position),) = names["after"].items()
    applied = 0
    if position == end[stream]:
        return current, applied
    async for event, delivery in follow(redis, MasteryChanged, {stream: position}):
        data = event.data
        is_theirs = (data.tenant_id, data.student_id) == (tenant, student)
        if is_theirs and data.version > current.get(data.concept_id, (0, 0.0))[0]:
            current[data.concept_id] = data.version, data.mastery
            applied += 1
        if delivery.entry_id == end[stream]:
            break
    return current, applied


async def test_given_the_document_of_v1_then_a_worker_serves_it(
    redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    async with flowing(setting, []) as url, httpx.AsyncClient(base_url=url) as client:
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = await client.get("/v1/openapi.json")
                break
            except httpx.TransportError:
                assert time.monotonic() < end
                await asyncio.sleep(0.1)

    assert "/v1/students/{student_id}/mastery" in answer.json()["paths"]
