"""When the students of a simulated class practise, and what."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

_WEEKS: Final = 4
_DAYS: Final = tuple(week * 7 + day for week in range(_WEEKS) for day in range(5))
"""School days, counted from the first Monday."""
_ANSWERS_PER_SESSION: Final = 10
_DILIGENCE: Final = 0.35
"""Standard deviation of the logarithm of a student's number of answers."""
_SHARE_OF_REVISION: Final = 0.4


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting of one student.

    Args:
        student: index of the student.
        starts_at: in UTC.
        concepts: index of the concept of each item, in the order in which they are answered.
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
    """The sessions of all students; each student's own are in order and never overlap.

    A session practises what is taught on that day, one concept after the other through the four
    weeks, and revises earlier ones in between.
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
            # Some at school in the morning, some at home; never past midnight.
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
