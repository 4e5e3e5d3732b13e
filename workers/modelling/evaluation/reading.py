"""Logs of a CSV of responses, as the protocol wants them."""

from collections.abc import Iterable

from workers.common.times import to_us
from workers.estimation.learner import Response
from workers.importing.csv_responses import CsvResponse

_SCALE = "default"


def logs_of(rows: Iterable[CsvResponse]) -> dict[str, list[Response]]:
    """Each student's answers in the student's order, students by first appearance."""
    logs: dict[str, list[Response]] = {}
    same: dict[str, str] = {}
    cells: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in rows:
        logs.setdefault(row.student_id, []).append(
            Response(
                row.response_id,
                None,
                # Ids come again and again: each is kept once.
                same.setdefault(row.item_id, row.item_id),
                cells.setdefault(row.concept_ids, row.concept_ids),
                _SCALE,
                row.score,
                to_us(row.answered_at),
            )
        )
    for log in logs.values():
        log.sort(key=lambda one: one.position)
    return logs
