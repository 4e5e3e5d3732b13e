"""Comparing what is stored with what a replay of the stored log gives."""

from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from workers.estimation.ability import estimates
from workers.estimation.bkt import probability
from workers.estimation.learner import Learner, LearnerKey
from workers.estimation.parameters import Parameters
from workers.estimation.replay import replay_many
from workers.ledger.protocol import Ledger, Stored

TOLERANCE: Final = 1e-9
"""Largest difference between stored and replayed numbers that counts as none."""
_PAGE: Final = 100


class Difference(NamedTuple):
    """A stored value that is not what the log gives."""

    key: LearnerKey
    what: str
    """Table and column, and of which concept, scale or session."""
    stored: object
    replayed: object

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"tenant {self.key.tenant_id!r}, student {self.key.student_id!r}: {self.what} "
            f"is {self.stored}, the log gives {self.replayed}"
        )


class Verified(NamedTuple):
    """One page of learners, compared."""

    learners: int
    responses: int
    differences: list[Difference]


async def verify(ledger: Ledger, parameters: Parameters) -> AsyncIterator[Verified]:
    """Compare all learners, page by page; safe while workers run.

    A learner's log and state are read in one snapshot, so a commit in between changes both.
    """
    after: LearnerKey | None = None
    while keys := await ledger.learners(after, _PAGE):
        page = await ledger.stored(keys)
        replayed = replay_many([stored.log for stored in page], parameters)
        found = [
            difference
            for stored, learner in zip(page, replayed, strict=True)
            for difference in differences(stored, learner, parameters)
        ]
        yield Verified(len(page), sum(len(stored.log) for stored in page), found)
        after = keys[-1]


def differences(stored: Stored, replayed: Learner, parameters: Parameters) -> Iterator[Difference]:
    """Everything in which a learner's stored state is not the replayed one.

    Args:
        stored: the learner's rows.
        replayed: the state that the learner's log gives.
        parameters: under which it was replayed.
    """
    for what, is_, should in _values(stored, replayed, parameters):
        if not _same(is_, should):
            yield Difference(stored.key, what, is_, should)


def _same(stored: object, replayed: object) -> bool:
    if isinstance(stored, float) and isinstance(replayed, float):
        return abs(stored - replayed) <= TOLERANCE
    return stored == replayed


def _values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    yield "learners.position", stored.last, replayed.last
    yield "learners.parameters_version", stored.parameters_version, parameters.version
    yield from _concept_values(stored, replayed, parameters)
    yield from _ability_values(stored, replayed, parameters)
    sessions = {row.session_id: row for row in stored.sessions}
    yield "practice_sessions", sorted(sessions), sorted(replayed.sessions)
    for session_id, state in replayed.sessions.items():
        if (row := sessions.get(session_id)) is not None:
            for name in state._fields:
                what = f"practice_sessions.{name} of {session_id!r}"
                yield what, getattr(row, name), getattr(state, name)


def _concept_values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    rows = {row.concept_id: row for row in stored.concepts}
    yield "concept_mastery", sorted(rows), sorted(replayed.concepts)
    for concept_id, state in replayed.concepts.items():
        row = rows.get(concept_id)
        if row is None:
            continue
        of = f"of {concept_id!r}"
        yield f"concept_mastery.mastery {of}", row.mastery, state.mastery
        yield f"concept_mastery.attempts {of}", row.attempts, state.attempts
        yield f"concept_mastery.answered_at {of}", row.answered_at_us, state.answered_at_us
        mastered = state.mastery >= parameters.mastery_threshold
        yield f"concept_mastery.mastered {of}", row.mastered, mastered
        yield f"concept_mastery.parameters_version {of}", row.parameters_version, parameters.version
        yield f"concept_mastery.odds_exponent {of}", row.odds_exponent, state.exponent
        yield f"concept_mastery.odds_mantissa {of}", row.odds_mantissa, state.mantissa
        of_odds = probability(row.odds_mantissa, row.odds_exponent)
        yield f"concept_mastery.mastery {of} against its own odds", row.mastery, of_odds


def _ability_values(
    stored: Stored, replayed: Learner, parameters: Parameters
) -> Iterator[tuple[str, object, object]]:
    rows = {row.scale: row for row in stored.abilities}
    yield "student_ability", sorted(rows), sorted(replayed.abilities)
    found = estimates(list(replayed.abilities.values()))
    for (scale, state), estimate in zip(replayed.abilities.items(), found, strict=True):
        row = rows.get(scale)
        if row is None:
            continue
        of = f"of {scale!r}"
        yield f"student_ability.theta {of}", row.theta, estimate.theta
        yield f"student_ability.standard_error {of}", row.standard_error, estimate.standard_error
        yield f"student_ability.responses {of}", row.responses, state.responses
        yield f"student_ability.score {of}", row.score, state.score
        yield f"student_ability.parameters_version {of}", row.parameters_version, parameters.version
