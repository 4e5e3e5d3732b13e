"""The section of a report that shows mastery student by student."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.demo.figures import heat_map
from workers.demo.report_data import ReportData
from workers.demo.selection import evenly
from workers.reports.wording import percent

_MOST_ROWS: Final = 24
_MOST_COLUMNS: Final = 240


def mastery_maps(data: ReportData) -> str:
    """Estimated mastery as a field of colour, and true knowledge below it where it is known."""
    knowledge = data.knowledge
    answered = ~np.isnan(knowledge.mastery)
    learners = np.flatnonzero(answered.any(axis=1))
    weight = answered.sum(axis=0)
    concepts = np.sort(np.argsort(-weight, kind="stable")[:_MOST_ROWS])
    concepts = concepts[weight[concepts] > 0]
    mean = np.nanmean(knowledge.mastery[learners], axis=1)
    ordered = learners[np.argsort(mean, kind="stable")]
    columns = ordered[evenly(ordered.size, _MOST_COLUMNS)]
    labels = [data.title_of(knowledge.concepts[c]) for c in concepts.tolist()]
    estimated = knowledge.mastery[np.ix_(columns, concepts)].T
    maps = "<h3>Estimated mastery</h3>" if knowledge.known is not None else ""
    maps += heat_map(
        "mastery",
        "Estimated mastery of each student and concept",
        f"Mean mastery by concept: {_means(labels, estimated)}.",
        labels,
        estimated,
    )
    if knowledge.known is not None:
        known = np.where(np.isnan(estimated), np.nan, knowledge.known[np.ix_(columns, concepts)].T)
        maps += "<h3>What they know in truth</h3>" + heat_map(
            "known",
            "What each student knows in truth",
            f"Share of students who know the concept: {_means(labels, known)}.",
            labels,
            known,
        )
    return (
        '<section class="maps"><h2>Mastery, student by student</h2><p class="note">A column is a '
        f"student, a row a concept; students stand in the order of their mean mastery."
        f"{_left_out(ordered.size, columns.size, answered.any(axis=0).sum(), len(labels))}</p>"
        f'<p class="legend"><span>not known{_scale()}known</span>'
        '<span><svg viewBox="0 0 26 12" aria-hidden="true"><rect class="gap" width="26" '
        f'height="12"/></svg>not practised yet</span></p>{maps}</section>'
    )


def _left_out(learners: int, columns: int, concepts: int, rows: int) -> str:
    parts = []
    if columns < learners:
        parts.append(f" Of {learners:,} students {columns} are shown, evenly spaced in that order.")
    if rows < concepts:
        parts.append(f" Of {concepts:,} concepts the {rows} most practised are shown.")
    return "".join(parts)


def _means(labels: list[str], values: NDArray[np.float64]) -> str:
    means = np.nanmean(values, axis=1).tolist()
    return ", ".join(f"{label} {percent(m)}" for label, m in zip(labels, means, strict=True))


def _scale() -> str:
    steps = "".join(
        f'<rect class="heat h{n}" x="{n * 12}" width="11" height="12"/>' for n in range(10)
    )
    return f'<span class="scale"><svg viewBox="0 0 120 12" aria-hidden="true">{steps}</svg></span>'
