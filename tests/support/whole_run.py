"""Run the whole engine: publish, start worker processes, kill some, and compare everything.

Workers are processes of the command that users start; results are read from the servers.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from contracts.mastery import MasteryChanged
from contracts.streams import MASTERY, REJECTED, RESPONSES
from tests.support import oracle
from workers.common.times import iso, to_us
from workers.graph.neo4j import Neo4jGraph

MASTERY_COMMAND = str(Path(sys.executable).with_name("mastery"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = ("learners", "responses", "concepts", "abilities", "sessions")


@dataclass(frozen=True)
class Setting:
    """The servers of a run."""

    redis_url: str
    ledger: dict[str, str]
    """Settings of the ledger: `DATABASE_URL`, or `SUPABASE_URL` and its key."""
    dsn: str
    """The ledger's database."""
    graph: dict[str, str] = field(default_factory=dict)
    """Settings of Neo4j; empty means an embedded graph that no check reads."""

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a worker process: the machine's, and these servers."""
        foreign = ("REDIS_URL", "DATABASE_URL", "SUPABASE_", "NEO4J_", "JWT_", "STREAM_")
        own = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return {
            **own,
            "REDIS_URL": self.redis_url,
            **self.ledger,
            **self.graph,
            "HTTP_PORT": "0",
            "RECLAIM_AFTER_MS": "2000",
            # Keep all events, because they are counted at the end.
            "STREAM_KEEP": "1000000000",
            "LOG_LEVEL": "WARNING",
            **settings,
        }


def event_of(row: dict[str, Any], issued_at: int) -> bytes:
    """Make the event of a row, as a delegated role publishes it."""
    at = row["answered_at"]
    response = {
        "response_id": row["response_id"],
        "student_id": row["student_id"],
        "item_id": row["item_id"],
        "concept_ids": list(row["concept_ids"]),
        "scale": row["scale"],
        "score": row["score"],
        "answered_at": iso(at if isinstance(at, int) else to_us(at)),
    }
    if row["session_id"] is not None:
        response["session_id"] = row["session_id"]
    claims = {
        "sub": "importer",
        "iss": "https://school.example/auth/v1",
        "aud": "authenticated",
        "role": "service_role",
        "iat": issued_at,
        "exp": issued_at + 86_400,
        "tenant_id": row["tenant_id"],
    }
    return json.dumps(
        {
            "specversion": "1.0",
            "id": row["response_id"],
            "source": "/tests",
            "type": "practice.response.recorded.v1",
            "data": {"claims": claims, "response": response},
        }
    ).encode()


async def publish(redis_url: str, rows: Iterable[dict[str, Any]]) -> int:
    """Add the event of each row with a plain XADD, in the given order; return their number."""
    issued_at = int(time.time())
    total = 0
    async with Redis.from_url(redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for total, row in enumerate(rows, 1):  # noqa: B007  # the count of the last one
            pipeline.xadd(RESPONSES, {"event": event_of(row, issued_at)})
            if len(pipeline.command_stack) == 1_000:
                await pipeline.execute()
        await pipeline.execute()
    return total


def start_worker(setting: Setting, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
    """Start a worker process; its log goes to this process's standard error."""
    return subprocess.Popen(
        [MASTERY_COMMAND, "worker", *arguments], env=setting.environment(**settings)
    )


def drain(
    setting: Setting,
    *,
    roles: Sequence[str] = (),
    workers: int = 1,
    kills: int = 0,
    seed: int = 0,
    **settings: str,
) -> float:
    """Run workers until everything is drained, killing some on the way; return the seconds.

    Each kill is a SIGKILL of a random worker at a random time; another worker replaces it.
    """
    chance = random.Random(seed)
    began = time.monotonic()
    arguments = ["--burst", *(part for role in roles for part in ("--role", role))]
    running = [start_worker(setting, *arguments, **settings) for _ in range(workers)]
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(1.5, 3.0))
            victim = chance.randrange(workers)
            running[victim].send_signal(signal.SIGKILL)
            running[victim].wait()
            running[victim] = start_worker(setting, *arguments, **settings)
        for worker in running:
            assert worker.wait(timeout=3_600) == 0, f"a worker ended with {worker.returncode}"
    finally:
        for worker in running:
            worker.kill()
            worker.wait()
    return time.monotonic() - began


@dataclass
class Found:
    """The outcome of a run."""

    differences: list[str]
    """Differences between the ledger and the oracle's replay."""
    events: Counter[tuple[str, str, str]]
    """Number of mastery events by student, response and concept."""
    rejected: Counter[str]
    pending: int
    newest: dict[tuple[str, str, str], Any]
    """Data of the event with the highest version, by tenant, student and concept."""
    disordered: int
    """Number of events after one of the same learner and concept with a higher version."""


async def found(setting: Setting, rows: Sequence[dict[str, Any]], tolerance: float) -> Found:
    """Read everything: ledger, events by a group of its own, dead letters, pending entries."""
    differences = await ledger_differences(setting.dsn, rows, tolerance)
    events, newest, disordered = await _events(setting.redis_url)
    async with Redis.from_url(setting.redis_url) as client:
        rejected: Counter[str] = Counter()
        letters: Any = await client.xrange(REJECTED)
        for _, fields in letters:
            rejected[json.loads(fields[b"event"])["data"]["code"]] += 1
        groups: Any = await client.xinfo_groups(RESPONSES)
        pending = sum(group["pending"] for group in groups)
    return Found(differences, events, rejected, pending, newest, disordered)


async def _events(
    redis_url: str,
) -> tuple[Counter[tuple[str, str, str]], dict[tuple[str, str, str], Any], int]:
    counted: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], Any] = {}
    disordered = 0
    async with Redis.from_url(redis_url) as client:
        await client.xgroup_create(MASTERY, "a-subscriber", id="0", mkstream=True)
        while True:
            answer: Any = await client.xreadgroup(
                "a-subscriber", "one", {MASTERY: ">"}, count=5_000, noack=True
            )
            if not answer:
                break
            entries = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
            if entries and isinstance(entries[0], list):
                entries = entries[0]
            for _, fields in entries:
                data = MasteryChanged.model_validate_json(fields[b"event"]).data
                counted[data.student_id, data.response_id, data.concept_id] += 1
                key = (data.tenant_id, data.student_id, data.concept_id)
                known = newest.get(key)
                if known is None or known.version < data.version:
                    newest[key] = data
                else:
                    disordered += 1
        await client.xgroup_destroy(MASTERY, "a-subscriber")
    return counted, newest, disordered


async def ledger_differences(
    dsn: str, rows: Sequence[dict[str, Any]], tolerance: float
) -> list[str]:
    """List all differences between the tables and the oracle's replay of the rows."""
    expected = oracle.replay_by_student(rows)
    connection = await asyncpg.connect(dsn)
    try:
        wrong = []
        stored = await connection.fetchval("select count(*) from public.student_responses")
        distinct = len({(r["tenant_id"], r["student_id"], r["response_id"]) for r in rows})
        if stored != distinct:
            wrong.append(f"{stored} responses are stored, {distinct} were published")
        wrong += await _concept_differences(connection, expected, tolerance)
        wrong += await _ability_differences(connection, expected, tolerance)
        wrong += await _session_differences(connection, expected)
    finally:
        await connection.close()
    return wrong


async def _concept_differences(
    connection: Any, expected: dict[tuple[str, str], oracle.State], tolerance: float
) -> list[str]:
    wrong = []
    rows = await connection.fetch("select * from public.concept_mastery")
    mastery = {key: state.mastery() for key, state in expected.items()}
    wanted = sum(len(state.concepts) for state in expected.values())
    if len(rows) != wanted:
        wrong.append(f"{len(rows)} rows of concept_mastery, not {wanted}")
    for row in rows:
        key = row["tenant_id"], row["student_id"]
        chain = expected[key].concepts[row["concept_id"]]
        if abs(row["mastery"] - float(mastery[key][row["concept_id"]])) > tolerance:
            wrong.append(f"mastery of {key} {row['concept_id']}: {row['mastery']}")
        if row["attempts"] != chain.attempts:
            wrong.append(f"attempts of {key} {row['concept_id']}: {row['attempts']}")
        if to_us(row["answered_at"]) != oracle.moment_us(chain.last_answered_at):
            wrong.append(f"answered_at of {key} {row['concept_id']}: {row['answered_at']}")
        if row["mastered"] != (row["mastery"] >= 0.95):
            wrong.append(f"mastered of {key} {row['concept_id']}")
    return wrong


async def _ability_differences(
    connection: Any, expected: dict[tuple[str, str], oracle.State], tolerance: float
) -> list[str]:
    wrong = []
    rows = await connection.fetch("select * from public.student_ability")
    wanted = sum(len(state.abilities) for state in expected.values())
    if len(rows) != wanted:
        wrong.append(f"{len(rows)} rows of student_ability, not {wanted}")
    for row in rows:
        key = row["tenant_id"], row["student_id"]
        ability = expected[key].abilities[row["scale"]]
        theta, error = oracle.eap(ability.responses, ability.score)
        if abs(row["theta"] - float(theta)) > tolerance:
            wrong.append(f"theta of {key}: {row['theta']}, not {theta}")
        if abs(row["standard_error"] - float(error)) > tolerance:
            wrong.append(f"standard_error of {key}: {row['standard_error']}, not {error}")
        if row["responses"] != ability.responses:
            wrong.append(f"responses of {key}: {row['responses']}")
    return wrong


async def _session_differences(
    connection: Any, expected: dict[tuple[str, str], oracle.State]
) -> list[str]:
    wrong = []
    rows = await connection.fetch("select * from public.practice_sessions")
    wanted = sum(len(state.sessions) for state in expected.values())
    if len(rows) != wanted:
        wrong.append(f"{len(rows)} rows of practice_sessions, not {wanted}")
    for row in rows:
        session = expected[row["tenant_id"], row["student_id"]].sessions[row["session_id"]]
        found_ = (
            row["responses"],
            row["correct"],
            to_us(row["started_at"]),
            to_us(row["ended_at"]),
        )
        should = (
            session.responses,
            session.correct,
            oracle.moment_us(session.started_at),
            oracle.moment_us(session.ended_at),
        )
        if found_ != should:
            wrong.append(f"session {row['session_id']} of {row['student_id']}: {found_}")
    return wrong


async def graph_differences(setting: Setting) -> list[str]:
    """List all differences between Neo4j and the ledger's tables."""
    connection = await asyncpg.connect(setting.dsn)
    try:
        tables = await asyncio.gather(_table(connection))
    finally:
        await connection.close()
    return await _compared(setting, tables[0])


async def _table(connection: Any) -> dict[str, dict[tuple[str, str, str], tuple[Any, ...]]]:
    concepts = await connection.fetch("select * from public.concept_mastery")
    abilities = await connection.fetch("select * from public.student_ability")
    sessions = await connection.fetch("select * from public.practice_sessions")
    return {
        "mastery": {
            (r["tenant_id"], r["student_id"], r["concept_id"]): (
                r["mastery"],
                r["attempts"],
                r["mastered"],
                to_us(r["answered_at"]),
                r["version"],
            )
            for r in concepts
        },
        "abilities": {
            (r["tenant_id"], r["student_id"], r["scale"]): (
                r["theta"],
                r["standard_error"],
                r["version"],
            )
            for r in abilities
        },
        "attendance": {
            (r["tenant_id"], r["student_id"], r["session_id"]): (
                r["responses"],
                r["correct"],
                r["version"],
            )
            for r in sessions
        },
    }


async def _compared(
    setting: Setting, ledger: dict[str, dict[tuple[str, str, str], tuple[Any, ...]]]
) -> list[str]:
    graph = Neo4jGraph(
        setting.graph["NEO4J_URI"],
        setting.graph["NEO4J_USERNAME"],
        setting.graph["NEO4J_PASSWORD"],
    )
    seen: dict[str, dict[tuple[str, str, str], tuple[Any, ...]]] = {name: {} for name in ledger}
    try:
        after = None
        while page := await graph.stored(after):
            for learner in page:
                for m in learner.mastery:
                    at = to_us(m.answered_at)
                    seen["mastery"][m[:3]] = (m.mastery, m.attempts, m.mastered, at, m.version)
                for a in learner.abilities:
                    seen["abilities"][a[:3]] = (a.theta, a.standard_error, a.version)
                for s in learner.attendance:
                    seen["attendance"][s[:3]] = (s.responses, s.correct, s.version)
            after = page[-1].key
    finally:
        await graph.close()
    return [
        f"{name} of {key}: graph {seen[name].get(key)}, ledger {ledger[name].get(key)}"
        for name in ledger
        for key in ledger[name].keys() | seen[name].keys()
        if seen[name].get(key) != ledger[name].get(key)
    ]


def events_differences(
    result: Found, rows: Sequence[dict[str, Any]], dsn_rows: dict[tuple[str, str, str], Any]
) -> list[str]:
    """List faults of the published events: each response and concept once, newest as stored."""
    wanted = {
        (row["student_id"], row["response_id"], concept)
        for row in rows
        for concept in row["concept_ids"]
    }
    wrong = [f"event {key} {n} times" for key, n in result.events.items() if n != 1]
    wrong += [f"no event {key}" for key in wanted - result.events.keys()]
    wrong += [f"event {key} of nobody's response" for key in result.events.keys() - wanted]
    for key, (mastery, attempts, mastered, at, version) in dsn_rows.items():
        data = result.newest.get(key)
        if data is None or (
            data.mastery,
            data.attempts,
            data.mastered,
            to_us(data.last_answered_at),
            data.version,
        ) != (mastery, attempts, mastered, at, version):
            wrong.append(f"newest event of {key} is not what is stored")
    return wrong


async def stored_mastery(dsn: str) -> dict[tuple[str, str, str], Any]:
    """Read the rows of concept_mastery by tenant, student and concept."""
    connection = await asyncpg.connect(dsn)
    try:
        return (await _table(connection))["mastery"]
    finally:
        await connection.close()


def simulated_rows(count: int, students: int, seed: int = 1) -> list[dict[str, Any]]:
    """Make answers of several tenants with sessions, several concepts, partial credit and ties."""
    chance = random.Random(seed)
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    rows = []
    for number in range(count):
        student = chance.randrange(students)
        at = start + timedelta(seconds=chance.randrange(200_000))
        rows.append(
            {
                "tenant_id": f"school-{student % 3}",
                "student_id": f"student-{student // 2}",
                "response_id": f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
                "session_id": chance.choice([None, f"s-{at.date()}"]),
                "item_id": f"q-{chance.randrange(50)}",
                "concept_ids": chance.sample(
                    [f"c-{n}" for n in range(6)], chance.choice([1, 1, 2])
                ),
                "scale": chance.choice(["math", "reading"]),
                "score": chance.choice([0.0, 1.0, 1.0, 0.25]),
                "answered_at": to_us(at),
            }
        )
    return rows
