"""Render the report of the demonstration as an HTML page and as a table for the terminal."""

from typing import Final

from rich.table import Table

from workers.demo.ability_figures import ability_figures
from workers.demo.concept_rows import concept_rows
from workers.demo.mastery_maps import mastery_maps
from workers.demo.report_data import Measures, ReportData
from workers.demo.selection import concepts_by_use
from workers.reports.figures import calibration_curve, learning_curve
from workers.reports.page import render_page
from workers.reports.svg import Plot
from workers.reports.wording import decimal, percent

_MOST_PANELS: Final = 12


def render_report(data: ReportData) -> str:
    """Render the report as one self-contained HTML document."""
    measures = Measures.of(data)
    truth = measures.truth
    return render_page(
        "demo/report.html.jinja",
        data.generated_at,
        data=data,
        measures=measures,
        learning=_learning_curves(data),
        calibration=calibration_curve(
            "calibration",
            "Calibration of predicted answers",
            data.predictions.score,
            data.predictions.probability,
            x_label="predicted probability of a right answer; bars: number of answers",
            y_label="observed share of right answers",
        ),
        truth_calibration=None
        if truth is None
        else calibration_curve(
            "truth",
            "Estimated mastery against true knowledge",
            truth.known,
            truth.estimate,
            x_label="estimated mastery, P(known); bars: number of student-concept pairs",
            y_label="share that truly knows the concept",
        ),
        maps=mastery_maps(data) if measures.practised else None,
        ability=ability_figures(data.knowledge),
        concepts=concept_rows(data),
    )


def _learning_curves(data: ReportData) -> list[tuple[str, Plot]]:
    """Draw the most answered concepts, each with its title."""
    predictions = data.predictions
    rows_by_concept = predictions.rows_by_concept()
    panels = []
    for place, concept_id in enumerate(
        concepts_by_use(predictions, data.knowledge.concepts, _MOST_PANELS)
    ):
        rows, title = rows_by_concept[concept_id], data.title_of(concept_id)
        plot = learning_curve(
            f"learning-{place}",
            title,
            predictions.attempt[rows],
            predictions.score[rows],
            predictions.probability[rows],
        )
        panels.append((title, plot))
    return panels


def summary_table(data: ReportData) -> Table:
    """Write the figures of the report as a table for the terminal."""
    measures = Measures.of(data)
    quality = measures.predictions
    table = Table(title=data.title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("Responses", f"{data.responses:,}", "each counted once")
    table.add_row("Learners, concepts", f"{measures.learners:,}, {measures.concepts:,}", "")
    table.add_row(
        "Rate", f"{decimal(measures.responses_per_s, 0)}/s", f"{data.duration_s:.1f} s in total"
    )
    table.add_section()
    table.add_row("AUC", decimal(quality.auc, 4), "of predictions one step ahead")
    table.add_row("Log loss", decimal(quality.log_loss, 4), "nats")
    table.add_row("Brier score", decimal(quality.brier, 4), f"RMSE {quality.rmse:.4f}")
    table.add_row("Calibration error", decimal(quality.ece, 4), "ECE, ten bins")
    table.add_row(
        "Mastered", f"{measures.mastered:,}", f"of {measures.practised:,} practised pairs"
    )
    if measures.truth is not None:
        truth = measures.truth
        table.add_section()
        table.add_row(
            "Truth: AUC", decimal(truth.quality.auc, 4), "of mastery against true knowledge"
        )
        table.add_row("Truth: Brier score", decimal(truth.quality.brier, 4), "")
        table.add_row("Truth: calibration error", decimal(truth.quality.ece, 4), "ECE, ten bins")
        if truth.declared:
            table.add_row(
                "Truth: mastered and known",
                percent(truth.declared_known / truth.declared, 1),
                f"{truth.declared_known:,} of {truth.declared:,}",
            )
    if data.facts:
        table.add_section()
        for label, value in data.facts.items():
            table.add_row(label, value, "")
    return table
