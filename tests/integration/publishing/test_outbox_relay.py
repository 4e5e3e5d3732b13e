"""The outbox relay publishes each pending event at least once, always with the same id."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.mastery import MasteryChanged
from contracts.streams import MASTERY, shard_of
from tests.support.factories import learner_log
from tests.support.ledger_steps import PARAMETERS, record
from workers.common.errors import RedisUnavailable, StreamRefused
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.graph.changes import MasteryChange, PractisedChange, changes_of
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.repair.correcting import Corrector, Verdict
from workers.publishing.outbox_relay import OutboxRelay

KEYS = [LearnerKey("school-7", f"s{n}") for n in range(6)]


async def corrected() -> MemoryLedger:
    """A ledger with one correction of each of some learners, untold."""
    ledger = MemoryLedger()
    log = learner_log(9, seed=41)
    for key in KEYS:
        await record(ledger, key, log)
    corrector = Corrector(
        ledger=ledger, parameters=PARAMETERS, verdict=Verdict("rescore", "miskeyed", 0.4)
    )
    await corrector.correct((key, log[5].response_id) for key in KEYS)
    return ledger


def relay(ledger: MemoryLedger, client: Redis, shards: int = 0, **options: Any) -> OutboxRelay:
    return OutboxRelay(ledger=ledger, client=client, shard_count=shards, **options)


async def events(client: Redis, stream: str = MASTERY) -> list[dict[str, Any]]:
    entries: Any = await client.xrange(stream)
    for _, fields in entries:
        MasteryChanged.model_validate_json(fields[b"event"])
    return [json.loads(fields[b"event"]) for _, fields in entries]


async def test_given_corrections_when_told_then_each_change_is_one_valid_event(
    redis_url: str,
) -> None:
    ledger = await corrected()
    async with Redis.from_url(redis_url) as client:
        told = await relay(ledger, client).publish()
        published = await events(client)
        assert await relay(ledger, client).publish() == 0

    assert told == len(published) >= len(KEYS)
    assert len({event["id"] for event in published}) == told
    assert {event["data"]["student_id"] for event in published} == {key.student_id for key in KEYS}
    assert {event["data"]["cause"] for event in published} == {"correction"}
    assert {event["data"]["score"] for event in published} == {0.4}
    for event in published:
        (stored,) = await ledger.stored([LearnerKey("school-7", event["data"]["student_id"])])
        assert event["data"]["version"] == stored.version
        row = next(c for c in stored.concepts if c.concept_id == event["data"]["concept_id"])
        assert (event["data"]["mastery"], event["data"]["attempts"]) == (row.mastery, row.attempts)


async def test_given_shards_when_told_then_each_event_is_in_its_learners_stream(
    redis_url: str,
) -> None:
    ledger = await corrected()
    async with Redis.from_url(redis_url) as client:
        await relay(ledger, client, shards=3).publish()
        for shard in range(3):
            here = {
                event["data"]["student_id"]
                for event in await events(client, f"{MASTERY}.{{{shard}}}")
            }
            assert here == {k.student_id for k in KEYS if shard_of(*k, 3) == shard}


class Crashing(MemoryLedger):
    """The first time, whoever has told dies before it is forgotten."""

    crashed = False

    async def forget_changes(self, numbers: Sequence[int]) -> None:
        if not self.crashed:
            self.crashed = True
            raise ConnectionResetError
        await super().forget_changes(numbers)


async def test_given_a_crash_before_forgetting_then_the_same_id_is_sent_again(
    redis_url: str,
) -> None:
    done = await corrected()
    ledger = Crashing()
    ledger.__dict__.update(done.__dict__)
    async with Redis.from_url(redis_url) as client:
        with pytest.raises(ConnectionResetError):
            await relay(ledger, client).publish()
        assert await relay(ledger, client).publish() == 0  # it is lent still
        again = await relay(ledger, client, lease_s=0.0).publish()
        published = await events(client)
    assert len(published) == 2 * again
    assert [event["id"] for event in published[:again]] == [
        event["id"] for event in published[again:]
    ]
    assert published[:again] == published[again:]


async def test_given_redis_away_then_it_is_told_once_it_is_back() -> None:
    ledger = await corrected()
    async with Redis.from_url("redis://127.0.0.1:1") as nobody:
        with pytest.raises(RedisUnavailable):
            await relay(ledger, nobody).publish()
    assert len(await ledger.pending_changes(lease_s=0.0)) >= len(KEYS)


async def test_given_a_stream_that_is_none_then_the_relay_stops_with_it(redis_url: str) -> None:
    ledger = await corrected()
    async with Redis.from_url(redis_url) as client:
        await client.set(MASTERY, "no stream")
        with pytest.raises(StreamRefused):
            async with asyncio.timeout(10):
                await relay(ledger, client).run()


async def test_given_a_running_relay_then_later_corrections_are_told_too(redis_url: str) -> None:
    ledger = await corrected()
    async with Redis.from_url(redis_url) as client:
        retrying = Retrying(first_s=0.01, longest_s=0.02)
        running = asyncio.create_task(relay(ledger, client, period_s=0.02, retrying=retrying).run())
        try:
            async with asyncio.timeout(10):
                while not (first := len(await events(client))):
                    await asyncio.sleep(0.02)
                log = learner_log(9, seed=41)
                corrector = Corrector(
                    ledger=ledger, parameters=PARAMETERS, verdict=Verdict("void", "cheated")
                )
                await corrector.correct([(KEYS[0], log[1].response_id)])
                while len(await events(client)) == first:
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
        newest = (await events(client))[-1]
    assert newest["data"]["correction"] == "void"


async def test_given_a_correction_event_then_the_graph_takes_it_without_practice(
    redis_url: str,
) -> None:
    ledger = await corrected()
    async with Redis.from_url(redis_url) as client:
        await relay(ledger, client).publish()
        entries: Any = await client.xrange(MASTERY)
    data = [MasteryChanged.model_validate_json(fields[b"event"]).data for _, fields in entries]
    assert any(change.session_id for change in data)
    changes = changes_of(data)
    assert not [change for change in changes if isinstance(change, PractisedChange)]
    assert len([change for change in changes if isinstance(change, MasteryChange)]) == len(data)
    as_response = [change.model_copy(update={"cause": None}) for change in data]
    assert [change for change in changes_of(as_response) if isinstance(change, PractisedChange)]
