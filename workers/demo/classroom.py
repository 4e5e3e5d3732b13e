"""Simulate a class whose true knowledge is known, so that estimates can be compared with it.

A student knows a concept at the start with probability `prior`. The student answers right with
probability 1 - slip if the concept is known and guess if not, and comes to know it after each
answer with probability `learn` (Corbett & Anderson 1995, under the parameters that the engine
assumes). An item with several concepts requires all of them (the conjunctive rule of DINA, Junker
& Sijtsma 2001). The engine's model lacks this rule, so these few items do not fit it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from workers.demo.curriculum import CONCEPTS, SCALE, Concept
from workers.demo.timetable import Session, timetable
from workers.estimation.parameters import CLASSICAL, BktParameters

MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""First day of the class."""

_RESPONSE_IDS: Final = UUID("d3e0a1f7-4a55-5c4e-9f43-0b6a7f1d9c02")
_ITEMS_PER_CONCEPT: Final = 40
_SHARE_OF_JOINT_ITEMS: Final = 0.05
_SHARE_OF_OFFLINE_SESSIONS: Final = 0.02
_SHARE_OF_REPEATS: Final = 0.01
_MEDIAN_TIME_S: Final = 14.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one simulated student."""

    response_id: str
    student_id: str
    session_id: str
    item_id: str
    concept_ids: tuple[str, ...]
    correct: bool
    answered_at: datetime
    response_time_ms: int

    def fields(self) -> dict[str, object]:
        """Return `data.response` of a `practice.response.recorded.v1` event."""
        return {
            "response_id": self.response_id,
            "student_id": self.student_id,
            "session_id": self.session_id,
            "item_id": self.item_id,
            "concept_ids": self.concept_ids,
            "scale": SCALE,
            "correct": self.correct,
            "answered_at": self.answered_at,
            "response_time_ms": self.response_time_ms,
        }


@dataclass(frozen=True)
class Classroom:
    """The answers of a class and its true knowledge.

    Args:
        students: ids, one for each row of `known` and `attempts`.
        concepts: one for each column of `known` and `attempts`.
        answers: each answer once, in the order of answering.
        deliveries: indices of answers in the order of sending; some are late, some repeated.
        late: number of answers sent after a later answer of the same student.
        repeats: number of deliveries that repeat an earlier one.
        known: true knowledge at the end, shape (students, concepts).
        attempts: number of answers of the student on the concept, same shape.
    """

    students: tuple[str, ...]
    concepts: tuple[Concept, ...]
    answers: tuple[Answer, ...]
    deliveries: tuple[int, ...]
    late: int
    repeats: int
    known: NDArray[np.bool_]
    attempts: NDArray[np.int64]

    def delivered(self) -> "list[dict[str, object]]":
        """Return `data.response` of each delivery, in the order of sending."""
        return [self.answers[index].fields() for index in self.deliveries]


def simulate(
    seed: int = 20_260_105,
    students: int = 200,
    answers_per_student: int = 100,
    start: datetime = MONDAY,
    parameters: BktParameters = CLASSICAL,
) -> Classroom:
    """Simulate a class over four weeks; equal arguments give equal classes.

    Args:
        seed: seed of the random generator.
        students: number of students.
        answers_per_student: mean number of answers.
        start: first day of the first week, in UTC.
        parameters: true parameters of knowledge and answers.
    """
    rng = np.random.default_rng(seed)
    ids = tuple(f"student-{n:03d}" for n in range(1, students + 1))
    shape = (students, len(CONCEPTS))
    simulation = _Simulation(
        rng,
        seed,
        parameters,
        known=(rng.random(shape) < parameters.prior).tolist(),
        attempts=np.zeros(shape, dtype=np.int64).tolist(),
    )
    sessions = timetable(rng, students, answers_per_student, len(CONCEPTS), start)
    for number, session in enumerate(sessions, start=1):
        simulation.attend(ids[session.student], f"session-{number:04d}", session)
    answers = sorted(simulation.answers, key=lambda a: (a.answered_at, a.response_id))
    deliveries, late, repeats = _deliveries(rng, answers)
    return Classroom(
        ids,
        CONCEPTS,
        tuple(answers),
        deliveries,
        late,
        repeats,
        np.array(simulation.known),
        np.array(simulation.attempts),
    )


@dataclass
class _Simulation:
    """Mutable state of a simulation: the students' knowledge and the answers so far."""

    rng: np.random.Generator
    seed: int
    parameters: BktParameters
    known: list[list[bool]]
    attempts: list[list[int]]
    answers: list[Answer] = field(default_factory=list)

    def attend(self, student_id: str, session_id: str, session: Session) -> None:
        """Simulate one session, item after item."""
        known, attempts = self.known[session.student], self.attempts[session.student]
        now = session.starts_at
        for concept, chance in zip(
            session.concepts, _chances(self.rng, len(session.concepts)), strict=True
        ):
            exercised: tuple[int, ...] = (concept,)
            if chance.joint < _SHARE_OF_JOINT_ITEMS:
                exercised = (concept, chance.other + (chance.other >= concept))
            knows = all(known[c] for c in exercised)
            right = 1.0 - self.parameters.slip if knows else self.parameters.guess
            for c, luck in zip(exercised, chance.learn, strict=False):
                known[c] = known[c] or luck < self.parameters.learn
                attempts[c] += 1
            took = timedelta(seconds=chance.time_s * (1.0 if knows else 1.5))
            now += took
            concept_ids = tuple(CONCEPTS[c].concept_id for c in exercised)
            self.answers.append(
                Answer(
                    str(uuid5(_RESPONSE_IDS, f"{self.seed}/{len(self.answers)}")),
                    student_id,
                    session_id,
                    f"{'+'.join(concept_ids)}/{chance.item:02d}",
                    concept_ids,
                    chance.answer < right,
                    now.replace(microsecond=now.microsecond // 1000 * 1000),
                    took // timedelta(milliseconds=1),
                )
            )
            now += timedelta(seconds=chance.pause_s)


class _Chance(NamedTuple):
    """Random numbers of one answer, drawn in advance; the shares are uniform in [0, 1)."""

    joint: float
    other: int
    answer: float
    learn: list[float]
    item: int
    time_s: float
    pause_s: float


def _chances(rng: np.random.Generator, size: int) -> list[_Chance]:
    columns = (
        rng.random(size).tolist(),
        rng.integers(len(CONCEPTS) - 1, size=size).tolist(),
        rng.random(size).tolist(),
        rng.random((size, 2)).tolist(),
        rng.integers(1, _ITEMS_PER_CONCEPT + 1, size).tolist(),
        rng.lognormal(np.log(_MEDIAN_TIME_S), 0.5, size).tolist(),
        rng.uniform(1.0, 6.0, size).tolist(),
    )
    return [_Chance(*row) for row in zip(*columns, strict=True)]


def _deliveries(
    rng: np.random.Generator, answers: list[Answer]
) -> tuple[tuple[int, ...], int, int]:
    """Return the order of sending, the number of late answers and the number of repeats."""
    of_session: dict[tuple[str, str], list[int]] = {}
    for place, answer in enumerate(answers):
        of_session.setdefault((answer.student_id, answer.session_id), []).append(place)
    sent_at = np.array([answer.answered_at.timestamp() for answer in answers])
    # An offline phone sends its session two days later, after newer answers.
    for indices in of_session.values():
        if rng.random() < _SHARE_OF_OFFLINE_SESSIONS:
            sent_at[indices] += timedelta(days=2).total_seconds()
    twice = np.flatnonzero(rng.random(len(answers)) < _SHARE_OF_REPEATS)
    # Repeated at once by a retry, or hours later by a restored backlog.
    again_at = sent_at[twice] + rng.choice([2.0, 4.0 * 3600.0], size=twice.size)
    index = np.concatenate([np.arange(len(answers)), twice])
    moment = np.concatenate([sent_at, again_at])
    deliveries = tuple(index[np.argsort(moment, kind="stable")].tolist())
    return deliveries, _late(answers, deliveries), int(twice.size)


def _late(answers: list[Answer], deliveries: tuple[int, ...]) -> int:
    newest: dict[str, int] = {}
    seen: set[int] = set()
    late = 0
    for index in deliveries:
        student = answers[index].student_id
        late += index not in seen and index < newest.get(student, -1)
        newest[student] = max(index, newest.get(student, -1))
        seen.add(index)
    return late
