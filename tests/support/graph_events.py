"""Make mastery events, and a graph of dicts that defines the expected content of any graph."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from contracts.mastery import MasteryChanged, MasteryData
from tests.support.factories import START, uuid_of
from workers.estimation.learner import LearnerKey
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    GraphChange,
    MasteryChange,
    PractisedChange,
)
from workers.graph.protocol import SessionKey, StoredLearner, StoredSession


def mastery_data(
    student_id: str = "student-42",
    concept_id: str = "fractions.add",
    version: int = 1,
    *,
    tenant_id: str = "school-7",
    session_id: str | None = "s-9",
    scale: str = "math",
    **changes: Any,
) -> MasteryData:
    """Make the data of an event at this version; its numbers follow from the version."""
    moment = START + timedelta(seconds=version % 2**20, microseconds=400_123)
    return MasteryData.model_validate(
        {
            "tenant_id": tenant_id,
            "student_id": student_id,
            "concept_id": concept_id,
            "mastery": 1.0 / (1 + version),
            "previous_mastery": 0.25,
            "mastered": version % 2 == 0,
            "transition": "none",
            "attempts": version,
            "version": version,
            "probability_correct": 0.5,
            "ability": {
                "scale": scale,
                "theta": version / 7,
                "standard_error": 1.0 / version,
                "previous_theta": 0.0,
            },
            "response_id": uuid_of("response", student_id, version),
            "item_id": "q-101",
            "session_id": session_id,
            "correct": True,
            "score": 1.0,
            "session": session_id and {"responses": version, "correct": version // 2},
            "answered_at": moment - timedelta(hours=1),
            "last_answered_at": moment,
            "parameters_version": 1,
            **changes,
        }
    )


def mastery_changed(student_id: str = "student-42", **changes: Any) -> MasteryChanged:
    """Make the same event with its envelope."""
    data = mastery_data(student_id, **changes)
    return MasteryChanged(
        specversion="1.0",
        id=uuid_of("event", data.student_id, data.concept_id, data.version),
        source="/mastery-engine",
        type="practice.mastery.changed.v1",
        data=data,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[MasteryData]:
    """Draw events of a few learners as an engine would publish them: one version, one content.

    Answers have one to three concepts, so that several events share a version.
    """
    events = []
    for version in range(1, draw(st.integers(1, 14)) + 1):
        tenant_id = draw(st.sampled_from(("t1", "t2")))
        student_id = draw(st.sampled_from(("a", "b")))
        session_id = draw(st.sampled_from((None, "s1", "s2")))
        scale = draw(st.sampled_from(("default", "math")))
        concepts = draw(st.lists(st.sampled_from("xyz"), unique=True, min_size=1, max_size=3))
        events += [
            mastery_data(
                student_id,
                concept_id,
                version,
                tenant_id=tenant_id,
                session_id=session_id,
                scale=scale,
            )
            for concept_id in concepts
        ]
    return events


class DictGraph:
    """Expected content of a graph, computed plainly: changes apply one by one, the newest wins."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, ...], GraphChange] = {}

    def apply(self, changes: Iterable[GraphChange]) -> None:
        for change in changes:
            key = (type(change).__name__, *change[:3])
            held = self.held.get(key)
            if held is None or getattr(held, "version", 0) < getattr(change, "version", 0):
                self.held[key] = change

    def learners(self) -> list[StoredLearner]:
        by_learner: dict[LearnerKey, StoredLearner] = {}
        for _, change in sorted(self.held.items()):
            if isinstance(change, PractisedChange):
                continue
            key = LearnerKey(change.tenant_id, change.student_id)
            learner = by_learner.setdefault(key, StoredLearner(key))
            match change:
                case MasteryChange():
                    learner.mastery.append(change)
                case AbilityChange():
                    learner.abilities.append(change)
                case AttendanceChange():
                    learner.attendance.append(change)
        return sorted(by_learner.values(), key=lambda learner: learner.key)

    def sessions(self) -> list[StoredSession]:
        by_session: dict[SessionKey, StoredSession] = {}
        for _, change in sorted(self.held.items()):
            if isinstance(change, PractisedChange):
                key = SessionKey(change.tenant_id, change.session_id)
                by_session.setdefault(key, StoredSession(key)).concept_ids.append(change.concept_id)
        return sorted(by_session.values(), key=lambda session: session.key)
