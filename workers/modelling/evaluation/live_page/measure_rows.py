"""Write measures of stored predictions as rows of a table."""

from collections.abc import Container, Mapping

import numpy as np

from workers.modelling.evaluation.live import LIMITS, LiveMeasures
from workers.reports.rows import Rows
from workers.reports.wording import DASH, decimal, percent, signed, thousands

_HEADS = ("Responses", "AUC", "RMSE", "ECE", "Log loss", "Bias", "Excess", "Fits")


def measure_rows(
    head: str, measures: Mapping[str, LiveMeasures], drifting: Container[str] = ()
) -> Rows:
    """Write a row for each group of predictions.

    Args:
        head: head of the first column.
        measures: measures by name of the group.
        drifting: names of groups that do not fit, after correction for the number of groups.
    """
    rows = [
        [
            name,
            thousands(of.responses),
            *(decimal(value, 4) for value in (of.auc, of.rmse, of.ece, of.log_loss)),
            points(of.bias.mean),
            signed(of.excess.mean, 3),
            "no" if name in drifting else fits(of),
        ]
        for name, of in measures.items()
    ]
    return Rows((head, *_HEADS), rows)


def fits(of: LiveMeasures) -> str:
    """Write whether the predictions fit; a dash if there are too few to tell."""
    if np.isnan(of.bias.over):
        return DASH
    return "no" if of.drifts(LIMITS) else "yes"


def points(share: float) -> str:
    """Write a difference of shares as a signed percentage."""
    sign = "+" if share > 0.0 else "\N{MINUS SIGN}" if share < 0.0 else ""
    return sign + percent(abs(share), 1)
