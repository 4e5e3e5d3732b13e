"""The page of an evaluation: one HTML file that needs nothing else."""

from typing import Final

from workers.modelling.evaluation.page.figures import colour_of
from workers.modelling.evaluation.page.report_data import Evaluation
from workers.modelling.evaluation.page.sections import sections
from workers.modelling.evaluation.protocol import FOLDS
from workers.reports.page import page

_FOOTER: Final = (
    f"Cross-validated over {FOLDS} folds of learners; every answer is predicted by the engine's "
    "own step from what came before it. Bands and bars are 95% intervals (Wilson 1927). Metrics: "
    "AUC (Hanley &amp; McNeil 1982), RMSE, log loss in nats, expected calibration error over ten "
    "equal-width bins (Naeini et al. 2015). Parameters are fitted on all answers and were not used "
    "for any prediction above them."
)


def render_evaluation(data: Evaluation) -> str:
    """The page as one self-contained HTML document: no network, no script, no outside font."""
    return page(
        "How well the models predict",
        f"Answers of {data.source}, each predicted one step ahead.",
        sections(data),
        _FOOTER,
        data.generated_at,
        colours=map(colour_of, data.predictions),
    )
