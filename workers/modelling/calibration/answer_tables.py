"""Build the table of one scale from the answers of all learners, page by page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workers.modelling.calibration.paging import PAGE, column, pages, release
from workers.modelling.calibration.table import NEVER, Bools, Floats, Ints, Table

NewColumn = Callable[[str, int, DTypeLike], NDArray[Any]]
"""Makes an array for a column of a table, from its name, length and type."""


def in_temporary_file(_: str, size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Make a column that nobody else opens."""
    return column(size, dtype)


@dataclass(frozen=True)
class AnswerColumns:
    """Answers learner by learner, in each learner's order; about 35 bytes per answer.

    Args:
        items, concepts, scales: ids; the arrays hold indices into them.
        begin: first answer of each learner, and the number of answers; shape (learners + 1,).
        held_out: True for learners that no fit may see, shape (learners,).
        item, scale: item and scale of each answer.
        score: score of each answer, in [0, 1].
        answered_at_us: time of each answer, microseconds since 1970-01-01T00:00:00Z.
        link_begin: first link of each answer, and the number of links; shape (answers + 1,).
        concept: concept of each link.
    """

    items: Sequence[str]
    concepts: Sequence[str]
    scales: Sequence[str]
    begin: Ints
    held_out: Bools
    item: NDArray[np.int32]
    scale: NDArray[np.int32]
    score: Floats
    answered_at_us: Ints
    link_begin: NDArray[np.int32]
    concept: NDArray[np.int32]


class Page(NamedTuple):
    """Answers of whole learners."""

    row: Ints
    """Place among all answers."""
    learner: Ints
    """Number of the learner."""


def learner_pages(begin: Ints, held_out: Bools) -> Iterator[Page]:
    """Yield the answers of learners that a fit may see, whole learners at a time.

    Args:
        begin: first answer of each learner, and the number of answers; shape (learners + 1,).
        held_out: True for learners to leave out, shape (learners,).
    """
    first = 0
    while first < held_out.size:
        end = int(np.searchsorted(begin, begin[first] + PAGE, side="right")) - 1
        end = min(max(end, first + 1), held_out.size)
        learner = np.repeat(np.arange(first, end), np.diff(begin[first : end + 1]))
        kept = ~held_out[learner]
        row = np.arange(int(begin[first]), int(begin[end]))
        yield Page(row[kept], learner[kept])
        first = end


def table_of_scale(answers: AnswerColumns, scale: int, new: NewColumn = in_temporary_file) -> Table:
    """Build the table of a scale without held-out learners, as `table_of` does from logs.

    Args:
        answers: all answers.
        scale: number of the scale.
        new: makes the columns.
    """
    counts = _counts(answers, scale)
    # Most answers first; ties keep their order.
    rank = np.empty(counts.size, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(counts.size)
    with_more = counts.size - np.cumsum(np.bincount(counts))[:-1]
    step = np.concatenate([[0], np.cumsum(with_more)]).astype(np.int64)
    rows = int(step[-1])
    learner, item = new("learner", rows, np.int32), new("item", rows, np.int32)
    score = new("score", rows, np.float64)
    answered_at_us = new("answered_at_us", rows, np.int64)
    previous_at_us = new("previous_at_us", rows, np.int64)
    linked = column(rows, np.int32)
    for page, place in _of_scale(answers, scale):
        at = step[place] + rank[page.learner]
        learner[at] = rank[page.learner]
        item[at] = answers.item[page.row]
        score[at] = answers.score[page.row]
        answered_at_us[at] = answers.answered_at_us[page.row]
        before = answers.answered_at_us[np.maximum(page.row - 1, 0)]
        previous_at_us[at] = np.where(page.row == answers.begin[page.learner], NEVER, before)
        linked[at] = answers.link_begin[page.row + 1] - answers.link_begin[page.row]
        release(learner, item, score, answered_at_us, previous_at_us, linked)
        release(answers.item, answers.score, answers.answered_at_us)
    link, concept = _links(answers, scale, linked, (step, rank), new)
    items = by_appearance(item, len(answers.items))
    concepts = by_appearance(concept, len(answers.concepts))
    return Table(
        [answers.items[at] for at in items.tolist()],
        [answers.concepts[at] for at in concepts.tolist()],
        learner,
        item,
        score,
        step,
        link,
        concept,
        answered_at_us,
        previous_at_us,
    )


def _of_scale(answers: AnswerColumns, scale: int) -> Iterator[tuple[Page, Ints]]:
    """Yield answers of a scale, with the number of each among the learner's answers on it."""
    for page in learner_pages(answers.begin, answers.held_out):
        on_scale = answers.scale[page.row] == scale
        chosen = Page(page.row[on_scale], page.learner[on_scale])
        first = np.searchsorted(chosen.learner, chosen.learner)
        yield chosen, np.arange(first.size) - first


def _counts(answers: AnswerColumns, scale: int) -> Ints:
    counts = np.zeros(answers.held_out.size, dtype=np.int64)
    for page, _ in _of_scale(answers, scale):
        np.add.at(counts, page.learner, 1)
    release(answers.scale)
    return counts


def _links(
    answers: AnswerColumns,
    scale: int,
    linked: Ints,
    order: tuple[Ints, Ints],
    new: NewColumn,
) -> tuple[Ints, Ints]:
    """Return the response and the concept of each link."""
    step, rank = order
    first = np.zeros(linked.size + 1, dtype=np.int64)
    np.cumsum(linked, out=first[1:])
    link, concept = new("link", int(first[-1]), np.int32), new("concept", int(first[-1]), np.int32)
    for rows in pages(linked.size):
        link[first[rows.start] : first[rows.stop]] = np.repeat(
            np.arange(rows.start, rows.stop), linked[rows]
        )
    for page, place in _of_scale(answers, scale):
        at = step[place] + rank[page.learner]
        count = linked[at]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        concept[np.repeat(first[at], count) + within] = answers.concept[
            np.repeat(answers.link_begin[page.row], count) + within
        ]
        release(concept, answers.concept, answers.link_begin)
    release(link)
    return link, concept


def by_appearance(values: NDArray[Any], count: int) -> Ints:
    """Renumber values in place by their first appearance.

    Args:
        values: numbers below `count`.
        count: bound of the numbers.

    Returns:
        The distinct values in order of first appearance.
    """
    first = np.full(count, values.size)
    for page in pages(values.size):
        np.minimum.at(first, values[page], np.arange(page.start, page.stop))
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < values.size)]
    number = np.empty(count, dtype=np.int64)
    number[order] = np.arange(order.size)
    for page in pages(values.size):
        values[page] = number[values[page]]
    release(values)
    return order
