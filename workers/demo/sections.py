"""The sections of a report, each a piece of HTML."""

from collections.abc import Iterator
from html import escape
from typing import Final

import numpy as np

from workers.demo.concept_table import concept_table
from workers.demo.figures import ability_errors, ability_histogram
from workers.demo.mastery_maps import mastery_maps
from workers.demo.report_data import Knowledge, Measures, ReportData, Truth
from workers.demo.selection import concepts_by_use, evenly
from workers.reports.figures import calibration_curve, learning_curve
from workers.reports.pieces import LEARNING_LEGEND, tiles
from workers.reports.wording import decimal, percent

_MOST_PANELS: Final = 12
_MOST_ERROR_BARS: Final = 240


def sections(data: ReportData, measures: Measures) -> Iterator[str]:
    """All sections of a report, in their order."""
    yield _tiles(data, measures)
    yield _learning_curves(data)
    yield _calibration(data, measures)
    if measures.practised:
        yield mastery_maps(data)
    theta = data.knowledge.theta
    if np.isfinite(theta).any():
        yield _ability(data.knowledge)
    yield concept_table(data)
    if data.facts:
        yield _facts(data)


def _tiles(data: ReportData, measures: Measures) -> str:
    quality = measures.predictions
    return tiles(
        ("Responses", f"{data.responses:,}", "each counted once"),
        ("Learners", f"{measures.learners:,}", f"{measures.concepts:,} concepts"),
        (
            "Rate",
            f"{decimal(measures.responses_per_s, 0)}/s",
            f"{data.duration_s:.1f} seconds in all",
        ),
        ("Mastered", f"{measures.mastered:,}", f"of {measures.practised:,} practised concepts"),
        ("AUC", decimal(quality.auc, 3), "a right answer ranked above a wrong one"),
        ("Calibration error", decimal(quality.ece, 3), "mean gap of prediction and outcome"),
        ("Log loss", decimal(quality.log_loss, 3), "nats per prediction"),
        ("Brier score", decimal(quality.brier, 3), f"RMSE {decimal(quality.rmse, 3)}"),
    )


def _learning_curves(data: ReportData) -> str:
    predictions = data.predictions
    rows_of = predictions.rows_by_concept()
    shown = concepts_by_use(predictions, data.knowledge.concepts, _MOST_PANELS)
    panels = []
    for place, concept_id in enumerate(shown):
        rows = rows_of[concept_id]
        title = data.title_of(concept_id)
        svg = learning_curve(
            f"learning-{place}",
            title,
            predictions.attempt[rows],
            predictions.score[rows],
            predictions.probability[rows],
        )
        panels.append(f"<figure><h3>{escape(title)}</h3>{svg}</figure>")
    left_out = len(rows_of) - len(shown)
    most = f" Shown are the {len(shown)} concepts with most answers." if left_out else ""
    return (
        '<section><h2>Learning curves</h2><p class="note">Share of right answers at the first, '
        "second, third … attempt at a concept, and what was predicted before each of them. Later "
        f"attempts come from those who practise most.{most}</p>"
        f"{LEARNING_LEGEND}"
        f'<div class="panels">{"".join(panels)}</div></section>'
    )


def _calibration(data: ReportData, measures: Measures) -> str:
    quality, truth = measures.predictions, measures.truth
    figures = [
        "<figure><h3>Does what is predicted happen?</h3>"
        + calibration_curve(
            "calibration",
            "Calibration of predicted answers",
            data.predictions.score,
            data.predictions.probability,
            x_label="predicted probability of a right answer, and number of answers",
            y_label="share of right answers",
        )
        + f"<figcaption>{quality.count:,} predictions, each stored before its answer was seen. "
        f"On the dotted line a prediction of 70% comes true in 70 of 100 cases; on average they "
        f"are off by {100 * quality.ece:.1f} percentage points.</figcaption></figure>"
    ]
    if truth is not None:
        figures.append(
            "<figure><h3>Does mastery mean knowing?</h3>"
            + calibration_curve(
                "truth",
                "Estimated mastery against true knowledge",
                truth.known,
                truth.estimate,
                x_label="estimated mastery, and number of pairs of student and concept",
                y_label="share that know the concept in truth",
            )
            + f"<figcaption>{_on_truth(truth, data.mastery_threshold)}</figcaption></figure>"
        )
    return f'<section><h2>Calibration</h2><div class="pair">{"".join(figures)}</div></section>'


def _on_truth(truth: Truth, threshold: float) -> str:
    text = (
        f"The class is simulated, so what each student knows is known. AUC "
        f"{decimal(truth.quality.auc, 3)}, Brier score {decimal(truth.quality.brier, 3)}, "
        f"calibration error {percent(truth.quality.ece, 1)}."
    )
    if truth.declared:
        text += (
            f" Of {truth.declared:,} called mastered (at {percent(threshold)}), "
            f"{percent(truth.declared_known / truth.declared, 1)} are known."
        )
    return text


def _ability(knowledge: Knowledge) -> str:
    estimated = np.isfinite(knowledge.theta)
    theta, error = knowledge.theta[estimated], knowledge.standard_error[estimated]
    chosen = np.argsort(theta, kind="stable")[evenly(theta.size, _MOST_ERROR_BARS)]
    some = f" {chosen.size} of them, evenly spaced." if chosen.size < theta.size else ""
    return (
        '<section><h2>Ability</h2><p class="note">Ability on a logit scale: at 0 an item of middle '
        "difficulty is answered right in half of all cases, at 1 in 73 of 100.</p>"
        f'<div class="pair"><figure>{ability_histogram("ability", theta)}'
        f"<figcaption>{theta.size:,} learners.</figcaption></figure>"
        f"<figure>{ability_errors('errors', theta[chosen], error[chosen])}"
        f"<figcaption>Each learner with ± one standard error.{some}</figcaption></figure></div>"
        "</section>"
    )


def _facts(data: ReportData) -> str:
    lines = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in data.facts.items()
    )
    return f'<section><h2>How it was processed</h2><dl class="facts">{lines}</dl></section>'
