"""The columns of snapshots in the JSON documents of several SQL functions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workers.estimation.ability import AbilityState
from workers.estimation.learner import ConceptState, Position
from workers.estimation.snapshots import EVERY, Snapshot
from workers.ledger.sql.arrays import moments, plain, texts
from workers.ledger.sql.calibrated_columns import (
    ability_columns_of,
    ability_state,
    concept_columns_of,
    concept_state,
)
from workers.ledger.sql.documents import Document, encoded


def change_columns(
    *,
    changed: Sequence[tuple[int, Position | None]],
    snapshots: Sequence[tuple[int, Snapshot]],
    taken: Sequence[int],
) -> Document:
    """Write what changes in the snapshots of some learners.

    Args:
        changed: the number of each learner whose earlier states changed, with the position from
            which on they did; None: all of them.
        snapshots: snapshots to store, each with the number of its learner.
        taken: numbers of the learners whose state afterwards becomes a snapshot.

    Returns:
        The columns; {} if nothing changes.
    """
    if not (changed or snapshots or taken):
        return {}
    return {
        "every": EVERY,
        "b_of": plain(n for n, _ in changed),
        "b_at": "{" + ",".join(_moment(position) for _, position in changed) + "}",
        "b_id": texts(_NO_ID if p is None else p.response_id for _, p in changed),
        "n_of": plain(n for n, _ in snapshots),
        "n_at": moments(snapshot.position.answered_at_us for _, snapshot in snapshots),
        "n_id": texts(snapshot.position.response_id for _, snapshot in snapshots),
        "n_responses": plain(snapshot.responses for _, snapshot in snapshots),
        "n_state": texts(_written(snapshot) for _, snapshot in snapshots),
        "t_of": plain(taken),
    }


_NO_ID = "00000000-0000-0000-0000-000000000000"


def _moment(position: Position | None) -> str:
    return "-infinity" if position is None else moments([position.answered_at_us])[1:-1]


def _written(snapshot: Snapshot) -> str:
    return encoded(
        {
            "concepts": [concept_columns_of(*item) for item in snapshot.concepts.items()],
            "abilities": [ability_columns_of(*item) for item in snapshot.abilities.items()],
        }
    ).decode()


def read_snapshot(
    answered_at_us: int, response_id: str, responses: int, state: Mapping[str, Any]
) -> Snapshot:
    """Read a snapshot from its columns."""
    return Snapshot(
        Position(answered_at_us, response_id),
        responses,
        dict(map(read_concept, state["concepts"] or ())),
        dict(map(read_ability, state["abilities"] or ())),
    )


def read_concept(row: Iterable[Any]) -> tuple[str, ConceptState]:
    """Read a concept's id and state from the columns of `mastery.concept_state`."""
    (
        _n, concept_id, mantissa, exponent, attempts, at,
        _mastery, _mastered, _version, _parameters_version, *calibrated,
    ) = row  # fmt: skip  # in the order of the function
    return concept_id, concept_state(mantissa, exponent, attempts, at, *calibrated)


def read_ability(row: Iterable[Any]) -> tuple[str, AbilityState]:
    """Read a scale and its ability from the columns of `mastery.ability_state`."""
    (
        _n, scale, responses, score, theta,
        _standard_error, _version, _parameters_version, *calibrated,
    ) = row  # fmt: skip
    return scale, ability_state(responses, score, theta, *calibrated)
