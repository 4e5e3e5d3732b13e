"""Current values of a learner, with the responses they follow from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from workers.estimation.learner import LearnerKey
from workers.ledger.exchange import Recorded


class CurrentConcept(NamedTuple):
    """Current mastery of a concept."""

    concept_id: str
    mastery: float
    attempts: int
    mastered: bool
    answered_at_us: int
    version: int
    parameters_version: int
    interval: tuple[float, float] | None = None
    """95 % credible interval of the mastery; None if it is unknown."""


class CurrentAbility(NamedTuple):
    """Current ability on a scale."""

    scale: str
    theta: float
    standard_error: float
    version: int
    person_fit: float | None = None


class CurrentSession(NamedTuple):
    """Current counts of a practice session."""

    session_id: str
    responses: int
    correct: int
    version: int


@dataclass(slots=True)
class Current:
    """All current values of a learner, in one snapshot.

    Args:
        key: the learner.
        concepts: all concepts.
        abilities: all scales.
        sessions: all sessions.
        responses: the responses that have the version of a row; for a concept whose version no
            response has, its newest response at the concept's ``answered_at``.
    """

    key: LearnerKey
    concepts: list[CurrentConcept] = field(default_factory=list)
    abilities: list[CurrentAbility] = field(default_factory=list)
    sessions: list[CurrentSession] = field(default_factory=list)
    responses: list[Recorded] = field(default_factory=list)


class ValuesPlace(NamedTuple):
    """The last values of a page; empty ids stand before all others."""

    concept_id: str = ""
    scale: str = ""


BEGINNING: Final = ValuesPlace()


class ValuesPage(NamedTuple):
    """Some of a learner's current values, in one snapshot.

    Attributes:
        concepts: concepts in the order of their ids.
        abilities: scales in the order of their names.
        last: place of the page after this one; None if nothing follows.
    """

    concepts: list[CurrentConcept]
    abilities: list[CurrentAbility]
    last: ValuesPlace | None

    @classmethod
    def of(
        cls,
        concepts: list[CurrentConcept],
        abilities: list[CurrentAbility],
        after: ValuesPlace,
        limit: int,
    ) -> "ValuesPage":
        """Make a page of at most `limit` values of each kind.

        Args:
            concepts: the concepts after the place, one more than `limit` if there are more.
            abilities: the abilities after it, alike.
            after: the place of the page.
            limit: the most values of each kind.
        """
        if len(concepts) <= limit and len(abilities) <= limit:
            return cls(concepts, abilities, None)
        concepts, abilities = concepts[:limit], abilities[:limit]
        last = ValuesPlace(
            concepts[-1].concept_id if concepts else after.concept_id,
            abilities[-1].scale if abilities else after.scale,
        )
        return cls(concepts, abilities, last)


class CurrentLedger(Protocol):
    """Reads the current values of learners."""

    async def values(
        self, key: LearnerKey, limit: int, after: ValuesPlace = BEGINNING
    ) -> ValuesPage:
        """Read a page of a learner's current values; empty if there are none.

        Args:
            key: the learner.
            limit: the most concepts, and the most abilities, 1 or more.
            after: `last` of the page before.
        """
        ...

    async def learners(self, after: LearnerKey | None = None, limit: int = 500) -> list[LearnerKey]:
        """List a page of all learners, by their keys."""
        ...

    async def current(
        self, keys: Sequence[LearnerKey], since_us: int | None = None
    ) -> list[Current]:
        """Read the current values of these learners; learners without a response are left out.

        Args:
            keys: the learners.
            since_us: only learners with a response recorded at or after it, by `clock_us`;
                microseconds since 1970.
        """
        ...

    async def clock_us(self) -> int:
        """Read the ledger's clock, microseconds since 1970."""
        ...
