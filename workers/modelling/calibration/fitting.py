"""Fit a model to logs of answers: one recipe per model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.bkt.recipe import bkt, bkt_forgets, kt_idem
from workers.modelling.calibration.combined.recipe import combined, irt
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.irt.recipe import marginal
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import Table

IN_STEPS: Final = frozenset({"graded", "partial-credit"})
"""Models that equal the 2PL if every score is 0 or 1."""
COMBINED: Final = "bkt-irt"
"""The default recipe: mastery by knowledge tracing, ability by IRT, predictions by both."""


def _classical(_: Table) -> Fitted:
    return Fitted(Parameters())


MODELS: Final[Mapping[str, Callable[[Table], Fitted]]] = MappingProxyType(
    {
        COMBINED: combined,
        "classical": _classical,
        "bkt": bkt,
        "bkt-forgets": bkt_forgets,
        "kt-idem": kt_idem,
        "1pl": partial(marginal, model="1PL"),
        "2pl": partial(marginal, model="2PL"),
        "3pl": partial(marginal, model="3PL"),
        "4pl": partial(marginal, model="4PL"),
        "graded": partial(marginal, model="graded"),
        "partial-credit": partial(marginal, model="partial_credit"),
        "irt": irt,
    }
)
"""Recipes by model name: the default first, then from the simplest to the most complex."""


def fit(model: str, logs: Iterable[Sequence[Response]]) -> Fitted:
    """Fit a model to whole logs of answers on one scale.

    Args:
        model: one of `MODELS`.
        logs: one log per learner, each in the learner's order.

    Raises:
        ValueError: the model is unknown, or there is no answer.
    """
    return fit_table(model, table_of(logs)[0])


def fit_table(model: str, table: Table) -> Fitted:
    """Fit a model to a table of answers.

    Raises:
        ValueError: the model is unknown, or there is no answer.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {model!r}")
    if not table.score.size:
        raise ValueError("there is nothing to fit: no answer is given")
    return MODELS[model](table)
