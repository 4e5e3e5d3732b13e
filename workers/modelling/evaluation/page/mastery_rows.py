"""What mastery is worth, as a row of a table."""

import math
from collections.abc import Iterable
from typing import Final

from workers.modelling.judging.validity import Validity
from workers.reports.rows import Rows
from workers.reports.wording import DASH, decimal, percent

MASTERY_HEADS: Final = (
    "ever",
    "answers",
    "at .95",
    "30%",
    "40%",
    "50%",
    "before",
    "last",
    "lapses",
    "ceiling",
)
"""Heads of the cells that `mastery_cells` returns, in their order; short, for a narrow terminal."""

MASTERY_NOTE: Final = (
    "Ever: learner-concept pairs that reach mastery .95. Answers: number of the answer that "
    "reaches it, median and quartiles. At .95: share right in the up to 5 answers that follow. "
    "30, 40 and 50%: the same, with the threshold moved so that each model declares this share of "
    "its pairs. Before: share right in the up to 5 answers before the one that reaches .95. Last: "
    "pairs that reach it with their last answer. Lapses: falls below .95 per mastered pair. "
    "Ceiling: the largest mastery that the parameters allow, of the concept with the lowest."
)


def mastery_rows(head: str, rows: Iterable[tuple[str, Validity, float]]) -> Rows:
    """Write a row of cells for each name, measures and lowest ceiling, as `mastery_cells` does."""
    heads = (head, *(text.capitalize() for text in MASTERY_HEADS))
    return Rows(heads, [[name, *mastery_cells(of, ceiling)] for name, of, ceiling in rows])


def mastery_cells(validity: Validity, ceiling: float) -> list[str]:
    """Write the measures of one model's mastery.

    Args:
        validity: measured at `validity.MASTERED` and `validity.SHARES`.
        ceiling: the lowest of its concepts, NaN if it is not known.
    """
    at = validity.at_threshold
    return [
        percent(at.share),
        _quartiles(*validity.answers_until),
        decimal(at.right_after),
        *(decimal(one.right_after) for one in validity.at_shares.values()),
        decimal(at.right_before),
        f"{at.without_following:,}",
        decimal(validity.lapses, 2),
        decimal(ceiling),
    ]


def _quartiles(lower: float, median: float, upper: float) -> str:
    if math.isnan(median):
        return DASH
    return f"{median:.3g} ({lower:.3g}{DASH}{upper:.3g})"
