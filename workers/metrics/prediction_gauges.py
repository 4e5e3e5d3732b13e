"""Gauges of the accuracy of predictions, and a log line for each drift."""

from collections.abc import Iterable, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from workers.metrics.drift.monitor import Drift, Figures, PredictionMonitor
from workers.metrics.drift.windows import Measures

_log = structlog.get_logger(__name__)

_MEASURES = {
    "auc": "Chance that a right answer was given the higher prediction than a wrong one",
    "log_loss": "Mean log loss of the predictions in nats",
    "brier": "Mean squared difference of score and prediction",
    "ece": "Mean gap of score and prediction over ten bins",
    "answers": "Weight of the answers in the window",
}
_KIND = {
    "bias": "mean of score minus prediction",
    "excess": "mean of log loss minus its own expectation, nats",
}


class PredictionGauges(Collector):
    """Gauges of a monitor; register it with a registry.

    The gauges cover this worker's newest answers under the present parameters; NaN without any.

    Args:
        watch: the monitor to show.
        by_concept: also show the gauges whose label is a concept. Learners choose the names of
            concepts, so only operators may read them.
    """

    def __init__(self, watch: PredictionMonitor, *, by_concept: bool) -> None:
        self._watch = watch
        self._by_concept = by_concept

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the current gauges."""
        figures = self._watch.figures()
        version = GaugeMetricFamily(
            "mastery_prediction_parameters_version",
            "Version of the parameters whose predictions these are; 0: none yet.",
        )
        version.add_metric([], figures.parameters_version)
        yield version
        for measure, text in _MEASURES.items():
            whole = GaugeMetricFamily(f"mastery_prediction_{measure}", f"{text}.")
            whole.add_metric([], getattr(figures.whole, measure))
            yield whole
            yield _by("history", "answers on the concept before", measure, text, figures.histories)
            if self._by_concept:
                yield _by("concept", "concept", measure, text, figures.concepts)
        yield from _drift(figures)


def _by(
    label: str, words: str, measure: str, text: str, groups: Mapping[str, Measures]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        f"mastery_prediction_{measure}_by_{label}", f"{text}, by {words}.", labels=[label]
    )
    for name, of in groups.items():
        family.add_metric([name], getattr(of, measure))
    return family


def _drift(figures: Figures) -> Iterable[GaugeMetricFamily]:
    mean = GaugeMetricFamily(
        "mastery_prediction_misfit",
        "; ".join(f"{kind}: {text}" for kind, text in _KIND.items()) + ".",
        labels=["kind"],
    )
    over = GaugeMetricFamily(
        "mastery_prediction_misfit_sigmas",
        "By how many standard errors the misfit exceeds what is tolerated; NaN: too few answers.",
        labels=["kind"],
    )
    drift = GaugeMetricFamily(
        "mastery_prediction_drift",
        "Whether predictions do not fit what happens, over all concepts.",
        labels=["kind"],
    )
    concepts = GaugeMetricFamily(
        "mastery_prediction_drift_concepts",
        "How many concepts' predictions do not fit what happens; the log names them.",
        labels=["kind"],
    )
    for kind, misfit in figures.misfits.items():
        mean.add_metric([kind], misfit.mean)
        over.add_metric([kind], misfit.over)
        drift.add_metric([kind], float(figures.drifts[kind]))
        concepts.add_metric([kind], figures.drifting[kind])
    return mean, over, drift, concepts


def log_drift(drift: Drift) -> None:
    """Log a drift: a warning when it begins, an info line when it ends."""
    tell = _log.warning if drift.began else _log.info
    tell(
        "prediction_drift" if drift.began else "prediction_drift_over",
        kind=drift.kind,
        concept_id=drift.concept_id,
        mean=round(drift.misfit.mean, 4),
        sigmas=round(drift.misfit.over, 1),
        answers=round(drift.answers),
        parameters_version=drift.parameters_version,
    )
