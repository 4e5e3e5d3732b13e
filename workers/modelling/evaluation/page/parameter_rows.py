"""Write fitted parameters as rows of a table."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.modelling.calibration.tallies import Tallies
from workers.reports.rows import Rows
from workers.reports.wording import decimal, percent, signed, thousands

_EXTREME: Final = 5


def concept_rows(parameters: Parameters, tallies: Tallies) -> Rows:
    """Write a row for each concept with parameters of its own, the most answered first."""
    rows: list[list[str]] = []
    heads: list[str] = []
    for concept_id in sorted(parameters.concepts, key=lambda name: -tallies.concepts[name].answers):
        tally = tallies.concepts[concept_id]
        numbers = {
            "Answers": thousands(tally.answers),
            "Right": percent(tally.right),
            **_cells(parameters.concepts[concept_id]),
        }
        heads = ["Concept", *numbers]
        rows.append([concept_id, *numbers.values()])
    return Rows(heads, rows)


def _cells(concept: ConceptParameters) -> dict[str, str]:
    mastery, cells = concept.mastery, {}
    if mastery is not None:
        cells = {
            "Prior": decimal(mastery.prior),
            "Learn": decimal(mastery.learn),
            "Guess": decimal(mastery.guess),
            "Slip": decimal(mastery.slip),
            "Forget": decimal(mastery.forget),
        }
    if concept.item is not None:
        cells["Difficulty"] = signed(concept.item.difficulty)
    if concept.concept_offset is not None:
        cells["Spread"] = decimal(math.sqrt(concept.concept_offset.variance), 2)
        cells["Drift"] = signed(concept.concept_offset.drift, 3)
    return cells


class Values(NamedTuple):
    """One parameter of many concepts or items.

    Args:
        label: name of the parameter.
        values: in the order of the concepts or items that have it, one or more.
        width: width of a bin of its histogram.
    """

    label: str
    values: NDArray[np.float64]
    width: float


def concept_values(concepts: Iterable[ConceptParameters]) -> list[Values]:
    """Collect each parameter of the concepts that have it."""
    columns: dict[str, tuple[list[float], float]] = {}
    for concept in concepts:
        for label, value, width in _values_of(concept):
            columns.setdefault(label, ([], width))[0].append(value)
    return [Values(label, _array(values), width) for label, (values, width) in columns.items()]


def _values_of(concept: ConceptParameters) -> Iterator[tuple[str, float, float]]:
    """Yield label, value and width of a bin."""
    mastery = concept.mastery
    if mastery is not None:
        yield "prior", mastery.prior, 0.05
        yield "learn", mastery.learn, 0.02
        yield "guess", mastery.guess, 0.05
        yield "slip", mastery.slip, 0.05
    if concept.item is not None:
        yield "mean difficulty", concept.item.difficulty, 0.25
    if concept.concept_offset is not None:
        yield "spread", math.sqrt(concept.concept_offset.variance), 0.1


def item_values(items: Collection[ItemParameters]) -> list[Values]:
    """Collect guess and slip if all items have them, else difficulty and discrimination."""
    if all(item.guess is not None for item in items):
        return [
            Values("guess", _array([item.guess for item in items]), 0.05),
            Values("slip", _array([item.slip for item in items]), 0.05),
        ]
    return [
        Values("difficulty", _array([item.difficulty for item in items]), 0.25),
        Values("discrimination", _array([item.discrimination for item in items]), 0.05),
    ]


def extreme_rows(parameters: Parameters, tallies: Tallies) -> dict[str, Rows]:
    """Write the items with the highest and the lowest values of each parameter, by heading."""
    names = list(parameters.items)
    columns = item_values(parameters.items.values())
    heads = ["Item", "Answers", "Right", *(column.label.capitalize() for column in columns)]
    tables = {}
    for column in columns:
        order = np.argsort(column.values, kind="stable")
        for end, places in (("Highest", order[::-1]), ("Lowest", order)):
            rows = [
                [
                    names[at],
                    thousands(tallies.items[names[at]].answers),
                    percent(tallies.items[names[at]].right),
                    *(signed(of.values[at]) for of in columns),
                ]
                for at in places[:_EXTREME].tolist()
            ]
            tables[f"{end} {column.label}"] = Rows(heads, rows)
    return tables


def _array(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
