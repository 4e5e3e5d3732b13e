"""Response data as triples of person, item and score; a missing answer is absent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ResponseData:
    """All answers on one scale, in any order; a person may answer an item more than once.

    Args:
        person: person of each answer, 0 to persons - 1.
        item: item of each answer, 0 to items - 1.
        score: score of each answer, in [0, 1].
        persons: number of persons, those without an answer included.
        items: number of items, those without an answer included.
        weight: number of persons that each person stands for, above 0; None: 1 each.

    Raises:
        ValueError: the columns differ in length, or a number lies outside its range.
    """

    person: Ints
    item: Ints
    score: Floats
    persons: int
    items: int
    weight: Floats | None = None

    def __post_init__(self) -> None:
        if not self.person.shape == self.item.shape == self.score.shape or self.person.ndim != 1:
            raise ValueError(
                "person, item and score must be columns of one length, not "
                f"{self.person.shape}, {self.item.shape}, {self.score.shape}"
            )
        for name, column, number in (
            ("person", self.person, self.persons),
            ("item", self.item, self.items),
        ):
            if column.size and (column.min() < 0 or column.max() >= number):
                raise ValueError(
                    f"{name} must lie in 0 to {number - 1}, not {column.min()} to {column.max()}"
                )
        if not ((self.score >= 0.0) & (self.score <= 1.0)).all():
            raise ValueError("score must lie in [0, 1] and be no NaN")
        if self.weight is not None and (
            self.weight.shape != (self.persons,)
            or not (np.isfinite(self.weight) & (self.weight > 0.0)).all()
        ):
            raise ValueError("weight must be finite, above 0 and one for each person")

    @property
    def weights(self) -> Floats:
        """Number of persons that each person stands for, shape (persons,)."""
        return np.ones(self.persons) if self.weight is None else self.weight
