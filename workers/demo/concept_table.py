"""The section of a report that gives the figures of each concept."""

from typing import Final

import numpy as np

from workers.demo.report_data import ReportData
from workers.demo.selection import concepts_by_use
from workers.estimation.metrics import auc
from workers.reports.pieces import table
from workers.reports.wording import DASH, decimal, percent

_HEADS: Final = ("Concept", "Answers", "Right", "Predicted", "AUC", "Learners", "Mean mastery")


def concept_table(data: ReportData) -> str:
    """A row of figures for each concept."""
    predictions, knowledge = data.predictions, data.knowledge
    rows_of = predictions.rows_by_concept()
    body = []
    for concept_id in concepts_by_use(predictions, knowledge.concepts, len(rows_of)):
        rows = rows_of[concept_id]
        score, probability = predictions.score[rows], predictions.probability[rows]
        cells = [
            f"{rows.size:,}",
            percent(float(score.mean())),
            percent(float(probability.mean())),
            decimal(auc(score, probability)),
            *_knowledge_cells(data, concept_id),
        ]
        body.append([data.title_of(concept_id), *cells])
    heads = [*_HEADS, f"At {percent(data.mastery_threshold)}"]
    if knowledge.known is not None:
        heads.append("Known in truth")
    return f"<section><h2>Concepts</h2>{table(heads, body, of='concepts')}</section>"


def _knowledge_cells(data: ReportData, concept_id: str) -> list[str]:
    knowledge = data.knowledge
    wide = 4 if knowledge.known is not None else 3
    if concept_id not in knowledge.concepts:
        return [DASH] * wide
    column = list(knowledge.concepts).index(concept_id)
    practised = ~np.isnan(knowledge.mastery[:, column])
    mastery = knowledge.mastery[practised, column]
    if not mastery.size:
        return ["0", *[DASH] * (wide - 1)]
    cells = [
        f"{mastery.size:,}",
        percent(float(mastery.mean())),
        percent(float((mastery >= data.mastery_threshold).mean())),
    ]
    if knowledge.known is not None:
        cells.append(percent(float(knowledge.known[practised, column].mean())))
    return cells
