"""The text of a table."""

from collections.abc import Sequence
from typing import NamedTuple


class Rows(NamedTuple):
    """Heads and rows of a table, plain text.

    Args:
        heads: one for each column.
        rows: a cell for each column; the first cell heads its row.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
