"""Read all that a run left behind, and compare it with the oracle and the ledger."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from contracts.mastery import MasteryChanged
from contracts.streams import Shard, shards
from tests.support import oracle
from tests.support.whole_run import Setting
from workers.common.times import to_us
from workers.graph.neo4j import Neo4jGraph
from workers.streams.connection import client_of


@dataclass
class Found:
    """Result of a run."""

    differences: list[str]
    """Between the ledger and the oracle's replay."""
    events: Counter[tuple[str, str, str]]
    """Mastery events by student, response and concept."""
    rejected: Counter[str]
    pending: int
    newest: dict[tuple[str, str, str], Any]
    """Data of the event with the highest version, by tenant, student and concept."""
    disordered: int
    """Events that came after one of the same learner and concept with a higher version."""


async def run_results(
    setting: Setting,
    rows: Sequence[dict[str, Any]],
    tolerance: float,
    among: Sequence[Shard] = shards(0),
) -> Found:
    """Read everything: ledger, events by a group of its own, dead letters, pending entries."""
    differences = await ledger_differences(setting.dsn, rows, tolerance)
    events, newest, disordered = await _events(setting.redis_url, among)
    async with client_of(setting.redis_url) as client:
        rejected: Counter[str] = Counter()
        pending = 0
        for shard in among:
            letters: Any = await client.xrange(shard.rejected)
            for _, fields in letters:
                rejected[json.loads(fields[b"event"])["data"]["code"]] += 1
            groups: Any = await client.xinfo_groups(shard.responses)
            pending += sum(group["pending"] for group in groups)
    return Found(differences, events, rejected, pending, newest, disordered)


async def _events(
    redis_url: str, among: Sequence[Shard]
) -> tuple[Counter[tuple[str, str, str]], dict[tuple[str, str, str], Any], int]:
    counted: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], Any] = {}
    disordered = 0
    async with client_of(redis_url) as client:
        for stream in (shard.mastery for shard in among):
            await client.xgroup_create(stream, "a-subscriber", id="0", mkstream=True)
            while True:
                answer: Any = await client.xreadgroup(
                    "a-subscriber", "one", {stream: ">"}, count=5_000, noack=True
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
            await client.xgroup_destroy(stream, "a-subscriber")
    return counted, newest, disordered


async def ledger_differences(
    dsn: str, rows: Sequence[dict[str, Any]], tolerance: float
) -> list[str]:
    """Everything in which the tables differ from the oracle's replay of the rows."""
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
    """Everything in which Neo4j differs from the ledger's tables."""
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
    """Rows of concept_mastery by tenant, student and concept."""
    connection = await asyncpg.connect(dsn)
    try:
        return (await _table(connection))["mastery"]
    finally:
        await connection.close()
