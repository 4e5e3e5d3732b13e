"""Compare state and predictions with the log, and the newest events with the state."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import localcontext
from typing import Any, Final

import orjson

from contracts.mastery import MasteryData
from tests.model.tables import Key, Learner, Tables, answer_of
from tests.model.world import OTHER
from tests.support import oracle
from workers.common.times import to_us
from workers.graph.changes import AbilityChange, AttendanceChange, MasteryChange, changes_of

TOLERANCE: Final = 1e-12
BKT: Final = {
    1: oracle.CLASSICAL,
    2: oracle.Bkt.of_floats(OTHER.prior, OTHER.learn, OTHER.guess, OTHER.slip, OTHER.forget),
}
_THRESHOLD: Final = 0.95


class Replay:
    """The decimal oracle's word on the tables.

    Args:
        tables: what is stored.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._log = tables.log

    def of_predictions(self) -> Iterator[str]:
        """Each response was predicted from what was known of the answers before it."""
        for key, row in self._log.items():
            outcome = orjson.loads(row["outcome"])
            bkt = BKT[outcome["parameters_version"]]
            known = [
                answer_of(other).row()
                for other_key, other in self._log.items()
                if other_key[:2] == key[:2] and other["version"] <= row["version"]
            ]
            steps = oracle.replay(known, bkt, steps=True).steps
            step = next(step for step in steps if step.response_id == key[2])
            for change in outcome["concepts"][: len(row["concept_ids"])]:
                wanted = step.probability_correct[change["concept_id"]]
                if abs(change["probability_correct"] - float(wanted)) > TOLERANCE:
                    yield (
                        f"{key} was predicted with {change['probability_correct']} on "
                        f"{change['concept_id']}, not {wanted}"
                    )

    def of_state(self) -> Iterator[str]:
        logs: defaultdict[Learner, list[dict[str, Any]]] = defaultdict(list)
        for (tenant, student, _), row in self._log.items():
            logs[tenant, student].append(answer_of(row).row())
        version = self._tables.learners
        # A learner who was locked and never committed has nothing: version 0.
        empty = {key for key, row in version.items() if row["version"] == 0}
        if version.keys() - empty != logs.keys():
            yield f"learners {sorted(version.keys() - empty)}, not {sorted(logs)}"
            return
        states = {}
        for key, log in logs.items():
            row = version[key]
            states[key] = oracle.replay(log, BKT[row["parameters_version"]])
            highest = max(r["version"] for k, r in self._log.items() if k[:2] == key)
            if row["version"] != highest:
                yield f"{key} has version {row['version']}, not {highest}"
            last = max((response["answered_at"], response["response_id"]) for response in log)
            if (to_us(row["answered_at"]), str(row["response_id"])) != last:
                yield f"{key} ends with {row['response_id']}, not {last}"
        versions = {key: row["parameters_version"] for key, row in version.items()}
        yield from self._concept_differences(states, versions)
        yield from self._ability_differences(states, versions)
        yield from self._session_differences(states)

    def _concept_differences(
        self, states: dict[Learner, oracle.State], versions: dict[Learner, int]
    ) -> Iterator[str]:
        rows = self._tables.concepts
        yield from _missing(rows, {key: state.concepts for key, state in states.items()})
        for (tenant, student, concept), row in rows.items():
            state = states[tenant, student]
            chain = state.concepts[concept]
            mastery = mastery_of(chain)
            stored = (
                row["attempts"],
                to_us(row["answered_at"]),
                row["parameters_version"],
                row["mastered"],
            )
            wanted = (
                chain.attempts,
                chain.last_answered_at,
                versions[tenant, student],
                row["mastery"] >= _THRESHOLD,
            )
            if stored != wanted or abs(row["mastery"] - mastery) > TOLERANCE:
                yield (
                    f"{concept} of {tenant}/{student}: {row['mastery']} {stored}, "
                    f"not {mastery} {wanted}"
                )

    def _ability_differences(
        self, states: dict[Learner, oracle.State], versions: dict[Learner, int]
    ) -> Iterator[str]:
        rows = self._tables.abilities
        yield from _missing(rows, {key: state.abilities for key, state in states.items()})
        for (tenant, student, scale), row in rows.items():
            ability = states[tenant, student].abilities[scale]
            theta, error = map(float, ability.estimate())
            stored = row["responses"], row["score"], row["parameters_version"]
            wanted = ability.responses, float(ability.score), versions[tenant, student]
            apart = max(abs(row["theta"] - theta), abs(row["standard_error"] - error))
            if stored != wanted or apart > TOLERANCE:
                yield f"{scale} of {tenant}/{student}: {dict(row)}, not {theta} {error} {wanted}"

    def _session_differences(self, states: dict[Learner, oracle.State]) -> Iterator[str]:
        rows = self._tables.sessions
        yield from _missing(rows, {key: state.sessions for key, state in states.items()})
        for (tenant, student, name), row in rows.items():
            session = states[tenant, student].sessions[name]
            stored = (
                row["responses"],
                row["correct"],
                to_us(row["started_at"]),
                to_us(row["ended_at"]),
            )
            wanted = (session.responses, session.correct, session.started_at, session.ended_at)
            if stored != wanted:
                yield f"session {name} of {tenant}/{student}: {stored}, not {wanted}"

    def of_graph(self, events: list[MasteryData]) -> Iterator[str]:
        newest = changes_of(reversed(events))
        graph = {
            kind: {change[:3]: change[3:] for change in newest if isinstance(change, kind)}
            for kind in (MasteryChange, AbilityChange, AttendanceChange)
        }
        mastery = {
            key: (r["mastery"], r["attempts"], r["mastered"], r["answered_at"], r["version"])
            for key, r in self._tables.concepts.items()
        }
        abilities = {
            key: (r["theta"], r["standard_error"], r["version"])
            for key, r in self._tables.abilities.items()
        }
        sessions = {
            key: (r["responses"], r["correct"], r["version"])
            for key, r in self._tables.sessions.items()
        }
        for kind, stored in (
            (MasteryChange, mastery),
            (AbilityChange, abilities),
            (AttendanceChange, sessions),
        ):
            for key in graph[kind].keys() | stored.keys():
                if graph[kind].get(key) != stored.get(key):
                    yield (
                        f"{kind.__name__} of {key}: events say {graph[kind].get(key)}, "
                        f"stored is {stored.get(key)}"
                    )


def _missing(rows: dict[Key, Any], wanted: dict[Learner, dict[str, Any]]) -> Iterator[str]:
    names = {(*key, name) for key, named in wanted.items() for name in named}
    if rows.keys() != names:
        yield f"rows of {sorted(rows.keys() - names)}, none of {sorted(names - rows.keys())}"


def mastery_of(chain: oracle.Chain) -> float:
    with localcontext(oracle.exactly()):
        return float(chain.p())
