"""Draw the mastery of each student and concept as heat maps."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.demo.report_data import ReportData
from workers.demo.selection import evenly
from workers.reports.svg import Plot
from workers.reports.wording import percent

Floats = NDArray[np.float64]

_MOST_ROWS: Final = 24
_MOST_COLUMNS: Final = 240
_LEVELS: Final = 10
"""Number of shades."""


@dataclass(frozen=True)
class MasteryMaps:
    """Maps with a row for each concept and a column for each student.

    Args:
        estimated: map of P(known).
        known: map of the true knowledge; None if the truth is not known.
        students: number of students with an answer.
        columns: number of students shown.
        concepts: number of concepts with an answer.
        rows: number of concepts shown.
    """

    estimated: Plot
    known: Plot | None
    students: int
    columns: int
    concepts: int
    rows: int


def mastery_maps(data: ReportData) -> MasteryMaps:
    """Draw estimated mastery, and the true knowledge where it is known.

    Args:
        data: with at least one practised concept.
    """
    knowledge = data.knowledge
    answered = ~np.isnan(knowledge.mastery)
    students = np.flatnonzero(answered.any(axis=1))
    answers = answered.sum(axis=0)
    concepts = np.sort(np.argsort(-answers, kind="stable")[:_MOST_ROWS])
    concepts = concepts[answers[concepts] > 0]
    mean = np.nanmean(knowledge.mastery[students], axis=1)
    ordered = students[np.argsort(mean, kind="stable")]
    columns = ordered[evenly(ordered.size, _MOST_COLUMNS)]
    labels = [data.title_of(knowledge.concepts[place]) for place in concepts.tolist()]
    mastery = knowledge.mastery[np.ix_(columns, concepts)].T
    estimated = _heat_map(
        "mastery",
        "Estimated mastery of each student and concept",
        f"Mean mastery by concept: {_means(labels, mastery)}.",
        labels,
        mastery,
    )
    known = None
    if knowledge.known is not None:
        truth = np.where(np.isnan(mastery), np.nan, knowledge.known[np.ix_(columns, concepts)].T)
        known = _heat_map(
            "known",
            "True knowledge of each student and concept",
            f"Share of students who know the concept: {_means(labels, truth)}.",
            labels,
            truth,
        )
    return MasteryMaps(
        estimated,
        known,
        ordered.size,
        columns.size,
        int(answered.any(axis=0).sum()),
        len(labels),
    )


def _means(labels: list[str], values: Floats) -> str:
    means = np.nanmean(values, axis=1).tolist()
    return ", ".join(f"{label} {percent(m)}" for label, m in zip(labels, means, strict=True))


def _heat_map(name: str, title: str, description: str, labels: list[str], values: Floats) -> Plot:
    """Draw shares in [0, 1], with a row for each label and a column for each student.

    Args:
        name: unique within the page.
        title: for screen readers.
        description: for screen readers.
        labels: of the rows.
        values: shape (rows, students); NaN means not practised.
    """
    tall, left = 20.0, 168.0
    rows, columns = values.shape
    plot = Plot(
        name,
        title,
        description,
        1000,
        rows * tall + 8,
        (0.0, float(columns)),
        (0.0, 1.0),
        left=left,
        right=4,
    )
    level = np.where(np.isnan(values), -1, np.minimum(values * _LEVELS, _LEVELS - 1)).astype(int)
    for row, label in enumerate(labels):
        y = 4 + row * tall
        shown = label if len(label) <= 24 else f"{label[:23]}…"
        plot.text(left - 8, y + tall / 2 + 4, shown, "tick end")
        # One rectangle for neighbours of the same level keeps the page small.
        starts = np.flatnonzero(np.diff(level[row], prepend=-2)).tolist()
        for start, stop in zip(starts, [*starts[1:], columns], strict=True):
            kind = f"heat h{level[row, start]}" if level[row, start] >= 0 else "gap"
            plot.rectangle((plot.at_x(start), plot.at_x(stop)), (y, y + tall - 2), kind)
    return plot
