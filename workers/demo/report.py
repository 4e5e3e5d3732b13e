"""The report: one HTML file that needs nothing else, and the table for the terminal.

Both are pure functions of `ReportData`.
"""

from typing import Final

from rich.table import Table

from workers.demo.report_data import Measures, ReportData
from workers.demo.sections import sections
from workers.reports.page import page
from workers.reports.wording import decimal, percent

_FOOTER: Final = (
    "Predictions are those stored before each answer was seen; nothing was fitted "
    "afterwards. Bands and bars are 95% intervals (Wilson 1927). Metrics: AUC (Hanley &amp; McNeil "
    "1982), log loss in nats, Brier score (Brier 1950), expected calibration error over ten "
    "equal-width bins (Naeini et al. 2015). Model: Bayesian knowledge tracing (Corbett &amp; "
    "Anderson 1995) and two-parameter logistic ability, expected a posteriori (Bock &amp; Mislevy "
    "1982)."
)


def render_report(data: ReportData) -> str:
    """The report as one self-contained HTML document: no network, no script, no outside font."""
    return page(
        data.title, data.source, sections(data, Measures.of(data)), _FOOTER, data.generated_at
    )


def summary_table(data: ReportData) -> Table:
    """The figures of the report for a terminal."""
    measures = Measures.of(data)
    quality = measures.predictions
    table = Table(title=data.title, title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("Responses", f"{data.responses:,}", "each counted once")
    table.add_row("Learners, concepts", f"{measures.learners:,}, {measures.concepts:,}", "")
    table.add_row(
        "Rate", f"{decimal(measures.responses_per_s, 0)}/s", f"{data.duration_s:.1f} s in all"
    )
    table.add_section()
    table.add_row("AUC", decimal(quality.auc, 4), "of predictions one step ahead")
    table.add_row("Log loss", decimal(quality.log_loss, 4), "nats")
    table.add_row("Brier score", decimal(quality.brier, 4), f"RMSE {quality.rmse:.4f}")
    table.add_row("Calibration error", decimal(quality.ece, 4), "ECE, ten bins")
    table.add_row(
        "Mastered", f"{measures.mastered:,}", f"of {measures.practised:,} practised concepts"
    )
    if measures.truth is not None:
        truth = measures.truth
        table.add_section()
        table.add_row(
            "Truth: AUC", decimal(truth.quality.auc, 4), "of mastery against what is known in truth"
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
