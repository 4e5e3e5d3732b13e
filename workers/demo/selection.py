"""Select a part of the data for a figure."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.demo.report_data import Predictions


def evenly(size: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` evenly spaced indices in [0, size), first and last included."""
    if size <= most:
        return np.arange(size)
    return np.linspace(0, size - 1, most).round().astype(np.int64)


def concepts_by_use(predictions: Predictions, order: Sequence[str], most: int) -> list[str]:
    """Return the concepts with the most answers.

    Args:
        predictions: all predictions.
        order: order of the result; concepts not in it come last.
        most: largest number of concepts.
    """
    count = Counter(predictions.concept_id)
    place = {concept_id: n for n, concept_id in enumerate(order)}
    often = [concept_id for concept_id, _ in count.most_common(most)]
    return sorted(often, key=lambda concept_id: place.get(concept_id, len(place)))
