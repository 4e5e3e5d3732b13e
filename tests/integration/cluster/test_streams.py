"""What the engine does with its streams on a Redis Cluster, part by part."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.crc import key_slot

from contracts.streams import JOBS, JOBS_REJECTED, shards
from tests.support.dead_letters import all_of, rejection
from tests.support.factories import event_json, uuid_of
from tests.support.redis_cluster import Cluster
from workers.common.text import text_of
from workers.estimation.learner import LearnerKey
from workers.operations.dead_letters.dead_letter import OF_JOBS, DeadLetterId
from workers.operations.dead_letters.outcome import Fate
from workers.operations.dead_letters.purging import Purger
from workers.operations.dead_letters.reading import DeadLetters, redriven_key
from workers.operations.dead_letters.redriving import Redriver
from workers.operations.jobs import records as records_module
from workers.operations.jobs.record import JobKey, JobRequest, JobStatus
from workers.operations.jobs.records import JobRecords
from workers.streams.leases.lease import Lease, lease_key
from workers.streams.redis_clock import RedisClock, latest_ms
from workers.streams.redriven import accepted_key
from workers.streams.tries import Tries, tries_key
from workers.web.limits.rates import Rates
from workers.web.sockets.mastery import LiveMastery

SHARDS = shards(3)


def test_given_a_shard_then_all_its_keys_share_a_slot() -> None:
    for shard in SHARDS:
        keys = [shard.responses, shard.mastery, shard.rejected, shard.unlocked]
        keys += [lease_key(shard.responses), tries_key(shard.responses)]
        keys += [accepted_key(shard.responses), redriven_key(shard.rejected)]
        assert len({key_slot(key.encode()) for key in keys}) == 1
    jobs = [JOBS, JOBS_REJECTED, redriven_key(JOBS_REJECTED), accepted_key(JOBS)]
    assert len({key_slot(key.encode()) for key in jobs}) == 1


async def test_given_dead_letters_of_shards_and_jobs_then_each_is_handled(client: Redis) -> None:
    ids = []
    for stream, source in ((SHARDS[2].rejected, SHARDS[2].responses), (JOBS_REJECTED, JOBS)):
        text = rejection({b"event": event_json()}, stream=source)
        ids.append(text_of(await client.xadd(stream, {"event": text})))
    of_shard, of_jobs = ids
    letters = DeadLetters(client, 3, "tenant_id")
    listed = await all_of(letters)
    assert [str(letter.id) for letter in listed] == [f"2:{of_shard}", f"jobs:{of_jobs}"]
    assert DeadLetterId.parse(f"jobs:{of_jobs}") == (OF_JOBS, of_jobs)
    outcomes = await Redriver(client).redrive(listed)
    assert [outcome.fate for outcome in outcomes] == [Fate.REDRIVEN, Fate.REFUSED]
    assert "POST /v1/jobs" in (outcomes[1].reason or "")
    assert await client.xlen(SHARDS[2].responses) == 1
    purged = await Purger(client).purge(await all_of(letters))
    assert [outcome.fate for outcome in purged] == [Fate.ON_ITS_WAY, Fate.PURGED]


async def test_given_more_jobs_than_fit_then_ended_ones_make_room(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "PER_TENANT", 2)
    records = JobRecords(client)
    asked = [JobRequest(JobKey("t", uuid_of("job", k)), "verify", {}, "o") for k in range(3)]
    for request in asked[:2]:
        await records.open(request, b"{}")
    await records.cancel(asked[1].key, "o")
    assert (await records.open(asked[2], b"{}")).status is JobStatus.QUEUED
    page, _ = await records.page("t", 10)
    assert {record.key for record in page} == {asked[0].key, asked[2].key}
    await records.remove([asked[0].key])
    assert await records.find(asked[0].key) is None


async def test_given_events_of_all_shards_then_sockets_hear_of_each(client: Redis) -> None:
    live = LiveMastery(client, [shard.mastery for shard in SHARDS])
    async with live.following(LearnerKey("t", "s")) as queue:
        for number, shard in enumerate(SHARDS):
            data = f'{{"data": {{"tenant_id": "t", "student_id": "s", "number": {number}}}}}'
            await client.xadd(shard.mastery, {"event": data})
        async with asyncio.timeout(10):
            heard = [await queue.take() for _ in SHARDS]
    assert sorted(text[-2] for text in heard) == ["0", "1", "2"]


async def test_given_requests_over_the_limit_then_the_cluster_counts_them(client: Redis) -> None:
    rates = [Rates(client, subject="2/minute", address="100/minute") for _ in range(2)]
    passed = [await rates[k % 2].of_subject("t", "a subject") for k in range(3)]
    assert passed[:2] == [None, None]
    assert passed[2]


async def test_given_masters_then_clock_lease_and_tries_work(client: Redis) -> None:
    now_ms = await RedisClock(client).now_ms()
    assert abs(await latest_ms(client) - now_ms) < 60_000
    for shard in SHARDS:
        mine, other = Lease(client, shard.responses, "a"), Lease(client, shard.responses, "b")
        assert await mine.acquire()
        assert not await other.acquire()
        await mine.release()
        assert await other.acquire()
        tries = Tries(client)
        await tries.note(shard.responses, "1-0", 2)
        assert await tries.made(shard.responses, "1-0") == 2


async def test_given_a_moving_slot_then_commands_and_scripts_reach_it(
    cluster: Cluster, client: Redis
) -> None:
    stream = SHARDS[0].responses
    target = await cluster.master_of(SHARDS[1].responses)
    # A machine so busy that the slot moves for longer than a lease lasts must not matter.
    await Lease(client, stream, "a", ttl_s=600).acquire()
    for number in range(20):
        await client.hset(f"{{0}}:{number}", "a", "b")
    added = [await client.xadd(stream, {"event": "x"})]
    moving = asyncio.create_task(cluster.move_slot(stream, target, pause_s=0.02))
    while not moving.done():
        # Several at once: ASKING must be on the connection of its command.
        added += await asyncio.gather(*(client.xadd(stream, {"event": "x"}) for _ in range(4)))
        assert not await Lease(client, stream, "b").acquire()
    await moving
    try:
        assert await client.xlen(stream) == len(added)
        assert await cluster.master_of(stream) is target
    finally:
        await cluster.move_slot(stream, cluster.nodes[2])
