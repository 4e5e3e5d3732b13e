"""Render the page of an evaluation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from workers.modelling.calibration.ceilings import lowest_of
from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.evaluation.histories import by_history
from workers.modelling.evaluation.page.figures import by_length, learning_of_all, styles_of
from workers.modelling.evaluation.page.mastery_figure import validity_by_share
from workers.modelling.evaluation.page.mastery_rows import MASTERY_NOTE, mastery_rows
from workers.modelling.evaluation.page.parameter_figures import (
    concept_histograms,
    item_histograms,
)
from workers.modelling.evaluation.page.parameter_rows import concept_rows, extreme_rows
from workers.modelling.evaluation.page.report_data import Evaluation
from workers.modelling.evaluation.protocol import FOLDS, Predictions
from workers.reports.figures import calibration_curve, learning_curve
from workers.reports.page import render_page
from workers.reports.rows import Rows
from workers.reports.svg import Plot
from workers.reports.wording import decimal, thousands

_MOST_PANELS: Final = 8


def render_evaluation(data: Evaluation) -> str:
    """Render the page as one self-contained HTML document."""
    predictions, parameters = data.predictions, data.fitted.parameters
    measures = {model: of.measures() for model, of in predictions.items()}
    return render_page(
        "modelling/evaluation/page/report.html.jinja",
        data.generated_at,
        styles=styles_of(predictions),
        data=data,
        folds=FOLDS,
        measures=measures,
        models=_model_rows(measures),
        mastery=mastery_rows(
            "Model",
            [(model, of.validity, lowest_of(of.ceilings)) for model, of in predictions.items()],
        ),
        mastery_note=MASTERY_NOTE,
        validity=validity_by_share(
            "validity", {model: of.trace for model, of in predictions.items()}
        ),
        calibration=_calibration_curves(predictions),
        learning_of_all=learning_of_all("learning", predictions),
        learning=_learning_curves(predictions[data.chosen]),
        histories=_histories(predictions),
        concepts=concept_rows(parameters, data.tallies),
        concept_histograms=concept_histograms(parameters.concepts.values()),
        item_histograms=item_histograms(parameters.items.values()) if parameters.items else {},
        extreme_items=extreme_rows(parameters, data.tallies),
        warnings=degenerate(data.fitted, data.tallies),
    )


def _model_rows(measures: Mapping[str, Mapping[str, float]]) -> Rows:
    heads = ("Model", "AUC", "RMSE", "ECE", "Log loss", "Answers")
    rows = [
        [
            model,
            *(decimal(of[name], 4) for name in ("auc", "rmse", "ece", "log_loss")),
            thousands(of["responses"]),
        ]
        for model, of in measures.items()
    ]
    return Rows(heads, rows)


def _calibration_curves(predictions: Mapping[str, Predictions]) -> dict[str, Plot]:
    return {
        model: calibration_curve(
            f"calibration-{place}",
            f"Calibration of {model}",
            of.score,
            of.probability,
            x_label="predicted; bars: number of answers",
            y_label="observed share of right answers",
            small=True,
        )
        for place, (model, of) in enumerate(predictions.items())
    }


def _learning_curves(predictions: Predictions) -> dict[str, Plot]:
    """Draw the learning curves of the most answered concepts."""
    concepts = np.asarray(predictions.concept, dtype=np.str_)
    curves = {}
    most_answered = Counter(predictions.concept).most_common(_MOST_PANELS)
    for place, (concept, _) in enumerate(most_answered):
        rows = concepts == concept
        curves[concept] = learning_curve(
            f"learning-{place}",
            concept,
            predictions.attempt[rows],
            predictions.score[rows],
            predictions.probability[rows],
        )
    return curves


def _histories(predictions: Mapping[str, Predictions]) -> Sequence[Plot]:
    """Draw AUC and calibration error; empty if no group of answers is large enough."""
    groups = {model: by_history(of) for model, of in predictions.items()}
    if not any(groups.values()):
        return ()
    return (
        by_length("auc", "AUC by number of earlier answers", "auc", groups),
        by_length("ece", "Calibration error by number of earlier answers", "ece", groups),
    )
