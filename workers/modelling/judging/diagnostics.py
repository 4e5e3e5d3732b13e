"""Diagnostics of fitted parameters as JSON, stored with their version."""

from typing import Any

import orjson

from workers.modelling.calibration.ceilings import ceilings_of
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.merging import Merged
from workers.modelling.calibration.steps import scales_to_fit
from workers.modelling.judging.predicted import Predicted
from workers.modelling.judging.reach import UNSEEN, out_of_reach, slow_warning
from workers.modelling.judging.residuals import Fit, fit_of_concepts, fit_of_items


def diagnostics(facts: Facts, merged: Merged, predicted: Predicted) -> dict[str, Any]:
    """List log likelihood, fit and mastery of each concept, fit of each item, and warnings.

    Args:
        facts: figures about all answers.
        merged: the fitted parameters.
        predicted: predictions of the held-out learners.
    """
    concepts = fit_of_concepts(facts, predicted)
    items = fit_of_items(facts, predicted)
    names = dict.fromkeys([*merged.log_likelihood, *concepts])
    ceilings = ceilings_of(merged.parameters, names)
    unreachable = out_of_reach(merged.parameters)
    slow = slow_warning(merged.parameters, unreachable)
    item_names = dict.fromkeys([*merged.item_errors, *items])
    document = {
        "learners": facts.learners,
        "responses": facts.responses,
        "scales": [facts.scales[scale] for scale in scales_to_fit(facts)],
        "log_likelihood": sum(merged.log_likelihood.values()),
        "concepts": {
            name: {
                "log_likelihood": merged.log_likelihood.get(name),
                "mastery_ceiling": ceilings[name],
                "mastery_within_reach": _place(name, merged) not in unreachable,
                **(_document(concepts[name]) if name in concepts else {}),
            }
            for name in names
        },
        "items": {
            name: {
                **(_short(items[name]) if name in items else {}),
                **(
                    {"standard_errors": merged.item_errors[name]}
                    if name in merged.item_errors
                    else {}
                ),
            }
            for name in item_names
        },
        "warnings": merged.warnings if slow is None else [*merged.warnings, slow],
    }
    # orjson writes null for NaN and infinity.
    finite: dict[str, Any] = orjson.loads(orjson.dumps(document))
    return finite


def _place(concept: str, merged: Merged) -> str:
    """Return the name under which `out_of_reach` lists a concept."""
    return concept if concept in merged.parameters.concepts else UNSEEN


def _short(fit: Fit) -> dict[str, Any]:
    """Write an item's fit in short, since there are many items."""
    return {"held_out_answers": fit.answers, "infit": round(fit.infit, 4)}


def _document(fit: Fit) -> dict[str, Any]:
    return {
        "held_out_answers": fit.answers,
        "infit": fit.infit,
        "residual": fit.residual,
        "log_loss": fit.log_loss,
    }
