"""Merge the fits of several scales into one set of parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.steps import FEWEST
from workers.modelling.calibration.table import Floats, Ints, Table
from workers.modelling.calibration.tallies import Tallies, Tally

Own = TypeVar("Own")


class Merged(NamedTuple):
    """Parameters of all scales."""

    parameters: Parameters
    log_likelihood: dict[str, float]
    """One-step-ahead log likelihood of each concept's answers, nats."""
    warnings: list[str]
    item_errors: Mapping[str, Mapping[str, float | None]] = MappingProxyType({})
    """Standard errors of items by item id and parameter name, if the fit has them."""


def merged(
    facts: Facts, fits: Mapping[int, Fitted], tallies_by_scale: Mapping[int, Tallies]
) -> Merged:
    """Merge fits of scales.

    A concept or an item of several scales takes the parameters of the scale with most answers on
    it.

    Args:
        facts: figures about all answers.
        fits: fits by scale, the scale with most answers first.
        tallies_by_scale: counts of the answers that each fit saw.
    """
    concepts: dict[str, tuple[int, ConceptParameters]] = {}
    items: dict[str, tuple[int, ItemParameters]] = {}
    log_likelihood: dict[str, float] = {}
    warnings: list[str] = []
    shared: set[str] = set()
    for scale, fitted in fits.items():
        tallies = tallies_by_scale[scale]
        warnings += degenerate(fitted, tallies)
        shared |= _take(concepts, fitted.parameters.concepts, tallies.concepts)
        shared |= _take(items, fitted.parameters.items, tallies.items)
        for name, value in fitted.log_likelihood.items():
            log_likelihood[name] = log_likelihood.get(name, 0.0) + value
    if shared:
        warnings.append(
            f"{len(shared):,} items or concepts are on several scales: each has the parameters of "
            "the scale where it has most answers"
        )
    warnings += _left_out(facts, list(fits))
    commonest = next(iter(fits.values())).parameters
    return Merged(
        replace(
            commonest,
            concepts={name: parameters for name, (_, parameters) in concepts.items()},
            items={name: parameters for name, (_, parameters) in items.items()},
            scales={
                facts.scales[scale]: fitted.parameters.any_scale
                for scale, fitted in fits.items()
                if fitted.parameters.any_scale is not None
            },
        ),
        log_likelihood,
        warnings,
        {
            name: errors
            for fitted in fits.values()
            for name, errors in fitted.item_errors.items()
            if items[name][1] is fitted.parameters.items[name]
        },
    )


def tallies_of(table: Table) -> Tallies:
    """Count answers and scores of a table."""
    by_concept = table.sum_by_concept(lambda _, response: table.score[response])
    by_item = table.sum_by_item(lambda rows: table.score[rows])
    return Tallies(
        table.learners,
        _tallies(table.concepts, table.links_of_concept, by_concept),
        _tallies(table.items, table.responses_of_item, by_item),
    )


def _tallies(names: Sequence[str], answers: Ints, score: Floats) -> dict[str, Tally]:
    columns = zip(names, answers.tolist(), score.tolist(), strict=True)
    return {name: Tally(*counts) for name, *counts in columns}


def _take(
    known: dict[str, tuple[int, Own]], fitted: Mapping[str, Own], tallies: Mapping[str, Tally]
) -> set[str]:
    """Keep parameters that have more answers here than in the scales before.

    Returns:
        Names that were there before.
    """
    shared = known.keys() & fitted.keys()
    for name, parameters in fitted.items():
        count = tallies[name].answers
        if name not in known or known[name][0] < count:
            known[name] = (count, parameters)
    return set(shared)


def _left_out(facts: Facts, fitted: Sequence[int]) -> list[str]:
    return [
        f"scale {facts.scales[scale]!r}: {count} answers are fewer than {FEWEST}, so it has the "
        "parameters of any scale"
        for scale, count in enumerate(facts.answers_to_fit)
        if scale not in fitted
    ]
