"""Gather the data of a report from the ledger and the mastery stream."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson

from contracts.streams import EVENT_FIELD, MASTERY
from workers.app.servers import Servers
from workers.demo.classroom import Classroom
from workers.demo.report_data import Knowledge, Predictions, ReportData
from workers.estimation.learner import Response
from workers.ledger.audit import AuditLedger
from workers.ledger.rows import Stored
from workers.streams.redis_errors import redis_errors

_PAGE: Final = 1_000

Predicted = dict[tuple[str, str, str], float]
"""P(correct) before the answer, by student, response and concept."""


async def gather(
    servers: Servers,
    *,
    title: str,
    source: str,
    responses: int,
    duration_s: float,
    threshold: float,
    classroom: Classroom | None,
    facts: Mapping[str, str],
) -> ReportData:
    """Read the whole ledger and the whole mastery stream.

    Args:
        servers: of this process.
        title: title of the report.
        source: sentence that names the origin of the answers.
        responses: number of distinct responses processed.
        duration_s: processing time, seconds.
        threshold: lowest mastery that counts as mastered.
        classroom: the simulated class; None if the true knowledge is not known.
        facts: further lines of the summary, label and value.
    """
    predicted = {key: p async for key, p in _published(servers)}
    page = [stored async for stored in _all(servers.ledger)]
    titles = {c.concept_id: c.title for c in classroom.concepts} if classroom else {}
    return ReportData(
        title=title,
        source=source,
        generated_at=datetime.now(UTC),
        responses=responses,
        duration_s=duration_s,
        predictions=_predictions(page, predicted),
        knowledge=_knowledge(page, classroom),
        mastery_threshold=threshold,
        titles=titles,
        facts=facts,
    )


async def _published(servers: Servers) -> AsyncIterator[tuple[tuple[str, str, str], float]]:
    after = "-"
    while True:
        with redis_errors():
            entries: Any = await servers.redis.xrange(MASTERY, min=after, count=_PAGE)
        if not entries:
            return
        for _, fields in entries:
            data = orjson.loads(fields[EVENT_FIELD.encode()])["data"]
            key = (data["student_id"], data["response_id"], data["concept_id"])
            yield key, data["probability_correct"]
        after = f"({entries[-1][0].decode()}"


async def _all(ledger: AuditLedger) -> AsyncIterator[Stored]:
    after = None
    while keys := await ledger.learners(after, 100):
        for stored in await ledger.stored(keys):
            yield stored
        after = keys[-1]


def _predictions(page: list[Stored], predicted: Predicted) -> Predictions:
    rows: list[tuple[str, str, int, float, float]] = []
    for stored in page:
        attempts: defaultdict[str, int] = defaultdict(int)
        for response in sorted(stored.log, key=_position):
            for concept_id in response.concept_ids:
                attempts[concept_id] += 1
                key = (stored.key.student_id, response.response_id, concept_id)
                rows.append(
                    (key[0], concept_id, attempts[concept_id], response.score, predicted[key])
                )
    students, concepts, numbers, scores, probabilities = zip(*rows, strict=True)
    return Predictions(
        students, concepts, np.array(numbers), np.array(scores), np.array(probabilities)
    )


def _position(response: Response) -> tuple[int, str]:
    return response.position


def _knowledge(page: list[Stored], classroom: Classroom | None) -> Knowledge:
    students = [stored.key.student_id for stored in page]
    concepts = (
        [concept.concept_id for concept in classroom.concepts]
        if classroom
        else sorted({row.concept_id for stored in page for row in stored.concepts})
    )
    column = {concept_id: at for at, concept_id in enumerate(concepts)}
    mastery = np.full((len(students), len(concepts)), np.nan)
    theta = np.full(len(students), np.nan)
    error = np.full(len(students), np.nan)
    for at, stored in enumerate(page):
        for row in stored.concepts:
            mastery[at, column[row.concept_id]] = row.mastery
        for ability in stored.abilities[:1]:
            theta[at], error[at] = ability.theta, ability.standard_error
    known = None
    if classroom is not None:
        place = {student: at for at, student in enumerate(classroom.students)}
        known = classroom.known[[place[student] for student in students]]
    return Knowledge(students, concepts, mastery, theta, error, known)
