"""Compare the stored snapshots with a replay of the log up to their positions."""

from collections.abc import Iterator
from typing import Any

import orjson

from tests.model.replay import BKT, TOLERANCE, mastery_of
from tests.model.tables import Tables, answer_of
from tests.support import oracle
from workers.common.times import to_us


def snapshot_differences(tables: Tables) -> Iterator[str]:
    """Check that a replay from any snapshot gives what a replay from the start gives."""
    for row in tables.snapshots:
        learner = row["tenant_id"], row["student_id"]
        position = to_us(row["answered_at"]), str(row["response_id"])
        known = [answer_of(r).row() for key, r in tables.log.items() if key[:2] == learner]
        before = [r for r in known if (r["answered_at"], r["response_id"]) <= position]
        if not any((r["answered_at"], r["response_id"]) == position for r in before):
            yield f"a snapshot of {learner} is at {position}, where there is no answer"
            continue
        wanted = oracle.replay(before, BKT[row["parameters_version"]])
        yield from _of_state(f"snapshot of {learner} at {position}", wanted, row["state"])


def _of_state(name: str, wanted: oracle.State, text: str) -> Iterator[str]:
    state: dict[str, Any] = orjson.loads(text)
    concepts = {row[1]: row for row in state["concepts"] or ()}
    abilities = {row[1]: row for row in state["abilities"] or ()}
    if concepts.keys() != wanted.concepts.keys() or abilities.keys() != wanted.abilities.keys():
        yield f"{name} is of {sorted(concepts)} and {sorted(abilities)}"
        return
    for concept, chain in wanted.concepts.items():
        _, _, mantissa, exponent, attempts, *_ = concepts[concept]
        odds = float(mantissa) * 2.0**exponent
        mastery = mastery_of(chain)
        if attempts != chain.attempts or abs(odds / (1 + odds) - mastery) > TOLERANCE:
            yield f"{name}: {concept} has odds {odds} after {attempts}, not {mastery}"
    for scale, ability in wanted.abilities.items():
        _, _, responses, score, *_ = abilities[scale]
        if (responses, score) != (ability.responses, float(ability.score)):
            yield f"{name}: {scale} has {score} of {responses}, not {ability}"
