"""Parameters as rows of a table."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.modelling.calibration.tallies import Tallies
from workers.reports.rows import Rows
from workers.reports.wording import decimal, percent, signed

_EXTREME: Final = 5


def concept_rows(parameters: Parameters, tallies: Tallies) -> Rows:
    """A row for each concept that has parameters of its own, most answered first."""
    rows: list[list[str]] = []
    heads: list[str] = []
    for concept_id in sorted(parameters.concepts, key=lambda name: -tallies.concepts[name].answers):
        tally = tallies.concepts[concept_id]
        numbers = {
            "Answers": f"{tally.answers:,}",
            "Right": percent(tally.right),
            **_of_concept(parameters.concepts[concept_id]),
        }
        heads = ["Concept", *numbers]
        rows.append([concept_id, *numbers.values()])
    return Rows(heads, rows)


def _of_concept(concept: ConceptParameters) -> dict[str, str]:
    mastery, told = concept.mastery, {}
    if mastery is not None:
        told = {
            "Prior": decimal(mastery.prior),
            "Learn": decimal(mastery.learn),
            "Guess": decimal(mastery.guess),
            "Slip": decimal(mastery.slip),
            "Forget": decimal(mastery.forget),
        }
    if concept.item is not None:
        told["Difficulty"] = signed(concept.item.difficulty)
    if concept.concept_offset is not None:
        told["Spread"] = decimal(math.sqrt(concept.concept_offset.variance), 2)
        told["Drift"] = signed(concept.concept_offset.drift, 3)
    return told


@dataclass(frozen=True)
class Numbers:
    """One parameter of many concepts.

    Args:
        label: its name.
        values: one or more.
        width: of a bin of its histogram.
    """

    label: str
    values: NDArray[np.float64]
    width: float


@dataclass(frozen=True)
class ItemNumbers:
    """One parameter of all items.

    Args:
        label: its name.
        values: in the order of the items.
        low, high: what the items are that have the lowest and the highest.
        width: of a bin of its histogram.
    """

    label: str
    values: NDArray[np.float64]
    low: str
    high: str
    width: float


def concept_numbers(concepts: Iterable[ConceptParameters]) -> list[Numbers]:
    """The parameters by which concepts differ, of all those that have any of their own."""
    columns: dict[str, tuple[list[float], float]] = {}
    for concept in concepts:
        for label, value, width in _numbers_of(concept):
            columns.setdefault(label, ([], width))[0].append(value)
    return [Numbers(label, _array(values), width) for label, (values, width) in columns.items()]


def _numbers_of(concept: ConceptParameters) -> Iterator[tuple[str, float, float]]:
    """Label, value, and width of a bin."""
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


def item_numbers(items: Sequence[ItemParameters]) -> list[ItemNumbers]:
    """The parameters by which items differ: those of ability, or guess and slip."""
    if all(item.guess is not None for item in items):
        return [
            ItemNumbers(
                "guess",
                _array([item.guess for item in items]),
                "Least guessed",
                "Most guessed",
                0.05,
            ),
            ItemNumbers(
                "slip", _array([item.slip for item in items]), "Fewest slips", "Most slips", 0.05
            ),
        ]
    return [
        ItemNumbers(
            "difficulty", _array([item.difficulty for item in items]), "Easiest", "Hardest", 0.25
        ),
        ItemNumbers(
            "discrimination",
            _array([item.discrimination for item in items]),
            "Least telling",
            "Most telling",
            0.05,
        ),
    ]


def extreme_rows(parameters: Parameters, tallies: Tallies) -> dict[str, Rows]:
    """The items at either end of each parameter, by what they are."""
    names = list(parameters.items)
    numbers = item_numbers(list(parameters.items.values()))
    heads = ["Item", "Answers", "Right", *(of.label.capitalize() for of in numbers)]
    ends = {}
    for number in numbers:
        order = np.argsort(number.values, kind="stable")
        for label, places in ((number.high, order[::-1]), (number.low, order)):
            ends[label] = Rows(
                heads,
                [
                    [
                        names[at],
                        f"{tallies.items[names[at]].answers:,}",
                        percent(tallies.items[names[at]].right),
                        *(signed(of.values[at]) for of in numbers),
                    ]
                    for at in places[:_EXTREME].tolist()
                ],
            )
    return ends


def _array(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
