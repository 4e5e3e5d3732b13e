"""Write the figures of each concept as rows of a table."""

from typing import Final

import numpy as np

from workers.demo.report_data import ReportData
from workers.demo.selection import concepts_by_use
from workers.estimation.metrics import auc
from workers.reports.rows import Rows
from workers.reports.wording import DASH, decimal, percent, thousands

_HEADS: Final = ("Concept", "Answers", "Right", "Predicted", "AUC", "Learners", "Mean mastery")


def concept_rows(data: ReportData) -> Rows:
    """Write a row for each concept."""
    predictions, knowledge = data.predictions, data.knowledge
    rows_by_concept = predictions.rows_by_concept()
    table = []
    for concept_id in concepts_by_use(predictions, knowledge.concepts, len(rows_by_concept)):
        rows = rows_by_concept[concept_id]
        score, probability = predictions.score[rows], predictions.probability[rows]
        table.append(
            [
                data.title_of(concept_id),
                thousands(rows.size),
                percent(float(score.mean())),
                percent(float(probability.mean())),
                decimal(auc(score, probability)),
                *_knowledge_cells(data, concept_id),
            ]
        )
    heads = [*_HEADS, "Mastered"]
    if knowledge.known is not None:
        heads.append("Truly known")
    return Rows(heads, table)


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
        thousands(mastery.size),
        percent(float(mastery.mean())),
        percent(float((mastery >= data.mastery_threshold).mean())),
    ]
    if knowledge.known is not None:
        cells.append(percent(float(knowledge.known[practised, column].mean())))
    return cells
