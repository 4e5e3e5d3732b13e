"""Pieces of HTML that pages are made of."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_LONG: Final = 40
"""Rows from which on a table is folded away."""

LEARNING_LEGEND: Final = (
    '<p class="legend"><span><svg viewBox="0 0 26 12" aria-hidden="true"><rect '
    'class="observed-band" width="26" height="12"/><line class="observed" x2="26" y1="6" y2="6"/>'
    '</svg>right answers, with 95% band</span><span><svg viewBox="0 0 26 12" aria-hidden="true">'
    '<line class="predicted" x2="26" y1="6" y2="6"/></svg>predicted</span></p>'
)

Tile = tuple[str, str, str]
"""Label, value, and what it means."""


def tiles(*of: Tile) -> str:
    """The figures that matter most, each in a box."""
    cells = "".join(
        f'<dl class="tile"><dt>{escape(label)}</dt>'
        f'<dd>{escape(value)}<span class="what">{escape(what)}</span></dd></dl>'
        for label, value, what in of
    )
    return f'<section class="tiles" aria-label="Summary">{cells}</section>'


def table(
    heads: Iterable[str],
    rows: Sequence[Sequence[str]],
    *,
    of: str = "rows",
    marked: str | None = None,
) -> str:
    """A table, the first cell of each row its head; a long one is folded away.

    Args:
        heads: of the columns.
        rows: plain text, escaped here.
        of: what the rows are, for the line that unfolds them.
        marked: first cell of the row that stands out.
    """
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        ('<tr class="marked">' if first == marked else "<tr>")
        + f'<th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    whole = (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    if len(rows) >= _LONG:
        return f"<details><summary>All {len(rows)} {escape(of)}</summary>{whole}</details>"
    return whole
