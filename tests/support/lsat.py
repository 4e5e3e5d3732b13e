"""Law School Admission Test, sections 6 and 7: 1,000 examinees on 5 items each, by pattern.

Source: Bock & Lieberman (1970), "Fitting a response model for n dichotomously scored items",
Psychometrika 35, 179-197, table 1. Counts of the patterns 00000, 00001 … 11111.
"""

import numpy as np

from tests.support.item_banks import data_of_table
from workers.modelling.calibration.irt.response_data import ResponseData

LSAT_6 = (
    3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15,
    10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298,
)  # fmt: skip
LSAT_7 = (
    12, 19, 1, 7, 3, 19, 3, 17, 10, 5, 3, 7, 7, 23, 8, 28,
    7, 39, 11, 34, 14, 51, 15, 90, 6, 25, 7, 35, 18, 136, 32, 308,
)  # fmt: skip


def answers(counts: tuple[int, ...]) -> ResponseData:
    """Return one person for each pattern, weighted by the number of examinees who gave it."""
    table = (np.arange(32)[:, None] >> np.arange(4, -1, -1) & 1).astype(np.float64)
    weight = np.array(counts, dtype=np.float64)
    return data_of_table(table[weight > 0.0], weight[weight > 0.0])
