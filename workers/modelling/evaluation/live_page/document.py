"""Write the measures of stored predictions as JSON."""

from collections.abc import Mapping
from typing import Any

from workers.common.times import iso
from workers.ledger.predictions import Selection
from workers.modelling.evaluation.live import LIMITS, Live, LiveMeasures, Span, drifting


def live_document(
    live: Live, selection: Selection, ceilings: Mapping[str, float]
) -> dict[str, Any]:
    """Return all measures, named as in `mastery evaluate FILE --json`; null if not defined.

    Args:
        live: the predictions.
        selection: the tenant and time that select them.
        ceilings: ceilings of concepts under the active parameters, in (0, 1]; empty if unknown.
    """
    concepts = live.by_concept()
    whole = live.whole()
    return {
        "tenant": selection.tenant_id,
        "since": None if selection.since_us is None else iso(selection.since_us),
        "overall": _measures(whole),
        "mastery": {**live.validity.document(), "ceilings": dict(ceilings)},
        "parameters_versions": _all({str(n): of for n, of in live.by_version().items()}),
        "histories": _all(live.by_history()),
        "concepts": _all(concepts),
        "over_time": [_span(span) for span in live.spans()],
        "drift": {"overall": whole.drifts(LIMITS), "concepts": drifting(concepts)},
    }


def _all(measures: Mapping[str, LiveMeasures]) -> dict[str, Any]:
    return {name: _measures(of) for name, of in measures.items()}


def _measures(of: LiveMeasures) -> dict[str, Any]:
    return {
        "auc": of.auc,
        "rmse": of.rmse,
        "ece": of.ece,
        "log_loss": of.log_loss,
        "responses": of.responses,
        "brier": of.brier,
        "bias": of.bias.mean,
        "bias_sigmas": of.bias.over,
        "excess": of.excess.mean,
        "excess_sigmas": of.excess.over,
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "from": iso(span.from_us),
        "until": iso(span.until_us),
        "score": span.score,
        "probability": span.probability,
        **_measures(span.measures),
    }
