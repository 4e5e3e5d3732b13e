"""The sections of the page about stored predictions, each a piece of HTML."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

import numpy as np

from workers.common.times import from_us
from workers.modelling.calibration.ceilings import ceiling_warning, lowest_of
from workers.modelling.evaluation.histories import Group
from workers.modelling.evaluation.live import LIMITS, Live, LiveMeasures, drifting
from workers.modelling.evaluation.live_page.figures import bias_over_time, loss_over_time
from workers.modelling.evaluation.page.figures import by_length, legend
from workers.modelling.evaluation.page.mastery_figure import validity_by_share
from workers.modelling.evaluation.page.mastery_rows import (
    MASTERY_HEADS,
    MASTERY_NOTE,
    mastery_cells,
)
from workers.reports.figures import calibration_curve
from workers.reports.pieces import table, tiles
from workers.reports.wording import decimal, percent, signed

_HEADS = ("Responses", "AUC", "RMSE", "ECE", "Log loss", "Bias", "Excess", "Fits")


STORED: Final = "stored"
"""Name of the stored mastery in tables and figures."""


def live_sections(live: Live, ceilings: Mapping[str, float]) -> Iterator[str]:
    """All sections of the page, in their order; of at least one prediction."""
    whole = live.whole()
    concepts = live.by_concept()
    yield _tiles(live, whole)
    yield _versions(live, whole)
    yield _mastery(live, ceilings)
    yield _calibration(live)
    yield _time(live)
    yield _histories(live)
    yield _concepts(concepts)


def version_name(version: int) -> str:
    """What the parameters of a version are called."""
    return f"version {version}"


def _tiles(live: Live, whole: LiveMeasures) -> str:
    first, last = (from_us(int(at)).strftime("%d %b %Y") for at in live.recorded_us[[0, -1]])
    return tiles(
        ("AUC", decimal(whole.auc), "a right answer ranked above a wrong one"),
        ("Calibration error", decimal(whole.ece), "mean gap of prediction and outcome"),
        ("RMSE", decimal(whole.rmse), f"log loss {decimal(whole.log_loss)} nats"),
        ("Fits", _fits(whole), f"bias {_points(whole.bias.mean)}"),
        ("Responses", f"{whole.responses:,}", f"recorded {first} to {last}"),
        ("Concepts", f"{len(live.concepts):,}", "a response counts for each of its own"),
    )


def _versions(live: Live, whole: LiveMeasures) -> str:
    rows = [[version_name(version), *_cells(of)] for version, of in live.by_version().items()]
    return (
        '<section><h2>By version of the parameters</h2><p class="note">Each response with the '
        "prediction that was stored when it was recorded, and with its score as it counts now. "
        "Bias: score minus prediction. Excess: log loss minus what the predictions themselves "
        "expect, above 0 where they are too bold, below 0 where too timid.</p>"
        f"{table(('', *_HEADS), [*rows, ['all', *_cells(whole)]], of='versions')}</section>"
    )


def _mastery(live: Live, ceilings: Mapping[str, float]) -> str:
    cells = mastery_cells(live.validity, lowest_of(ceilings))
    warning = ceiling_warning(ceilings)
    return (
        f'<section><h2>What mastery is worth</h2><p class="note">{MASTERY_NOTE} The ceiling is '
        "that of the active parameters; all else counts mastery as it was stored.</p>"
        f"{table(('', *map(str.capitalize, MASTERY_HEADS)), [[STORED, *cells]])}"
        + ("" if warning is None else f'<ul class="warnings"><li>{escape(warning)}</li></ul>')
        + f'<div class="pair"><figure>{validity_by_share("validity", {STORED: live.trace()})}'
        "<figcaption>the dot is at mastery .95</figcaption></figure></div></section>"
    )


def _calibration(live: Live) -> str:
    several = live.versions() if len(np.unique(live.parameters)) > 1 else {}
    small = "".join(
        f"<figure><h3>{escape(version_name(version))}</h3>"
        + calibration_curve(
            f"calibration-{version}",
            f"Calibration of {version_name(version)}",
            live.score[rows],
            live.probability[rows],
            x_label="predicted, and number of responses",
            y_label="right answers",
            small=True,
        )
        + "</figure>"
        for version, rows in several.items()
    )
    whole = calibration_curve(
        "calibration",
        "Calibration",
        live.score,
        live.probability,
        x_label="predicted, and number of responses",
        y_label="right answers",
    )
    return (
        '<section><h2>Calibration</h2><p class="note">On the dotted line a prediction of 70% comes '
        "true in 70 of 100 cases. Dots are tenths of the scale with 95% intervals, bars below "
        f'their numbers of responses.</p><div class="pair"><figure>{whole}</figure></div>'
        f'<div class="thirds">{small}</div></section>'
    )


def _time(live: Live) -> str:
    spans = live.spans()
    changes = _changes(live)
    return (
        '<section><h2>Over time</h2><p class="note">Responses in the order in which they were '
        "recorded. Grey: a bias that is of no importance. Bars: 95% intervals. Below, log loss "
        "(line) and what the predictions themselves expect it to be (dashes): where they part, "
        "predictions are too bold or too timid.</p>"
        f"<figure>{bias_over_time(spans, changes)}</figure>"
        f"<figure>{loss_over_time(spans, changes)}</figure></section>"
    )


def _changes(live: Live) -> list[tuple[int, str]]:
    """From which response on other parameters predict; the first dozen times."""
    at = np.flatnonzero(np.diff(live.parameters)) + 1
    return [(int(k), version_name(int(live.parameters[k]))) for k in at[:12]]


def _histories(live: Live) -> str:
    groups = {
        version_name(version): _groups(live.by_history(rows))
        for version, rows in live.versions().items()
    }
    of = "earlier answers on the concept"
    rows = [[label, *_cells(one)] for label, one in live.by_history().items()]
    return (
        '<section><h2>By length of history</h2><p class="note">How good predictions are after so '
        "many answers of the learner on the concept. Where predictions are few, the calibration "
        "error is partly chance.</p>"
        f"{legend(list(groups), observed=False)}"
        f'<div class="pair"><figure>'
        f"{by_length('auc', 'AUC by length of history', 'auc', groups, of)}</figure><figure>"
        f"{by_length('ece', 'Calibration error by length of history', 'ece', groups, of)}"
        f"</figure></div>{table(('Answers before', *_HEADS), rows)}</section>"
    )


def _groups(measures: dict[str, LiveMeasures]) -> list[Group]:
    return [Group(label, of.responses, of.auc, of.ece) for label, of in measures.items()]


def _concepts(concepts: dict[str, LiveMeasures]) -> str:
    odd = drifting(concepts)
    text = (
        "Predictions of every concept fit what happened, as far as there are responses enough to "
        "tell."
        if not odd
        else f"Predictions of {len(odd):,} of {len(concepts):,} concepts do not fit what happened: "
        f"{escape(_listed(odd))}."
    )
    rows = [[name, *_cells(of, fits=name not in odd)] for name, of in concepts.items()]
    return (
        f'<section><h2>Concepts</h2><p class="note">{text}</p>'
        f"{table(('Concept', *_HEADS), rows, of='concepts')}</section>"
    )


def _listed(names: Sequence[str]) -> str:
    most = 20
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if names[most:] else "")


def _cells(of: LiveMeasures, *, fits: bool | None = None) -> list[str]:
    return [
        f"{of.responses:,}",
        *(decimal(value, 4) for value in (of.auc, of.rmse, of.ece, of.log_loss)),
        _points(of.bias.mean),
        signed(of.excess.mean, 3),
        _fits(of) if fits is not False else "no",
    ]


def _fits(of: LiveMeasures) -> str:
    if np.isnan(of.bias.over):
        return decimal(float("nan"))
    return "no" if of.drifts(LIMITS) else "yes"


def _points(share: float) -> str:
    text = percent(abs(share), 1)
    return ("+" if share > 0.0 else "\N{MINUS SIGN}" if share < 0.0 else "") + text
