"""Write the validity of mastery as rows of a table."""

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
"""Heads of the cells of `mastery_cells`, short enough for a narrow terminal."""

MASTERY_NOTE: Final = (
    "Ever: share of learner-concept pairs that reach mastery .95. Answers: number of answers "
    "until then, median and quartiles. At .95: mean score of the up to 5 answers that follow. 30, "
    "40 and 50%: the same at the threshold that declares this share of the pairs mastered. Before: "
    "mean score of the up to 5 answers before the one that reaches .95. Last: number of pairs that "
    "reach .95 with their last answer. Lapses: falls below .95 per mastered pair. Ceiling: largest "
    "mastery that the parameters allow, lowest over all concepts."
)


def mastery_rows(head: str, rows: Iterable[tuple[str, Validity, float]]) -> Rows:
    """Write a row for each name, its measures and its lowest ceiling; see `mastery_cells`."""
    heads = (head, *(text.capitalize() for text in MASTERY_HEADS))
    return Rows(heads, [[name, *mastery_cells(of, ceiling)] for name, of, ceiling in rows])


def mastery_cells(validity: Validity, ceiling: float) -> list[str]:
    """Write the validity of one model's mastery.

    Args:
        validity: measured at `validity.MASTERED` and `validity.SHARES`.
        ceiling: lowest ceiling of its concepts, NaN if it is not known.
    """
    at = validity.at_threshold
    return [
        percent(at.share),
        _quartiles(*validity.answers_until),
        decimal(at.right_after),
        *(decimal(declared.right_after) for declared in validity.at_shares.values()),
        decimal(at.right_before),
        f"{at.without_following:,}",
        decimal(validity.lapses, 2),
        decimal(ceiling),
    ]


def _quartiles(lower: float, median: float, upper: float) -> str:
    if math.isnan(median):
        return DASH
    return f"{median:.3g} ({lower:.3g}{DASH}{upper:.3g})"
