"""Unlocked events on real servers: published once, even if a process dies in between."""

import asyncio
import json
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from contracts.mastery import MasteryChanged
from contracts.streams import GRAPH_GROUP, MASTERY, UNLOCKED
from contracts.unlocked import ConceptUnlocked
from tests.security.in_process import command, drained, settings_of
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting, publish
from workers.app.worker import Role
from workers.graph.neo4j import Neo4jGraph

TENANT = "school-7"
STUDENTS = [f"student-{n}" for n in range(24)]
RIGHT_ANSWERS = 6
"""More than it takes to master a concept."""
MAP = {
    "concepts": [
        {"id": "a", "name": "A"},
        {"id": "b", "name": "B"},
        {"id": "c", "name": "C", "prerequisites": ["a", "b"]},
        {"id": "d", "name": "D", "prerequisites": ["a"]},
        {"id": "e", "name": "E", "prerequisites": ["c", "d"]},
    ]
}
_DOCS = Path(__file__).parents[3] / "docs" / "concepts.md"


def _masters(student_id: str) -> set[str]:
    """Every third student never learns `b`."""
    return {"a"} if STUDENTS.index(student_id) % 3 == 0 else {"a", "b"}


def _rows() -> list[dict[str, Any]]:
    chance = random.Random(11)
    rows = [
        {
            "tenant_id": TENANT,
            "student_id": student_id,
            "response_id": f"{chance.getrandbits(32):08x}-0000-4000-8000-{number:012x}",
            "session_id": None,
            "item_id": f"q-{concept_id}",
            "concept_ids": [concept_id],
            "scale": "math",
            "score": float(concept_id in _masters(student_id)),
            "answered_at": (1_790_000_000 + number) * 1_000_000,
        }
        for student_id in STUDENTS
        for number in range(RIGHT_ANSWERS)
        for concept_id in "ab"
    ]
    chance.shuffle(rows)
    return rows


async def _told_twice(redis_url: str) -> dict[str, MasteryChanged]:
    """Add each mastery event once more, in another order; returns them by id."""
    async with Redis.from_url(redis_url) as client:
        entries: Any = await client.xrange(MASTERY)
        texts = [fields[b"event"] for _, fields in entries]
        for text in random.Random(12).sample(texts, len(texts)):
            await client.xadd(MASTERY, {"event": text})
    events = [MasteryChanged.model_validate_json(text) for text in texts]
    return {event.id: event for event in events}


def _crash(environment: dict[str, str]) -> int:
    """Run a projector that dies between the graph's second commit and its acknowledgement."""
    command_line = [sys.executable, "-m", "tests.support.crashing_projector", "worker", "--burst"]
    return subprocess.run(
        [*command_line, "--role", "graph"],
        env={**environment, "CRASH_AFTER": "1"},
        check=False,
        timeout=120,
    ).returncode


async def _unlocked(redis_url: str) -> list[ConceptUnlocked]:
    async with Redis.from_url(redis_url) as client:
        entries: Any = await client.xrange(UNLOCKED)
    return [ConceptUnlocked.model_validate_json(fields[b"event"]) for _, fields in entries]


async def test_given_a_projector_killed_before_its_ack_then_each_comes_just_once(
    redis_url: str, database_url: str, neo4j: Neo4j, tmp_path: Path
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url, neo4j.environment)
    (tmp_path / "map.json").write_text(json.dumps(MAP))
    environment = setting.environment(BATCH_SIZE="20")
    arguments = ("concepts", "import", str(tmp_path / "map.json"), "--tenant", TENANT)
    imported = await asyncio.to_thread(command, environment, *arguments)
    assert "graph: 5 concepts written" in imported
    await publish(redis_url, _rows())
    await drained(settings_of(environment), [Role.ENGINE])
    mastery = await _told_twice(redis_url)

    # What it brought into the graph before it died is pending, and told by those who follow.
    assert _crash(environment) == -signal.SIGKILL
    early = await _unlocked(redis_url)
    graph = Neo4jGraph(neo4j.uri, neo4j.username, neo4j.password)
    noted = [concept for learner in await graph.stored() for concept in learner.unlocked]
    assert len(noted) > len(early) > 0
    projectors = [settings_of(environment, consumer_name=name) for name in ("one", "two")]
    await asyncio.gather(*(drained(projector, [Role.GRAPH]) for projector in projectors))

    events = await _unlocked(redis_url)
    told = Counter((event.data.student_id, event.data.concept_id) for event in events)
    assert told == {
        **{(student, "d"): 1 for student in STUDENTS},
        **{(student, "c"): 1 for student in STUDENTS if _masters(student) == {"a", "b"}},
    }
    assert len({event.id for event in events}) == len(events)
    noted = [concept for learner in await graph.stored() for concept in learner.unlocked]
    await graph.close()
    assert {
        (concept.student_id, concept.concept_id): (concept.by, concept.version) for concept in noted
    } == {
        (event.data.student_id, event.data.concept_id): (event.causationid, event.data.version)
        for event in events
    }
    for event in events:
        cause = mastery[event.causationid or ""].data
        assert cause.mastered
        assert (cause.concept_id, cause.student_id) == (
            event.data.unlocked_by,
            event.data.student_id,
        )
        assert event.data.prerequisites == (["a"] if event.data.concept_id == "d" else ["a", "b"])
        assert event.data.at == cause.answered_at
    async with Redis.from_url(redis_url) as client:
        assert (await client.xpending(MASTERY, GRAPH_GROUP))["pending"] == 0
    await _frontier_is_told(neo4j)


async def _frontier_is_told(server: Neo4j) -> None:
    """The query of the docs, as it stands there."""
    (query,) = re.findall(r"```cypher\n(.*?)```", _DOCS.read_text("utf-8"), re.DOTALL)
    async with AsyncGraphDatabase.driver(
        server.uri, auth=(server.username, server.password)
    ) as driver:
        for student_id in STUDENTS[:2]:
            answer = await driver.execute_query(
                query, {"tenant_id": TENANT, "student_id": student_id}
            )
            frontier = [record["concept_id"] for record in answer.records]
            # Who has not mastered b begins with what is half known.
            assert frontier == (["c", "d"] if _masters(student_id) == {"a", "b"} else ["b", "d"])
