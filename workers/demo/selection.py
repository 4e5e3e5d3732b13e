"""What a figure shows where there is too much to show."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.demo.report_data import Predictions


def evenly(size: int, most: int) -> NDArray[np.int64]:
    """Indices of at most so many places, evenly spaced, the first and the last among them."""
    if size <= most:
        return np.arange(size)
    return np.linspace(0, size - 1, most).round().astype(np.int64)


def concepts_by_use(predictions: Predictions, order: Sequence[str], most: int) -> list[str]:
    """The concepts with most answers, at most so many.

    Args:
        predictions: whose concepts are meant.
        order: in which they are to be shown; concepts that it lacks stand last.
        most: how many.
    """
    count = Counter(predictions.concept_id)
    place = {concept_id: n for n, concept_id in enumerate(order)}
    often = [concept_id for concept_id, _ in count.most_common(most)]
    return sorted(often, key=lambda concept_id: place.get(concept_id, len(place)))
