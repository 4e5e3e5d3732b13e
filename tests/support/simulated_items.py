"""Draw answers from known items."""

import numpy as np

from tests.support.item_banks import bank_of
from workers.modelling.calibration.irt.bank import Item
from workers.modelling.calibration.irt.response_data import Floats, ResponseData


def drawn(items: list[Item], theta: Floats, seed: int, missing: float = 0.0) -> ResponseData:
    """Draw each person's answer to each item, with a share missing at random."""
    draw = np.random.default_rng(seed)
    score = np.empty((theta.size, len(items)))
    for group in bank_of(items).groups:
        reached = np.cumsum(np.exp(group.log_curves(theta)), axis=1)[:, :-1]
        luck = draw.random((group.items.size, 1, theta.size))
        score[:, group.items] = ((luck > reached).sum(axis=1) / group.steps).T
    person, item = np.nonzero(draw.random(score.shape) >= missing)
    return ResponseData(person, item, score[person, item], *score.shape)
