"""Compare stored snapshots with a replay of the log. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from workers.estimation.ability import AbilityState
from workers.estimation.answering import apply
from workers.estimation.learner import ConceptState, Learner, Position, Response
from workers.estimation.parameters import Parameters
from workers.ledger.rows import SnapshotRow

Same = Callable[[object, object], bool]
"""Compares two states."""


class SnapshotComparison:
    """Compares snapshots with the states of a replay that passes them.

    Args:
        rows: the stored snapshots.
        parameters_version: the parameters of the replay.
    """

    def __init__(self, rows: Sequence[SnapshotRow], parameters_version: int) -> None:
        self._parameters_version = parameters_version
        self._wanted = {
            row.snapshot.position for row in rows if row.parameters_version == parameters_version
        }
        self._states: dict[Position, tuple[dict[str, ConceptState], dict[str, AbilityState]]] = {}

    def note(self, learner: Learner) -> None:
        """Note the state after one more answer."""
        if learner.last in self._wanted:
            self._states[learner.last] = dict(learner.concepts), dict(learner.abilities)

    def differences(
        self, rows: Sequence[SnapshotRow], same: Same
    ) -> Iterator[tuple[str, object, object]]:
        """Yield what is wrong: table and column, stored and right value.

        Args:
            rows: the stored snapshots; those stored since the comparison began are left out.
            same: compares two states.
        """
        for row in rows:
            position, of = row.snapshot.position, f"of {row.snapshot.position.response_id!r}"
            if row.parameters_version != self._parameters_version:
                what = f"snapshots.parameters_version {of}"
                yield what, row.parameters_version, self._parameters_version
            elif position in self._states:
                yield from _state_differences(row, self._states[position], same)
            elif position in self._wanted:
                yield f"snapshots {of}", "there", "missing"


def _state_differences(
    row: SnapshotRow,
    replayed: tuple[dict[str, ConceptState], dict[str, AbilityState]],
    same: Same,
) -> Iterator[tuple[str, object, object]]:
    snapshot, of = row.snapshot, f"of {row.snapshot.position.response_id!r}"
    tables: tuple[tuple[str, Mapping[str, object], Mapping[str, object]], ...] = (
        ("concepts", snapshot.concepts, replayed[0]),
        ("abilities", snapshot.abilities, replayed[1]),
    )
    for table, stored, states in tables:
        if sorted(stored) != sorted(states):
            yield f"snapshots.{table} {of}", sorted(stored), sorted(states)
            continue
        for name, state in states.items():
            if not same(stored[name], state):
                yield f"snapshots.{table} {of}: {name!r}", stored[name], state


def compared(
    rows: Sequence[SnapshotRow], log: Sequence[Response], parameters: Parameters
) -> SnapshotComparison:
    """Compare snapshots with a replay of a log as far as they reach.

    Args:
        rows: the stored snapshots.
        log: the responses that count, in any order.
        parameters: the parameters of the learner's state.
    """
    comparison = SnapshotComparison(rows, parameters.version)
    last = max((row.snapshot.position for row in rows), default=None)
    learner = Learner(parameters_version=parameters.version)
    for response in sorted(log, key=lambda response: response.position):
        if last is None or response.position > last:
            break
        apply(learner, response, parameters)
        comparison.note(learner)
    return comparison
