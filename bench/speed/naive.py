"""The naive worker: what one writes first, and loses events with.

One event at a time: three supabase-py calls, one Cypher write, one event, one acknowledgement. It
trusts every event, counts repeats twice and knows no late answer.
"""

import asyncio
import json
import math
import os
from typing import Any, Final

from neo4j import AsyncGraphDatabase
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, MASTERY, RESPONSES
from supabase import acreate_client

_PRIOR, _LEARN, _GUESS, _SLIP = 0.3, 0.1, 0.2, 0.1
_MASTERED: Final = 0.95
_CYPHER: Final = """
MERGE (s:NaiveStudent {id: $student, tenant_id: $tenant})
WITH s UNWIND $rows AS row
MERGE (c:NaiveConcept {id: row.concept_id, tenant_id: $tenant})
MERGE (s)-[m:MASTERY]->(c)
SET m.p = row.mastery, m.attempts = row.attempts
"""
CONSTRAINTS: Final = (
    "CREATE CONSTRAINT IF NOT EXISTS FOR (s:NaiveStudent) REQUIRE (s.tenant_id, s.id) IS UNIQUE",
    "CREATE CONSTRAINT IF NOT EXISTS FOR (c:NaiveConcept) REQUIRE (c.tenant_id, c.id) IS UNIQUE",
)
"""Without them each write would scan all nodes."""


def updated(known: float, score: float) -> float:
    """Update P(known) by one answer: Bayes' rule, then learning (Corbett and Anderson 1995)."""
    right = score >= 0.5
    if_known, if_unknown = (1 - _SLIP, _GUESS) if right else (_SLIP, 1 - _GUESS)
    posterior = known * if_known / (known * if_known + (1 - known) * if_unknown)
    return posterior + (1 - posterior) * _LEARN


def next_rows(
    response: dict[str, Any], tenant: str, stored: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of `concept_mastery` after a response."""
    before = {row["concept_id"]: row for row in stored}
    rows = []
    for concept in response["concept_ids"]:
        old = before.get(concept, {"mastery": _PRIOR, "attempts": 0, "version": 0})
        mastery = updated(old["mastery"], response["score"])
        mantissa, exponent = math.frexp(mastery / (1 - mastery))
        rows.append(
            {
                "tenant_id": tenant,
                "student_id": response["student_id"],
                "concept_id": concept,
                "mastery": mastery,
                "attempts": old["attempts"] + 1,
                "mastered": mastery >= _MASTERED,
                "answered_at": response["answered_at"],
                "version": old["version"] + 1,
                "parameters_version": 1,
                "odds_mantissa": mantissa,
                "odds_exponent": exponent,
            }
        )
    return rows


async def _main() -> None:
    redis = Redis.from_url(os.environ["REDIS_URL"])
    supabase = await acreate_client(
        os.environ["SUPABASE_URL"], os.environ["SUPABASE_SERVICE_ROLE_KEY"]
    )
    login = (os.environ["NEO4J_USERNAME"], os.environ["NEO4J_PASSWORD"])
    async with redis, AsyncGraphDatabase.driver(os.environ["NEO4J_URI"], auth=login) as driver:
        for constraint in CONSTRAINTS:
            await driver.execute_query(constraint)
        await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0", mkstream=True)
        while True:
            answer: Any = await redis.xreadgroup(
                ENGINE_GROUP, "naive", {RESPONSES: ">"}, count=1, block=1_000
            )
            for _, entries in answer.items() if isinstance(answer, dict) else answer or ():
                flat = entries[0] if isinstance(entries[0], list) else entries
                for entry_id, fields in flat:
                    await _process(supabase, driver, redis, fields[b"event"])
                    await redis.xack(RESPONSES, ENGINE_GROUP, entry_id)


async def _process(supabase: Any, driver: Any, redis: Redis, event: bytes) -> None:
    data = json.loads(event)["data"]
    response, tenant = data["response"], data["claims"]["tenant_id"]
    student = response["student_id"]
    mastery = supabase.table("concept_mastery")
    stored = (
        await mastery.select("concept_id, mastery, attempts, version")
        .eq("tenant_id", tenant)
        .eq("student_id", student)
        .in_("concept_id", response["concept_ids"])
        .execute()
    ).data
    rows = next_rows(response, tenant, stored)
    row = {name: value for name, value in response.items() if name != "session_id"}
    row |= {"tenant_id": tenant, "version": rows[0]["version"], "entry": "naive", "outcome": {}}
    await supabase.table("student_responses").insert(row).execute()
    await supabase.table("concept_mastery").upsert(rows).execute()
    await driver.execute_query(_CYPHER, student=student, tenant=tenant, rows=rows)
    changed = {"data": {"response_id": response["response_id"], "rows": rows}}
    await redis.xadd(MASTERY, {"event": json.dumps(changed)})


if __name__ == "__main__":
    asyncio.run(_main())
