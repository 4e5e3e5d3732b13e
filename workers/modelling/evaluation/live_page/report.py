"""Render the page about stored predictions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from workers.common.times import from_us, iso
from workers.ledger.predictions import Selection
from workers.modelling.calibration.ceilings import ceiling_warning, lowest_of
from workers.modelling.evaluation.histories import Group
from workers.modelling.evaluation.live import LIMITS, Live, Places, drifting
from workers.modelling.evaluation.live_page.figures import bias_over_time, loss_over_time
from workers.modelling.evaluation.live_page.measure_rows import fits, measure_rows, points
from workers.modelling.evaluation.live_page.names import STORED, version_name
from workers.modelling.evaluation.page.figures import by_length, styles_of
from workers.modelling.evaluation.page.mastery_figure import validity_by_share
from workers.modelling.evaluation.page.mastery_rows import MASTERY_NOTE, mastery_rows
from workers.reports.figures import calibration_curve
from workers.reports.page import render_page
from workers.reports.svg import Plot


def render_live(
    live: Live, selection: Selection, generated_at: datetime, ceilings: Mapping[str, float]
) -> str:
    """Render the page as one self-contained HTML document.

    Args:
        live: one or more predictions.
        selection: the tenant and time that select them.
        generated_at: time shown in the footer.
        ceilings: ceilings of concepts under the active parameters, in (0, 1]; empty if unknown.
    """
    whole = live.whole()
    versions = {version_name(version): of for version, of in live.by_version().items()}
    by_concept = live.by_concept()
    odd = drifting(by_concept)
    spans, changes = live.spans(), _changes(live)
    return render_page(
        "modelling/evaluation/live_page/report.html.jinja",
        generated_at,
        alarm=LIMITS.alarm,
        live=live,
        selection=selection,
        since=None if selection.since_us is None else iso(selection.since_us),
        whole=whole,
        fits=fits(whole),
        bias=points(whole.bias.mean),
        days=[from_us(int(at)).strftime("%d %b %Y") for at in live.recorded_us[[0, -1]]],
        versions=measure_rows("", {**versions, "all": whole}),
        version_styles=styles_of(versions),
        mastery=mastery_rows("", [(STORED, live.validity, lowest_of(ceilings))]),
        mastery_note=MASTERY_NOTE,
        warning=ceiling_warning(ceilings),
        validity=validity_by_share("validity", {STORED: live.trace()}),
        calibration=_calibration(live, "calibration", "Calibration"),
        calibration_by_version=_calibration_by_version(live),
        bias_over_time=bias_over_time(spans, changes),
        loss_over_time=loss_over_time(spans, changes),
        history_figures=_history_figures(live),
        histories=measure_rows("Answers before", live.by_history()),
        drifting=odd,
        concepts=measure_rows("Concept", by_concept, odd),
    )


def _calibration(
    live: Live,
    name: str,
    title: str,
    rows: Places | slice = slice(None),
    *,
    small: bool = False,
) -> Plot:
    return calibration_curve(
        name,
        title,
        live.score[rows],
        live.probability[rows],
        x_label="predicted; bars: number of responses",
        y_label="observed share of right answers",
        small=small,
    )


def _calibration_by_version(live: Live) -> dict[str, Plot]:
    """Draw the calibration of each version; empty if there is only one."""
    versions = live.versions()
    if len(versions) == 1:
        return {}
    return {
        version_name(version): _calibration(
            live,
            f"calibration-{version}",
            f"Calibration of {version_name(version)}",
            rows,
            small=True,
        )
        for version, rows in versions.items()
    }


def _changes(live: Live) -> list[tuple[int, str]]:
    """Find the first dozen changes of the parameters; see `bias_over_time`."""
    at = np.flatnonzero(np.diff(live.parameters)) + 1
    return [(int(k), version_name(int(live.parameters[k]))) for k in at[:12]]


def _history_figures(live: Live) -> Sequence[Plot]:
    groups = {
        version_name(version): [
            Group(label, of.responses, of.auc, of.ece)
            for label, of in live.by_history(rows).items()
        ]
        for version, rows in live.versions().items()
    }
    unit = "earlier answers on the concept"
    return (
        by_length("auc", "AUC by number of earlier answers", "auc", groups, unit),
        by_length("ece", "Calibration error by number of earlier answers", "ece", groups, unit),
    )
