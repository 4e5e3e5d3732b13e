"""Group predictions by the number of the learner's earlier answers on the concept."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FROM: Final = (0, 1, 5, 10, 20, 50)

LABELS: Final = ("0", "1-4", "5-9", "10-19", "20-49", "50+")
"""Labels of the groups in their order: ranges of earlier answers on the first concept."""


def group_of(attempts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the group of each prediction.

    Args:
        attempts: number of the predicted answer on its first concept, from 1, shape (n,).

    Returns:
        Indices into `LABELS`, shape (n,).
    """
    return np.searchsorted(np.array(_FROM), attempts - 1, side="right") - 1
