"""The page about stored predictions: one HTML file that needs nothing else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from workers.common.times import iso
from workers.ledger.predictions import Selection
from workers.modelling.evaluation.live import LIMITS, Live
from workers.modelling.evaluation.live_page.sections import STORED, live_sections, version_name
from workers.modelling.evaluation.page.figures import colour_of
from workers.reports.page import page

_FOOTER: Final = (
    "Every response was predicted before it was seen, by the parameters of that moment; responses "
    "that were voided are left out. Bands and bars are 95% intervals (Wilson 1927; those of the "
    "bias are from the predictions' own variance). Metrics: AUC (Hanley &amp; McNeil 1982), RMSE, "
    "log loss in nats, expected calibration error over ten equal-width bins (Naeini et al. 2015). "
    "Predictions do not fit where bias or excess exceed what is tolerated by "
    f"{LIMITS.alarm} standard errors (Seillier-Moiseiwitsch &amp; Dawid 1993), by more where many "
    "concepts are looked at."
)


def render_live(
    live: Live, selection: Selection, generated_at: datetime, ceilings: Mapping[str, float]
) -> str:
    """Render one self-contained HTML document: no network, no script, no outside font.

    Args:
        live: the predictions, at least one.
        selection: whose they are.
        generated_at: when the page is made.
        ceilings: of concepts under the active parameters, in (0, 1]; empty if not known.
    """
    of = "all tenants" if selection.tenant_id is None else f"tenant {selection.tenant_id}"
    since = "" if selection.since_us is None else f", recorded since {iso(selection.since_us)}"
    return page(
        "How well predictions come true",
        f"Stored predictions of {of}{since}.",
        live_sections(live, ceilings),
        _FOOTER,
        generated_at,
        colours=map(colour_of, (STORED, *map(version_name, live.versions()))),
    )
