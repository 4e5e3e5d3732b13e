"""Compare a learner's relationships in the graph with the ledger. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from workers.common.times import from_us
from workers.estimation.learner import LearnerKey, Response
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    GraphChange,
    Key,
    MasteryChange,
    PractisedChange,
    identity,
)
from workers.graph.protocol import StoredLearner
from workers.graph.repairs import Repair
from workers.ledger.rows import Stored

Kind = Literal["missing", "behind", "altered", "ahead", "stray", "doubled"]
Identity = tuple[type[GraphChange], Key]

NAMES: Final[dict[type[GraphChange], str]] = {
    MasteryChange: "HAS_MASTERY",
    AbilityChange: "HAS_ABILITY",
    AttendanceChange: "ATTENDED",
    PractisedChange: "PRACTISED",
}


class Difference(NamedTuple):
    """A relationship that differs from the ledger.

    Args:
        copies: its copies in the graph; there may be none or several.
        should: as the ledger has it; None if the ledger has none.
    """

    copies: tuple[GraphChange, ...]
    should: GraphChange | None

    @property
    def kind(self) -> Kind:
        """The kind of difference.

        ``behind`` and ``missing``: the event may still be on its way. ``ahead``: true before the
        ledger was restored from a backup. ``altered``: the right version with a wrong value.
        """
        if self.should is None:
            return "stray"
        if len(self.copies) != 1:
            return "doubled" if self.copies else "missing"
        version, should = _version(self.copies[0]), _version(self.should)
        if version is None or should is None or version == should:
            return "altered"
        return "behind" if version < should else "ahead"

    @property
    def identity(self) -> Identity:
        """The key of the relationship."""
        relationship = self._relationship
        return type(relationship), relationship.key

    @property
    def forced(self) -> bool:
        """True if the version guard would refuse its repair."""
        return self.kind not in {"missing", "behind"}

    @property
    def _relationship(self) -> GraphChange:
        return self.should if self.should is not None else self.copies[0]

    def document(self) -> dict[str, Any]:
        """Return it as JSON; times are text."""
        return {
            "kind": self.kind,
            "relationship": NAMES[type(self._relationship)],
            **identity(self._relationship),
            "graph": [_values(relationship) for relationship in self.copies],
            "ledger": None if self.should is None else _values(self.should),
        }

    def __str__(self) -> str:
        """One line for a person."""
        named = ", ".join(f"{field} {id_!r}" for field, id_ in identity(self._relationship).items())
        graph = "; ".join(_told(relationship) for relationship in self.copies) or "nothing"
        ledger = "nothing" if self.should is None else _told(self.should)
        name = NAMES[type(self._relationship)]
        return f"{self.kind}: {name} of {named}: the graph has {graph}, the ledger {ledger}"


def expected(stored: Stored) -> StoredLearner:
    """Return the relationships that a learner has by the ledger."""
    key = stored.key
    return StoredLearner(
        key,
        [
            MasteryChange(
                *key,
                row.concept_id,
                row.mastery,
                row.attempts,
                row.mastered,
                from_us(row.answered_at_us),
                row.version,
            )
            for row in stored.concepts
        ],
        [
            AbilityChange(*key, row.scale, row.theta, row.standard_error, row.version)
            for row in stored.abilities
        ],
        [
            AttendanceChange(*key, row.session_id, row.responses, row.correct, row.version)
            for row in stored.sessions
        ],
    )


def practised(key: LearnerKey, log: Iterable[Response]) -> set[PractisedChange]:
    """Return the concepts practised in each session, by a learner's log."""
    return {
        PractisedChange(key.tenant_id, response.session_id, concept_id)
        for response in log
        if response.session_id is not None
        for concept_id in response.concept_ids
    }


def differences(should: StoredLearner, in_graph: StoredLearner) -> Iterator[Difference]:
    """Return the differences between a learner's relationships and the ledger.

    Args:
        should: by the ledger, read after the graph, so that nothing in the graph may be newer.
        in_graph: as the graph has them.
    """
    by_identity: dict[Identity, list[GraphChange]] = {}
    for relationship in _relationships(in_graph):
        by_identity.setdefault((type(relationship), relationship.key), []).append(relationship)
    for relationship in _relationships(should):
        copies = tuple(by_identity.pop((type(relationship), relationship.key), ()))
        if copies != (relationship,):
            yield Difference(copies, relationship)
    for strays in by_identity.values():
        if not _keeps_a_place(strays):
            yield Difference(tuple(strays), None)


def _keeps_a_place(strays: list[GraphChange]) -> bool:
    """Return True for a concept whose answers have all been voided.

    The ledger has no row for it; the graph keeps its version, so that no older event restores it.
    """
    return len(strays) == 1 and isinstance(strays[0], MasteryChange) and strays[0].attempts == 0


def repair_of(differing: Iterable[Difference]) -> Repair:
    """Return the repair of differences; what the version guard would keep is removed first."""
    repair = Repair()
    for difference in differing:
        if difference.forced:
            repair.removals += difference.copies
        if difference.should is not None:
            repair.merges.append(difference.should)
    return repair


def _relationships(learner: StoredLearner) -> Iterator[GraphChange]:
    yield from learner.mastery
    yield from learner.abilities
    yield from learner.attendance


def _version(change: GraphChange) -> int | None:
    """Return its version; None if it has no version of ours."""
    version: object = getattr(change, "version", None)
    return version if isinstance(version, int) else None


def _values(change: GraphChange) -> dict[str, Any]:
    ids = identity(change)
    return {name: _plain(value) for name, value in change._asdict().items() if name not in ids}


def _told(change: GraphChange) -> str:
    return ", ".join(f"{name} {value}" for name, value in _values(change).items()) or "it"


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
