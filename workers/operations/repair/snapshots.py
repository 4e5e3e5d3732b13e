"""Compare stored snapshots with a replay of the log. Pure."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Position, Response
from workers.estimation.parameters import Parameters
from workers.ledger.rows import SnapshotRow


def snapshot_differences(
    rows: Sequence[SnapshotRow],
    log: Sequence[Response],
    parameters: Parameters,
    same: Callable[[object, object], bool],
) -> Iterator[tuple[str, object, object]]:
    """Yield what is wrong in a learner's snapshots: table and column, stored and right value.

    Args:
        rows: the stored snapshots.
        log: the responses that count, in any order.
        parameters: the parameters of the learner's state.
        same: compares two states.
    """
    wanted: dict[Position, SnapshotRow] = {}
    for row in rows:
        of = f"of {row.snapshot.position.response_id!r}"
        if row.parameters_version == parameters.version:
            wanted[row.snapshot.position] = row
        else:
            what = f"snapshots.parameters_version {of}"
            yield what, row.parameters_version, parameters.version
    for position, learner in _states_at(frozenset(wanted), log, parameters):
        snapshot, of = wanted.pop(position).snapshot, f"of {position.response_id!r}"
        for table, stored, replayed in (
            ("concepts", snapshot.concepts, learner.concepts),
            ("abilities", snapshot.abilities, learner.abilities),
        ):
            if sorted(stored) != sorted(replayed):
                yield f"snapshots.{table} {of}", sorted(stored), sorted(replayed)
                continue
            for name, state in replayed.items():
                if not same(stored[name], state):
                    yield f"snapshots.{table} {of}: {name!r}", stored[name], state
    for position in wanted:
        yield f"snapshots of {position.response_id!r}", "there", "missing"


def _states_at(
    positions: AbstractSet[Position], log: Sequence[Response], parameters: Parameters
) -> Iterator[tuple[Position, Learner]]:
    """Replay a log, and yield the learner at each position; the learner changes afterwards."""
    last = max(positions, default=None)
    learner = Learner(parameters_version=parameters.version)
    for response in sorted(log, key=lambda response: response.position):
        if last is None or response.position > last:
            return
        apply(learner, response, parameters)
        if response.position in positions:
            yield response.position, learner
