"""What is to be known of fitted parameters, as JSON: it is stored with their version."""

from typing import Any

import orjson

from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.ceilings import ceilings_of
from workers.modelling.calibration.merging import Merged
from workers.modelling.calibration.steps import scales_to_fit
from workers.modelling.judging.predicted import Predicted
from workers.modelling.judging.reach import UNSEEN, out_of_reach, slow_warning
from workers.modelling.judging.residuals import Fit, fit_of_concepts, fit_of_items


def diagnostics(answers: Answers, found: Merged, predicted: Predicted) -> dict[str, Any]:
    """List log likelihood in nats, fit and mastery of each concept, fit of each item, warnings.

    Args:
        answers: all.
        found: what was fitted.
        predicted: the answers of held-out learners.
    """
    concepts = fit_of_concepts(answers, predicted)
    items = fit_of_items(answers, predicted)
    names = dict.fromkeys([*found.log_likelihood, *concepts])
    ceilings = ceilings_of(found.parameters, names)
    unreachable = out_of_reach(found.parameters)
    slow = slow_warning(found.parameters, unreachable)
    item_names = dict.fromkeys([*found.item_errors, *items])
    document = {
        "learners": answers.learners,
        "responses": answers.score.size,
        "scales": [answers.scales[scale] for scale in scales_to_fit(answers)],
        "log_likelihood": sum(found.log_likelihood.values()),
        "concepts": {
            name: {
                "log_likelihood": found.log_likelihood.get(name),
                "mastery_ceiling": ceilings[name],
                "mastery_within_reach": _place(name, found) not in unreachable,
                **(_document(concepts[name]) if name in concepts else {}),
            }
            for name in names
        },
        "items": {
            name: {
                **(_short(items[name]) if name in items else {}),
                **(
                    {"standard_errors": found.item_errors[name]}
                    if name in found.item_errors
                    else {}
                ),
            }
            for name in item_names
        },
        "warnings": found.warnings if slow is None else [*found.warnings, slow],
    }
    # What is not finite is null, as JSON has it.
    told: dict[str, Any] = orjson.loads(orjson.dumps(document))
    return told


def _place(concept: str, found: Merged) -> str:
    """The name under which `out_of_reach` lists a concept."""
    return concept if concept in found.parameters.concepts else UNSEEN


def _short(fit: Fit) -> dict[str, Any]:
    """Of items there are many."""
    return {"held_out_answers": fit.answers, "infit": round(fit.infit, 4)}


def _document(fit: Fit) -> dict[str, Any]:
    return {
        "held_out_answers": fit.answers,
        "infit": fit.infit,
        "residual": fit.residual,
        "log_loss": fit.log_loss,
    }
