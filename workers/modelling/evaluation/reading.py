"""Read the logs of a CSV of responses."""

from collections.abc import Iterable

from workers.common.times import to_us
from workers.estimation.learner import Response
from workers.importing.csv_responses import CsvResponse

_SCALE = "default"


def logs_of(rows: Iterable[CsvResponse]) -> dict[str, list[Response]]:
    """Group responses by student, students by first appearance, each log in the student's order."""
    logs: dict[str, list[Response]] = {}
    kept_ids: dict[str, str] = {}
    kept_concepts: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in rows:
        logs.setdefault(row.student_id, []).append(
            Response(
                row.response_id,
                None,
                # Ids repeat often, so keep each string once.
                kept_ids.setdefault(row.item_id, row.item_id),
                kept_concepts.setdefault(row.concept_ids, row.concept_ids),
                _SCALE,
                row.score,
                to_us(row.answered_at),
            )
        )
    for log in logs.values():
        log.sort(key=lambda response: response.position)
    return logs
