"""The Python client on a Redis Cluster: redirections, confirmations, all streams of a type."""

import asyncio
import threading
from typing import Any

import pytest
from redis import Redis as PlainRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster

from contracts.client import (
    Confirmation,
    Delivery,
    NotConfirmedError,
    Publisher,
    stream_names,
    subscribe,
)
from contracts.client.asyncio import Publisher as AsyncPublisher
from contracts.rejections import ResponseRejected
from contracts.responses import ResponseRecorded
from contracts.streams import JOBS, JOBS_REJECTED
from tests.support.dead_letters import rejection
from tests.support.factories import event_json
from tests.support.redis_cluster import Cluster

CONFIRMED = Confirmation(replicas=1, timeout_s=2.0)


def _events(count: int) -> list[ResponseRecorded]:
    return [
        ResponseRecorded.model_validate_json(event_json(number=number, student_id=f"s-{number}"))
        for number in range(count)
    ]


def _cluster(cluster: Cluster) -> RedisCluster:
    return RedisCluster(host="127.0.0.1", port=cluster.nodes[1].port)


def test_given_a_cluster_and_no_shards_then_the_plain_names_are_refused(cluster: Cluster) -> None:
    with _cluster(cluster) as redis:
        with pytest.raises(ValueError, match="share no slot"):
            Publisher(redis)
        assert JOBS_REJECTED in stream_names(ResponseRejected, 3, cluster=True)


async def test_given_a_confirmation_and_a_moving_slot_then_each_entry_is_there(
    cluster: Cluster,
) -> None:
    stream, home = "practice.responses.v1.{0}", cluster.nodes[2]
    target = cluster.nodes[0]
    async with AsyncRedisCluster(host="127.0.0.1", port=cluster.nodes[1].port) as redis:
        for number in range(20):
            await redis.set(f"{{0}}:{number}", "x")
        publisher = AsyncPublisher(redis, shards=1, confirmation=CONFIRMED)
        with _cluster(cluster) as plain:
            waiting = Publisher(plain, shards=1, confirmation=CONFIRMED)
            before = [*await publisher.publish_all(_events(3)), waiting.publish(_events(1)[0])]
            moving = asyncio.create_task(cluster.move_slot(stream, target, pause_s=0.02))
            added = []
            while not moving.done():
                added.append(await publisher.publish(_events(1)[0]))
                added += await asyncio.to_thread(waiting.publish_all, _events(2))
            await moving
            try:
                rows: Any = await redis.xrange(stream)
                assert {p.entry_id for p in (*before, *added)} == {r[0].decode() for r in rows}
            finally:
                await cluster.move_slot(stream, home)


async def test_given_a_silent_replica_then_nothing_is_confirmed(cluster: Cluster) -> None:
    master = await cluster.master_of("practice.responses.v1.{0}")
    replica = await cluster.replica_of(master)
    event = _events(1)[0]
    short = Confirmation(replicas=1, timeout_s=0.2)
    with _cluster(cluster) as redis:
        publisher = Publisher(redis, shards=1, confirmation=short)
        publisher.publish(event)
        replica.process.freeze()
        try:
            with pytest.raises(NotConfirmedError, match="0 of 1 replicas"):
                publisher.publish(event)
            async with AsyncRedisCluster(host="127.0.0.1", port=cluster.nodes[1].port) as other:
                with pytest.raises(NotConfirmedError):
                    await AsyncPublisher(other, shards=1, confirmation=short).publish(event)
        finally:
            replica.process.thaw()


def test_given_one_server_without_replicas_then_nothing_is_confirmed(redis_url: str) -> None:
    with PlainRedis.from_url(redis_url) as redis:
        publisher = Publisher(redis, confirmation=Confirmation(timeout_s=0.1))
        with pytest.raises(NotConfirmedError):
            publisher.publish_all(_events(2))
        assert redis.xlen("practice.responses.v1") == 2


def test_given_rejections_of_shards_and_jobs_then_a_subscriber_gets_all(cluster: Cluster) -> None:
    streams = stream_names(ResponseRejected, 2, cluster=True)
    stop, heard = threading.Event(), []

    def handle(_: ResponseRejected, delivery: Delivery) -> None:
        heard.append(delivery.stream)
        if len(heard) == len(streams):
            stop.set()

    with _cluster(cluster) as redis:
        for stream in streams:
            text = rejection({b"event": event_json()}, stream=JOBS)
            redis.xadd(stream, {"event": text})
        subscribe(
            redis, ResponseRejected, group="g", consumer="c", start_at="0", handle=handle,
            shards=2, stop=stop,
        )  # fmt: skip
    assert sorted(heard) == sorted(streams)
