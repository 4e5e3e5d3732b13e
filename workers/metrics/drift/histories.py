"""Groups of predictions by how often the learner had answered on the concept before."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_FROM: Final = (0, 1, 5, 10, 20, 50)

LABELS: Final = ("0", "1-4", "5-9", "10-19", "20-49", "50+")
"""Of the groups, in their order: earlier answers of the learner on the concept named first."""


def group_of(attempts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each prediction.

    Args:
        attempts: number of the answer that was predicted, from 1.

    Returns:
        Places in `LABELS`.
    """
    return np.searchsorted(np.array(_FROM), attempts - 1, side="right") - 1
