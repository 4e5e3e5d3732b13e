"""The recipes of knowledge tracing alone: `bkt`, `bkt-forgets` and `kt-idem`."""

import numpy as np

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.modelling.calibration.bkt.fit import BktFit, fit_bkt
from workers.modelling.calibration.bkt.kt_idem import fit_kt_idem
from workers.modelling.calibration.bkt.mastery import bkt_of, mastery_parameters, mastery_warnings
from workers.modelling.calibration.fitted import Fitted, by_concept
from workers.modelling.calibration.table import Table, answered_concepts


def bkt(table: Table) -> Fitted:
    """Fit knowledge tracing without forgetting, with mastery within reach."""
    return _fitted(table, fit_bkt(table, forgets=False, reachable=True))


def bkt_forgets(table: Table) -> Fitted:
    """Fit knowledge tracing with forgetting."""
    return _fitted(table, fit_bkt(table, forgets=True))


def kt_idem(table: Table) -> Fitted:
    """Fit knowledge tracing with forgetting, and guess and slip of each item."""
    fit = fit_kt_idem(table, fit_bkt(table, forgets=True))
    items = {
        table.items[at]: ItemParameters(guess=float(fit.guess[at]), slip=float(fit.slip[at]))
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }
    return Fitted(
        Parameters(
            default=bkt_of(fit.parameters.mean(axis=1)),
            concepts={
                name: ConceptParameters(bkt_of(fit.parameters[:, at]))
                for at, name in answered_concepts(table)
            },
            items=items,
        ),
        by_concept(table, fit.log_likelihood),
        mastery_warnings(table, fit.parameters),
    )


def _fitted(table: Table, fit: BktFit) -> Fitted:
    mastery = mastery_parameters(table, fit.parameters)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts={
                name: ConceptParameters(parameters) for name, parameters in mastery.own.items()
            },
        ),
        by_concept(table, fit.log_likelihood),
        [
            *mastery_warnings(table, fit.parameters),
            *(
                f"concept {name!r}: the fit did not converge"
                for at, name in answered_concepts(table)
                if not fit.converged[at]
            ),
        ],
    )
