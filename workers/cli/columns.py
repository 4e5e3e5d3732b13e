"""Lay out rows as columns of whole values: the same on a terminal and in a pipe."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len

from workers.cli.plain import plain


def columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> Iterator[str]:
    """Yield a line for the heads and one for each row, padded to the widest value and never cut.

    Args:
        heads: names of the columns.
        rows: values, in the order of the heads; control characters become escapes.
        right: heads of the columns that are aligned to the right.
    """
    cells = [list(heads), *([plain(value) for value in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip_longest(*cells, fillvalue="")]
    for line in cells:
        padded = [
            " " * (width - cell_len(value)) + value
            if head in right
            else value + " " * (width - cell_len(value))
            for head, value, width in zip(heads, line, widths, strict=True)
        ]
        yield "  ".join(padded).rstrip()
