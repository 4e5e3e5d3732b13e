"""The result of a fit: parameters of the engine with their diagnostics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.estimation.parameters import Parameters
from workers.modelling.calibration.table import Floats, Table, answered_concepts


@dataclass(frozen=True)
class Fitted:
    """Fitted parameters and their diagnostics.

    Args:
        parameters: the fitted parameters.
        log_likelihood: one-step-ahead log likelihood of each concept's answers, nats.
        warnings: one sentence per problem of the fit.
        item_errors: standard errors of items by item id and parameter name; None where an error
            is undefined; empty if the model gives none.
    """

    parameters: Parameters
    log_likelihood: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    item_errors: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


def by_concept(table: Table, values: Floats) -> dict[str, float]:
    """Name the values of the answered concepts.

    Args:
        table: the responses.
        values: one value per concept, shape (concepts,).
    """
    return {name: float(values[at]) for at, name in answered_concepts(table)}
