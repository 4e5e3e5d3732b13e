"""Erasing and exporting on embedded servers, as in development."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, JOBS, MASTERY, RESPONSES, UNLOCKED
from tests.support.factories import START, answer, event_json, uuid_of
from tests.support.ledger_steps import record
from workers.common.errors import StillThere
from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
)
from workers.graph.concept_map import MappedConcept
from workers.graph.embedded import EmbeddedGraph
from workers.graph.unlocking import Mastering
from workers.ledger.memory.ledger import MemoryLedger
from workers.operations.jobs.record import JobKey, JobRequest
from workers.operations.jobs.records import JobRecords
from workers.operations.privacy.belonging import Belonging
from workers.operations.privacy.erasing import Eraser
from workers.operations.privacy.exporting import Exporter
from workers.operations.privacy.streams import LearnerStreams
from workers.streams.embedded_redis import EmbeddedRedis

KEY = LearnerKey("school-7", "a \"' \\ ; é")
OTHER = LearnerKey("school-7", "bob")


@dataclass
class Place:
    """Embedded servers with two learners who shared a session."""

    client: Redis
    graph: EmbeddedGraph
    ledger: MemoryLedger

    def eraser(self, patience_s: float = 30.0) -> Eraser:
        return Eraser(
            ledger=self.ledger, graph=self.graph, streams=self.streams(), patience_s=patience_s
        )

    def streams(self) -> LearnerStreams:
        belonging = Belonging(KEY, "tenant_id", frozenset({"service_role"}))
        return LearnerStreams(self.client, 0, belonging)


def mastery(key: LearnerKey, version: int) -> bytes:
    return json.dumps({"data": {**key._asdict(), "version": version}}).encode()


def ties(key: LearnerKey, version: int) -> list[GraphChange]:
    return [
        AbilityChange(*key, "math", 0.1, 0.9, version),
        AttendanceChange(*key, "shared", 1, 1, version),
        AttendanceChange(*key, f"own-{key.student_id}", 1, 1, version),
        PractisedChange(key.tenant_id, f"own-{key.student_id}", "c"),
    ]


async def unlock(graph: EmbeddedGraph, key: LearnerKey, version: int) -> None:
    """Make the learner master a prerequisite: two relationships."""
    await graph.merge_map(key.tenant_id, [MappedConcept("d", "D", ("c",))])
    change = MasteryChange(*key, "c", 0.99, 2, True, START, version)
    by = Mastering(*key, "c", uuid_of("event", version), "mastery/1-0", version, START)
    assert len(await graph.project([change], [by])) == 1


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    embedded, graph, ledger = EmbeddedRedis(), EmbeddedGraph(), MemoryLedger()
    client = embedded.client()
    try:
        await graph.prepare()
        for key in (KEY, OTHER):
            versions = await record(ledger, key, [answer(0), answer(1)])
            await graph.merge(ties(key, versions[-1]))
            await unlock(graph, key, versions[-1])
            for stream in (MASTERY, UNLOCKED):
                await client.xadd(stream, {"event": mastery(key, versions[-1])})
            await client.xadd(RESPONSES, {"event": event_json(key.student_id)})
        await client.xadd(
            JOBS, {"event": json.dumps({"data": {"parameters": {"student_id": KEY.student_id}}})}
        )
        records = JobRecords(client)
        for number, (subject, student_id, tenant_id) in enumerate(
            [
                ("operator", KEY.student_id, KEY.tenant_id),
                (KEY.student_id, None, KEY.tenant_id),
                ("operator", OTHER.student_id, KEY.tenant_id),
                ("operator", KEY.student_id, "school-8"),
            ]
        ):
            job = JobKey(tenant_id, uuid_of("job", number))
            await records.open(JobRequest(job, "verify", {"student_id": student_id}, subject))
        yield Place(client, graph, ledger)
    finally:
        await graph.close()
        await embedded.close()


async def test_given_two_learners_when_one_is_erased_then_the_other_keeps_all(
    place: Place,
) -> None:
    planned = await place.eraser().preview(KEY)
    assert await place.graph.knows(KEY)

    report = await place.eraser().erase(KEY, refuse=False)

    assert report.rows == planned.rows
    for counts in (planned, report):
        assert (counts.responses, counts.mastery, counts.unlocked, counts.jobs) == (1, 1, 1, 1)
        assert counts.relationships == 5
    assert not await place.graph.knows(KEY)
    (other,) = await place.graph.learners([OTHER])
    assert len(other.attendance) == 2
    assert [concept.concept_id for concept in other.unlocked] == ["d"]
    assert await place.client.xlen(UNLOCKED) == 1
    sessions = [session.key.session_id for session in await place.graph.sessions()]
    assert sessions == ["own-bob", "shared"]
    assert await place.client.xlen(RESPONSES) == await place.client.xlen(MASTERY) == 1
    assert await place.client.xlen(JOBS) == 0
    assert (await place.ledger.stored([OTHER]))[0].version > 0
    assert planned.job_records == report.job_records == 2
    left = [await JobRecords(place.client).page(tenant, 9) for tenant in ("school-7", "school-8")]
    assert [[record.key.job_id for record in page] for page, _ in left] == [
        [uuid_of("job", 2)],
        [uuid_of("job", 3)],
    ]


async def test_given_what_is_newer_when_erased_then_it_stays(place: Place) -> None:
    version = 10_000
    await place.graph.merge([AbilityChange(*KEY, "verbal", 0.1, 0.9, version)])
    await place.client.xadd(MASTERY, {"event": mastery(KEY, version)})

    await place.eraser().erase(KEY, refuse=False)

    (stored,) = await place.graph.learners([KEY])
    assert [ability.scale for ability in stored.abilities] == ["verbal"]
    assert stored.attendance == []
    assert await place.client.xlen(MASTERY) == 2


async def test_given_entries_of_dead_workers_when_erased_then_they_go(
    place: Place,
) -> None:
    for stream, group in ((RESPONSES, ENGINE_GROUP), (MASTERY, GRAPH_GROUP)):
        await place.client.xgroup_create(stream, group, "0")
        await place.client.xreadgroup(group, "dead", {stream: ">"})

    await place.eraser(patience_s=0).erase(KEY, refuse=False)

    for stream, group in ((RESPONSES, ENGINE_GROUP), (MASTERY, GRAPH_GROUP)):
        assert (await place.client.xpending(stream, group))["pending"] == 1
        assert await place.client.xlen(stream) == 1


async def test_given_what_comes_back_each_time_when_erased_then_it_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def known(_: LearnerKey) -> bool:
        return True

    monkeypatch.setattr(place.graph, "knows", known)
    with pytest.raises(StillThere, match="run this again"):
        await place.eraser().erase(KEY, refuse=False)


async def test_given_a_learner_when_exported_then_it_is_one_document(place: Place) -> None:
    exporter = Exporter(ledger=place.ledger, graph=place.graph, streams=place.streams())

    document = json.loads(b"".join([piece async for piece in exporter.export(KEY)]))

    assert document["student_id"] == KEY.student_id
    assert len(document["ledger"]["student_responses"]) == 2
    assert document["graph"]["student"] is True
    assert {name: len(stream) for name, stream in document["streams"].items()} == {
        RESPONSES: 1,
        MASTERY: 1,
        UNLOCKED: 1,
        JOBS: 1,
    }
    assert [data["concept_id"] for data in document["graph"]["unlocked"]] == ["d"]
    assert [record["job_id"] for record in document["job_records"]] == [
        uuid_of("job", 1),
        uuid_of("job", 0),
    ]
