"""Turn the rows of a CSV of responses into logs."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from workers.common.times import to_us
from workers.estimation.learner import Response
from workers.importing.csv_responses import CsvResponse
from workers.modelling.calibration.answer_tables import by_appearance
from workers.modelling.calibration.answers import Answers, AnswersBuilder
from workers.modelling.calibration.table import Ints

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


def answers_of_rows(rows: Iterable[CsvResponse]) -> Answers:
    """Return the logs of `logs_of` as arrays, without an object per answer.

    While it reads, an answer takes some 60 bytes.
    """
    students: dict[str, int] = {}
    builder = AnswersBuilder()
    student, response_id = array("i"), bytearray()

    def noted() -> Iterator[Response]:
        for row in rows:
            student.append(students.setdefault(row.student_id, len(students)))
            response_id.extend(UUID(row.response_id).bytes)
            yield Response(
                row.response_id,
                None,
                row.item_id,
                row.concept_ids,
                _SCALE,
                row.score,
                to_us(row.answered_at),
            )

    builder.add(noted())
    unsorted = builder.built()
    # Ids sort as their bytes do.
    ids = np.frombuffer(response_id, dtype=">u8").reshape(-1, 2)
    of = np.frombuffer(student, dtype=np.int32)
    order = np.lexsort((ids[:, 1], ids[:, 0], unsorted.answered_at_us, of))
    return _in_order(unsorted, order, np.bincount(of, minlength=len(students)))


def _in_order(answers: Answers, order: Ints, counts: Ints) -> Answers:
    """Sort answers, and number names by first appearance in the new order.

    Args:
        answers: answers of one learner.
        order: their new order.
        counts: number of answers of each learner in that order.
    """
    linked = np.diff(answers.link_begin)[order]
    link_begin = np.concatenate([[0], np.cumsum(linked)])
    link = np.repeat(answers.link_begin[order] - link_begin[:-1], linked) + np.arange(
        int(link_begin[-1])
    )
    items, item = _by_appearance(answers.items, answers.item[order])
    concepts, concept = _by_appearance(answers.concepts, answers.concept[link])
    return Answers(
        items,
        concepts,
        answers.scales,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.zeros(counts.size, dtype=np.bool_),
        item,
        answers.scale[order],
        answers.score[order],
        answers.answered_at_us[order],
        link_begin.astype(np.int32),
        concept,
    )


def _by_appearance(
    names: Sequence[str], numbers: NDArray[np.int32]
) -> tuple[list[str], NDArray[np.int32]]:
    renumbered = numbers.copy()
    order = by_appearance(renumbered, len(names))
    return [names[at] for at in order.tolist()], renumbered
