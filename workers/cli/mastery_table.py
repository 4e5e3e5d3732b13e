"""Show the validity of mastery as a table on the terminal."""

from collections.abc import Iterable

from rich.table import Table

from workers.modelling.evaluation.page.mastery_rows import (
    MASTERY_HEADS,
    MASTERY_NOTE,
    mastery_cells,
)
from workers.modelling.judging.validity import Validity


def mastery_table(rows: Iterable[tuple[str, Validity, float]]) -> Table:
    """Make a table that fits 80 columns.

    Args:
        rows: label, measures and lowest ceiling of each row; see `mastery_cells`.
    """
    table = Table(
        title="Validity of mastery",
        title_justify="left",
        caption=MASTERY_NOTE,
        caption_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    for head in MASTERY_HEADS:
        table.add_column(head, justify="right", no_wrap=True)
    for head, validity, ceiling in rows:
        table.add_row(head, *mastery_cells(validity, ceiling))
    return table
