"""Snapshots: states of a learner at earlier positions, from which a replay can begin.

A late answer needs the state at its place. Replaying from the nearest snapshot before that place
costs at most the distance to it, whatever the length of the log. Snapshots stand close together
near the newest answer and ever farther apart behind it, so a learner has few of them: their number
grows with the logarithm of the number of answers.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from workers.estimation.ability import AbilityState
from workers.estimation.learner import ConceptState, Learner, Position

EVERY: Final = 100
"""Answers between two snapshots near the newest answer."""
_CLOSE_BITS: Final = 2
"""Two snapshots at distance d are at most max(1, d / 2 ** _CLOSE_BITS) intervals apart."""
_THIN_ABOVE: Final = 64


class Snapshot(NamedTuple):
    """The whole state of a learner after all answers up to a position."""

    position: Position
    """Position of the newest answer in the state."""
    responses: int
    """Number of answers up to the position."""
    concepts: dict[str, ConceptState]
    """States of all concepts by id."""
    abilities: dict[str, AbilityState]
    """States of all abilities by scale."""

    @property
    def interval(self) -> int:
        """Number of whole intervals up to the position."""
        return self.responses // EVERY


def crosses(before: int, after: int) -> bool:
    """Return True if an interval ends between two numbers of answers."""
    return after // EVERY > before // EVERY


def thinned(snapshots: Iterable[Snapshot], responses: int) -> list[Snapshot]:
    """Keep the snapshots that a learner with so many answers needs, in their order.

    Args:
        snapshots: snapshots of one learner, by ascending number of answers.
        responses: number of answers of the learner.
    """
    kept: list[Snapshot] = []
    groups: set[tuple[int, int]] = set()
    for snapshot in snapshots:
        distance = responses // EVERY - snapshot.interval
        level = max(0, (distance + 1).bit_length() - 1 - _CLOSE_BITS)
        group = level, snapshot.interval >> level
        if group not in groups:
            groups.add(group)
            kept.append(snapshot)
    return kept


class SnapshotTaker:
    """Takes snapshots while a replay goes on.

    Args:
        responses: number of answers before the replay.
    """

    def __init__(self, responses: int) -> None:
        self._responses = responses
        self._taken: list[Snapshot] = []

    def note(self, learner: Learner) -> None:
        """Take a snapshot of a learner after one more answer, if an interval ends there."""
        self._responses += 1
        if self._responses % EVERY or learner.last is None:
            return
        self._taken.append(
            Snapshot(learner.last, self._responses, dict(learner.concepts), dict(learner.abilities))
        )
        if len(self._taken) > _THIN_ABOVE:
            self._taken = thinned(self._taken, self._responses)

    def taken(self) -> list[Snapshot]:
        """Return the snapshots that are needed at the end of the replay."""
        return thinned(self._taken, self._responses)
