"""What is to be known of fitted parameters, as JSON: it is stored with their version."""

from typing import Any

import orjson

from workers.calibration.answers import Answers
from workers.calibration.comparing import Fit, Predicted, fit_of_concepts, fit_of_items
from workers.calibration.merging import Merged
from workers.calibration.steps import scales_to_fit


def diagnostics(answers: Answers, found: Merged, predicted: Predicted | None) -> dict[str, Any]:
    """Log likelihood in nats, fit per concept and item, and warnings.

    Args:
        answers: all.
        found: what was fitted.
        predicted: the answers of held-out learners, which say how well it fits; None: there are
            none.
    """
    concepts = {} if predicted is None else fit_of_concepts(answers, predicted)
    items = {} if predicted is None else fit_of_items(answers, predicted)
    names = dict.fromkeys([*found.log_likelihood, *concepts])
    item_names = dict.fromkeys([*found.item_errors, *items])
    document = {
        "learners": answers.learners,
        "responses": answers.score.size,
        "scales": [answers.scales[scale] for scale in scales_to_fit(answers)],
        "log_likelihood": sum(found.log_likelihood.values()),
        "concepts": {
            name: {
                "log_likelihood": found.log_likelihood.get(name),
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
        "warnings": found.warnings,
    }
    # What is not finite is null, as JSON has it.
    told: dict[str, Any] = orjson.loads(orjson.dumps(document))
    return told


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
