"""The sections of an evaluation's page, each a piece of HTML."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Final

import numpy as np

from workers.modelling.calibration.ceilings import lowest_of
from workers.modelling.evaluation.histories import by_history
from workers.modelling.evaluation.page.figures import by_length, learning_of_all, legend
from workers.modelling.evaluation.page.mastery_figure import validity_by_share
from workers.modelling.evaluation.page.mastery_rows import (
    MASTERY_HEADS,
    MASTERY_NOTE,
    mastery_cells,
)
from workers.modelling.evaluation.page.parameter_sections import (
    concept_parameters,
    item_parameters,
    parameter_warnings,
)
from workers.modelling.evaluation.page.report_data import Evaluation
from workers.reports.figures import calibration_curve, learning_curve
from workers.reports.pieces import LEARNING_LEGEND, table, tiles
from workers.reports.wording import decimal

_MOST_PANELS: Final = 8


def sections(data: Evaluation) -> Iterator[str]:
    """All sections of the page, in their order."""
    measures = {model: of.measures() for model, of in data.predictions.items()}
    yield _tiles(data, measures[data.chosen])
    yield _models(data.chosen, measures)
    yield _mastery(data)
    yield _calibration(data, measures)
    yield _learning(data)
    yield from _histories(data)
    yield concept_parameters(data)
    if data.fitted.parameters.items:
        yield item_parameters(data)
    yield parameter_warnings(data)


def _tiles(data: Evaluation, of: dict[str, float]) -> str:
    tallies = data.tallies
    return tiles(
        ("Best model", data.chosen, f"of {len(data.predictions)} compared, by log loss"),
        ("AUC", decimal(of["auc"]), "a right answer ranked above a wrong one"),
        ("Calibration error", decimal(of["ece"]), "mean gap of prediction and outcome"),
        ("RMSE", decimal(of["rmse"]), f"log loss {decimal(of['log_loss'])} nats"),
        ("Answers", f"{of['responses']:,.0f}", "each predicted before it was seen"),
        ("Learners", f"{tallies.learners:,}", "each predicted by what the others taught"),
        ("Concepts", f"{len(tallies.concepts):,}", "an answer counts for each of its own"),
        ("Items", f"{len(tallies.items):,}", "questions, steps or tasks"),
    )


def _models(chosen: str, measures: dict[str, dict[str, float]]) -> str:
    rows = [
        [
            model,
            *(decimal(of[name], 4) for name in ("auc", "rmse", "ece", "log_loss")),
            f"{of['responses']:,.0f}",
        ]
        for model, of in measures.items()
    ]
    heads = ("Model", "AUC", "RMSE", "ECE", "Log loss", "Answers")
    return (
        '<section><h2>Models</h2><p class="note">Each model was fitted on four fifths of the '
        "learners and then predicted every answer of the other fifth, one step ahead. AUC: higher "
        "is better; the others: lower is.</p>"
        f"{table(heads, rows, of='models', marked=chosen)}</section>"
    )


def _mastery(data: Evaluation) -> str:
    rows = [
        [model, *mastery_cells(of.validity, lowest_of(of.ceilings))]
        for model, of in data.predictions.items()
    ]
    heads = ("Model", *(head.capitalize() for head in MASTERY_HEADS))
    traces = {model: of.trace for model, of in data.predictions.items()}
    return (
        f'<section><h2>What mastery is worth</h2><p class="note">{MASTERY_NOTE}</p>'
        f"{table(heads, rows, of='models', marked=data.chosen)}"
        f'<div class="pair"><figure>{legend(list(data.predictions), observed=False)}'
        f"{validity_by_share('validity', traces)}<figcaption>the dot is at mastery .95"
        "</figcaption></figure></div></section>"
    )


def _calibration(data: Evaluation, measures: dict[str, dict[str, float]]) -> str:
    figures = "".join(
        f"<figure><h3>{escape(model)}</h3>"
        + calibration_curve(
            f"calibration-{place}",
            f"Calibration of {model}",
            of.score,
            of.probability,
            x_label="predicted, and number of answers",
            y_label="right answers",
            small=True,
        )
        + f"<figcaption>off by {100 * measures[model]['ece']:.1f} percentage points on average"
        "</figcaption></figure>"
        for place, (model, of) in enumerate(data.predictions.items())
    )
    return (
        '<section><h2>Calibration</h2><p class="note">On the dotted line a prediction of 70% comes '
        "true in 70 of 100 cases. Dots are tenths of the scale with 95% intervals, bars below "
        "their numbers of answers.</p>"
        f'<div class="thirds">{figures}</div></section>'
    )


def _learning(data: Evaluation) -> str:
    of = data.predictions[data.chosen]
    concept = np.asarray(of.concept, dtype=np.str_)
    shown = [concept_id for concept_id, _ in Counter(of.concept).most_common(_MOST_PANELS)]
    panels = []
    for place, concept_id in enumerate(shown):
        rows = concept == concept_id
        svg = learning_curve(
            f"learning-{place}",
            concept_id,
            of.attempt[rows],
            of.score[rows],
            of.probability[rows],
        )
        panels.append(f"<figure><h3>Concept {escape(concept_id)}</h3>{svg}</figure>")
    return (
        '<section><h2>Learning curves</h2><p class="note">Share of right answers at the first, '
        "second, third … attempt at a concept, and what was predicted before each of them. Later "
        "attempts come from those who practise most. An answer on several concepts stands with the "
        "first.</p>"
        f"{legend(list(data.predictions), observed=True)}"
        f"<figure>{learning_of_all('learning', data.predictions)}</figure>"
        f'<h3 class="apart">The {len(shown)} concepts with most answers, predicted by '
        f"{escape(data.chosen)}</h3>{LEARNING_LEGEND}"
        f'<div class="panels">{"".join(panels)}</div></section>'
    )


def _histories(data: Evaluation) -> Iterator[str]:
    groups = {model: by_history(of) for model, of in data.predictions.items()}
    if not groups[data.chosen]:
        return
    yield (
        '<section><h2>By length of history</h2><p class="note">How good predictions are after so '
        "many answers of a learner. Where predictions are few, the calibration error "
        "is partly chance.</p>"
        f"{legend(list(groups), observed=False)}"
        f'<div class="pair"><figure>{by_length("auc", "AUC by length of history", "auc", groups)}'
        "</figure><figure>"
        f"{by_length('ece', 'Calibration error by length of history', 'ece', groups)}"
        "</figure></div></section>"
    )
