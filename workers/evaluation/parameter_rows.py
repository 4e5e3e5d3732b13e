"""Parameters as rows of a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.drawing.wording import decimal, percent
from workers.estimation.items import ItemParameters
from workers.estimation.logistic import sigmoid
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.evaluation.report_data import Tallies

_EXTREME: Final = 5


@dataclass(frozen=True)
class Rows:
    """A table's heads and rows, plain text."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


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
    if isinstance(mastery, BktParameters):
        told = {
            "Prior": decimal(mastery.prior),
            "Learn": decimal(mastery.learn),
            "Guess": decimal(mastery.guess),
            "Slip": decimal(mastery.slip),
            "Forget": decimal(mastery.forget),
        }
    elif mastery is not None:
        told = {
            "Prior": decimal(sigmoid(mastery.prior)),
            "Learn": decimal(mastery.learn),
            "Forget": decimal(mastery.forget),
            "Unknown": _signed(mastery.unknown),
            "Known": _signed(mastery.known),
            "Weight": decimal(mastery.weight, 2),
        }
    if concept.item is not None:
        told["Difficulty"] = _signed(concept.item.difficulty)
    if concept.deviation is not None:
        told["Spread"] = decimal(math.sqrt(concept.deviation.variance), 2)
        told["Drift"] = _signed(concept.deviation.drift, 3)
    return told


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


def item_numbers(items: Sequence[ItemParameters]) -> list[ItemNumbers]:
    """The parameters by which items differ: those of ability, or guess and slip."""
    if all(item.guess is not None for item in items):
        return [
            ItemNumbers("guess", _array([item.guess for item in items]), "", "Most guessed", 0.05),
            ItemNumbers("slip", _array([item.slip for item in items]), "", "Most slips", 0.05),
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
            0.1,
        ),
    ]


def extreme_rows(parameters: Parameters, tallies: Tallies) -> Rows:
    """The items at either end of each parameter."""
    names = list(parameters.items)
    numbers = item_numbers(list(parameters.items.values()))
    rows = []
    for number in numbers:
        order = np.argsort(number.values, kind="stable")
        for label, places in ((number.high, order[::-1]), (number.low, order)):
            for rank, at in enumerate(places[:_EXTREME].tolist() if label else []):
                tally = tallies.items[names[at]]
                rows.append(
                    [
                        label if not rank else "",
                        names[at],
                        f"{tally.answers:,}",
                        percent(tally.right),
                        *(_signed(of.values[at]) for of in numbers),
                    ]
                )
    return Rows(["", "Item", "Answers", "Right", *(of.label.capitalize() for of in numbers)], rows)


def _array(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _signed(value: float, digits: int = 2) -> str:
    return decimal(value, digits).replace("-", "\N{MINUS SIGN}")
