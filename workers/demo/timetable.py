"""Draw the timetable of a simulated class."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

_WEEKS: Final = 4
_DAYS: Final = tuple(week * 7 + day for week in range(_WEEKS) for day in range(5))
"""School days, counted from the first Monday."""
_ANSWERS_PER_SESSION: Final = 10
_DILIGENCE: Final = 0.35
"""Standard deviation of the log of a student's number of answers."""
_SHARE_OF_REVISION: Final = 0.4


@dataclass(frozen=True, slots=True)
class Session:
    """One practice session of one student.

    Args:
        student: index of the student.
        starts_at: in UTC.
        concepts: index of each item's concept, in answering order.
    """

    student: int
    starts_at: datetime
    concepts: tuple[int, ...]


def timetable(
    rng: np.random.Generator,
    students: int,
    answers_per_student: int,
    concepts: int,
    start: datetime,
) -> list[Session]:
    """Draw the sessions of all students; those of one student are in order and never overlap.

    Each session practises the concept taught that day and revises earlier concepts.

    Args:
        rng: source of randomness.
        students: number of students.
        answers_per_student: mean number of answers.
        concepts: number of concepts, taught one after the other over four weeks.
        start: first day of the first week, in UTC.
    """
    spread = np.exp(-(_DILIGENCE**2) / 2)  # the mean of a log-normal is above its median
    diligence = rng.lognormal(0.0, _DILIGENCE, students) * spread
    sessions = []
    for student in range(students):
        answers = max(1, round(answers_per_student * float(diligence[student])))
        count = min(len(_DAYS), max(1, round(answers / _ANSWERS_PER_SESSION)))
        places = np.sort(rng.choice(len(_DAYS), size=count, replace=False))
        sizes = np.full(count, answers // count) + (np.arange(count) < answers % count)
        for place, size in zip(places.tolist(), sizes.tolist(), strict=True):
            # In the morning at school or in the afternoon at home, and never past midnight.
            hour = rng.uniform(8.0, 12.0) if rng.random() < 0.5 else rng.uniform(15.0, 20.0)
            taught = place * concepts // len(_DAYS)
            sessions.append(
                Session(
                    student,
                    start + timedelta(days=_DAYS[place], hours=hour),
                    _plan(rng, size, taught),
                )
            )
    return sessions


def _plan(rng: np.random.Generator, size: int, taught: int) -> tuple[int, ...]:
    revised = rng.random(size) < _SHARE_OF_REVISION
    earlier = rng.integers(0, taught + 1, size)
    return tuple(np.where(revised, earlier, taught).tolist())
