"""Parameters of the curriculum, fitted to the simulated class of `mastery demo`.

The fit takes too long for a start, so its result is a file of the package:
``python -m workers.dev.demo_parameters`` writes it again.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from workers.common.times import to_us
from workers.demo.classroom import simulate
from workers.demo.curriculum import CONCEPTS, SCALE
from workers.dev.curriculum import item_ids
from workers.estimation.documents import parameters_document
from workers.estimation.learner import Response
from workers.estimation.parameters import CLASSICAL, Parameters

MODEL: Final = "bkt-irt"
NOTE: Final = "mastery dev: fitted to the simulated class of `mastery demo`"

_FILE: Final = Path(__file__).with_name("demo_parameters.json")


def demo_parameters() -> dict[str, Any]:
    """Read the parameters as the ledger stores them."""
    document: dict[str, Any] = orjson.loads(_FILE.read_bytes())
    return document


def class_logs() -> list[list[Response]]:
    """Return the answers of the simulated class, one log per student."""
    logs: defaultdict[str, list[Response]] = defaultdict(list)
    for answer in simulate().answers:
        logs[answer.student_id].append(
            Response(
                answer.response_id,
                answer.session_id,
                answer.item_id,
                answer.concept_ids,
                SCALE,
                float(answer.correct),
                to_us(answer.answered_at),
            )
        )
    return list(logs.values())


def of_curriculum(fitted: Parameters) -> Parameters:
    """Keep what belongs to the curriculum: concepts and items of others stay uncalibrated."""
    items = [item for concept in CONCEPTS for item in item_ids(concept.concept_id)]
    return replace(
        fitted,
        default=CLASSICAL,
        items={item: fitted.items[item] for item in items if item in fitted.items},
        scales={} if fitted.any_scale is None else {SCALE: fitted.any_scale},
        any_scale=None,
    )


def _write() -> None:
    from workers.modelling.calibration.fitting import fit  # noqa: PLC0415  # of a fit alone

    document = parameters_document(of_curriculum(fit(MODEL, class_logs()).parameters))
    _FILE.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    _write()
