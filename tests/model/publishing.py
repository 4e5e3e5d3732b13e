"""Events of the model: answers of a few learners, repeats and refused events."""

import copy
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st

from contracts.rejections import RejectionCode
from tests.support.factories import uuid_of
from workers.common.times import iso

LARGEST_EVENT: Final = 4_096
"""Largest event that the model's workers accept, bytes."""
_START_US: Final = 1_772_438_400_000_000
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True)
class Answer:
    """One answer of a learner, as a publisher knows it."""

    tenant_id: str
    student_id: str
    response_id: str
    session_id: str | None
    item_id: str
    concept_ids: tuple[str, ...]
    scale: str
    score: float
    answered_at: int

    @property
    def learner(self) -> tuple[str, str]:
        return self.tenant_id, self.student_id

    @property
    def key(self) -> tuple[str, str, str]:
        return (*self.learner, self.response_id)

    def row(self) -> dict[str, Any]:
        """Convert to a row of ``student_responses``, for the oracle."""
        return {**vars(self), "concept_ids": list(self.concept_ids)}

    def says_the_same_as(self, other: "Answer") -> bool:
        """True if both are the same answer; the order of concepts is irrelevant."""
        return _ordered(self) == _ordered(other)


def _ordered(answer: Answer) -> Answer:
    return replace(answer, concept_ids=tuple(sorted(answer.concept_ids)))


@dataclass(frozen=True)
class Published:
    """An entry of a stream and what must become of it."""

    entry: str
    """Stream and id, as an owner is written in the log."""
    event_id: str
    answer: Answer | None
    """None where it must be refused for itself."""
    code: RejectionCode | None = None


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """An answer without an id: few learners, concepts and moments, so that they meet."""
    day = draw(st.sampled_from((0, 0, 0, 0, -9, -1, 2)))
    return Answer(
        draw(st.sampled_from(("school-a", "school-a", "school-b"))),
        draw(st.sampled_from(("s1", "s1", "s1", "s2"))),
        "",
        draw(st.sampled_from((None, "x", "y"))),
        draw(st.sampled_from(("i1", "i2"))),
        tuple(draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1, max_size=3))),
        draw(st.sampled_from(("math", "verbal"))),
        draw(st.sampled_from((1.0, 0.0, 0.25, 0.5))),
        _START_US + day * _DAY_US + draw(st.integers(0, 3)) * 1_000_000,
    )


def numbered(answer: Answer, number: int) -> Answer:
    """The answer with the id of that number; ids do not rise with their numbers."""
    return replace(answer, response_id=uuid_of("model", number))


CHANGES: Final[Mapping[str, Any]] = {
    "score": lambda a: replace(a, score=1.0 - a.score if a.score != 0.5 else 1.0),
    "item": lambda a: replace(a, item_id=a.item_id + "'"),
    "session": lambda a: replace(a, session_id="z"),
    "moment": lambda a: replace(a, answered_at=a.answered_at - _DAY_US),
    "concepts": lambda a: replace(a, concept_ids=(*a.concept_ids, "d")),
    "scale": lambda a: replace(a, scale="logic"),
    "concepts in another order": lambda a: replace(a, concept_ids=a.concept_ids[::-1]),
    "student of another tenant": lambda a: replace(a, tenant_id="school-c"),
    "another student": lambda a: replace(a, student_id="s3"),
}
"""Differences that a second event with a known response id may have."""


def event(answer: Answer, event_id: str, *, delegated: bool = False) -> dict[str, Any]:
    """The event of an answer, of the student or of a delegated role."""
    now = int(time.time())
    response = {k: v for k, v in vars(answer).items() if k not in ("tenant_id", "answered_at")}
    if answer.session_id is None:
        del response["session_id"]
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/model",
        "type": "practice.response.recorded.v1",
        "correlationid": f"of {event_id}",
        "data": {
            "claims": {
                "sub": "importer" if delegated else answer.student_id,
                "iss": "https://school.example/auth/v1",
                "aud": "authenticated",
                "role": "service_role" if delegated else "authenticated",
                "iat": now - 60,
                "exp": now + 86_400,
                "tenant_id": answer.tenant_id,
            },
            "response": {**response, "answered_at": iso(answer.answered_at)},
        },
    }


def encoded(document: dict[str, Any]) -> bytes:
    """Encode as on the wire."""
    return json.dumps(document).encode()


def _with(original: dict[str, Any], part: str, **changes: Any) -> bytes:
    changed = copy.deepcopy(original)
    changed["data"][part].update(changes)
    return encoded(changed)


REFUSED: Final[Mapping[str, tuple[RejectionCode, Any]]] = {
    "no JSON": (RejectionCode.INVALID, lambda e: encoded(e)[:-1]),
    "no UTF-8": (RejectionCode.INVALID, lambda e: encoded(e) + b"\xff"),
    "a score beyond 1": (RejectionCode.INVALID, lambda e: _with(e, "response", score=1.5)),
    "of tomorrow": (
        RejectionCode.INVALID,
        lambda e: _with(e, "response", answered_at=iso(int(time.time() + 86_400) * 1_000_000)),
    ),
    "too large": (
        RejectionCode.TOO_LARGE,
        lambda e: _with(e, "response", more="x" * LARGEST_EVENT),
    ),
    "expired": (RejectionCode.UNAUTHENTICATED, lambda e: _with(e, "claims", iat=1, exp=2)),
    "of another": (RejectionCode.FORBIDDEN, lambda e: _with(e, "claims", sub="s9", role="x")),
}
"""Ways to spoil an event, with the expected rejection code."""
