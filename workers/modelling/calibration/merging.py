"""Merge the fits of several scales into one set of parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.calibration.fitted import Fitted
from workers.modelling.calibration.steps import FEWEST, answers_to_fit
from workers.modelling.calibration.table import Floats, Ints
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


def merged(answers: Answers, fits: Mapping[int, Fitted]) -> Merged:
    """Merge fits of scales.

    A concept or an item of several scales takes the parameters of the scale with most answers on
    it.

    Args:
        answers: all answers.
        fits: fits by scale, the scale with most answers first.
    """
    concepts: dict[str, tuple[int, ConceptParameters]] = {}
    items: dict[str, tuple[int, ItemParameters]] = {}
    log_likelihood: dict[str, float] = {}
    warnings: list[str] = []
    shared: set[str] = set()
    for scale, fitted in fits.items():
        tallies = tallies_of(answers, scale)
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
    warnings += _left_out(answers, list(fits))
    commonest = next(iter(fits.values())).parameters
    return Merged(
        replace(
            commonest,
            concepts={name: parameters for name, (_, parameters) in concepts.items()},
            items={name: parameters for name, (_, parameters) in items.items()},
            scales={
                answers.scales[scale]: fitted.parameters.any_scale
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


def tallies_of(answers: Answers, scale: int) -> Tallies:
    """Count answers and scores of a scale, without held-out learners."""
    table = answers.table(scale)
    items, concepts = len(table.items), len(table.concepts)
    return Tallies(
        table.learners,
        _tallies(table.concepts, table.concept, table.score[table.link], concepts),
        _tallies(table.items, table.item, table.score, items),
    )


def _tallies(names: Sequence[str], of: Ints, score: Floats, count: int) -> dict[str, Tally]:
    answers = np.bincount(of, minlength=count).tolist()
    right = np.bincount(of, score, count).tolist()
    return {name: Tally(*counts) for name, *counts in zip(names, answers, right, strict=True)}


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


def _left_out(answers: Answers, fitted: Sequence[int]) -> list[str]:
    return [
        f"scale {answers.scales[scale]!r}: {count} answers are fewer than {FEWEST}, so it has the "
        "parameters of any scale"
        for scale, count in enumerate(answers_to_fit(answers))
        if scale not in fitted
    ]
