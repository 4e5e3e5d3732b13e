"""Turn the rows of a CSV of responses into logs."""

from collections.abc import Iterable

from workers.common.times import to_us
from workers.estimation.learner import Response
from workers.importing.csv_responses import CsvResponse

_SCALE = "default"


def logs_of(rows: Iterable[CsvResponse]) -> dict[str, list[Response]]:
    """Return each student's answers in the student's order, students by first appearance."""
    logs: dict[str, list[Response]] = {}
    item_ids: dict[str, str] = {}
    concept_ids: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in rows:
        logs.setdefault(row.student_id, []).append(
            Response(
                row.response_id,
                None,
                # Equal ids share one string, which saves memory.
                item_ids.setdefault(row.item_id, row.item_id),
                concept_ids.setdefault(row.concept_ids, row.concept_ids),
                _SCALE,
                row.score,
                to_us(row.answered_at),
            )
        )
    for log in logs.values():
        log.sort(key=lambda response: response.position)
    return logs
