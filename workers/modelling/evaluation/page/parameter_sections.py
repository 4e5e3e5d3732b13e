"""The sections of an evaluation's page that show parameters, each a piece of HTML."""

from html import escape
from typing import Final

from workers.modelling.calibration.degenerate import degenerate
from workers.modelling.evaluation.page.parameter_rows import (
    concept_numbers,
    concept_rows,
    extreme_rows,
    item_numbers,
)
from workers.modelling.evaluation.page.report_data import Evaluation
from workers.reports.figures import histogram
from workers.reports.pieces import table

_MOST_WARNINGS: Final = 12
_SMALL: Final = (330.0, 210.0)

_OF_ABILITY: Final = (
    "Difficulty: mean of its items. Spread: standard deviation of ability on it around ability at "
    "large. Drift: what an answer adds to it. These in logits."
)
_OF_MASTERY: Final = (
    "Prior: known before the first answer. Learn and forget: at each answer. Guess: right though "
    "unknown. Slip: wrong though known."
)


def concept_parameters(data: Evaluation) -> str:
    """A row for each concept."""
    found = concept_rows(data.fitted.parameters, data.tallies)
    if not found.rows:
        return (
            '<section><h2>Concept parameters</h2><p class="note">Nothing is fitted: every concept '
            "has the same parameters, those of the default.</p></section>"
        )
    first = next(iter(data.fitted.parameters.concepts.values()))
    meaning = " ".join(
        text
        for text, has in ((_OF_MASTERY, first.mastery), (_OF_ABILITY, first.concept_offset))
        if has is not None
    )
    return (
        f'<section><h2>Concept parameters</h2><p class="note">Of the model '
        f"{escape(data.chosen)}, fitted on all answers. {meaning}</p>"
        f'<div class="thirds">{_of_concepts(data)}</div>'
        f"{table(found.heads, found.rows, of='concepts')}</section>"
    )


def _of_concepts(data: Evaluation) -> str:
    """How each parameter is distributed over concepts."""
    return "".join(
        f"<figure><h3>{of.label.capitalize()}</h3>"
        + histogram(
            f"concept-{of.label.replace(' ', '-')}",
            f"Distribution of {of.label} over concepts",
            of.values,
            width=of.width,
            x_label=of.label,
            y_label="concepts",
            size=_SMALL,
        )
        + "</figure>"
        for of in concept_numbers(data.fitted.parameters.concepts.values())
    )


def item_parameters(data: Evaluation) -> str:
    """How the parameters of items are distributed, and which lie at the ends."""
    parameters, tallies = data.fitted.parameters, data.tallies
    figures = "".join(
        f"<figure><h3>{of.label.capitalize()}</h3>"
        + histogram(
            f"item-{of.label}",
            f"Distribution of {of.label}",
            of.values,
            width=of.width,
            x_label=of.label,
            y_label="items",
        )
        + "</figure>"
        for of in item_numbers(list(parameters.items.values()))
    )
    ends = "".join(
        f"<div><h3>{label}</h3>{table(of.heads, of.rows)}</div>"
        for label, of in extreme_rows(parameters, tallies).items()
    )
    return (
        f'<section><h2>Item parameters</h2><p class="note">Of the model '
        f"{escape(data.chosen)}, fitted on all answers: "
        f'{len(parameters.items):,} items, and those at either end.</p><div class="pair">'
        f'{figures}</div><div class="pair">{ends}</div></section>'
    )


def parameter_warnings(data: Evaluation) -> str:
    """What to know before these parameters are used."""
    found = [f"<li>{escape(one)}</li>" for one in degenerate(data.fitted, data.tallies)]
    if not found:
        text = '<p class="note">No parameter looks degenerate.</p>'
    else:
        first, rest = found[:_MOST_WARNINGS], found[_MOST_WARNINGS:]
        text = f'<ul class="warnings">{"".join(first)}</ul>'
        if rest:
            text += (
                f"<details><summary>{len(rest):,} more</summary>"
                f'<ul class="warnings">{"".join(rest)}</ul></details>'
            )
    return f"<section><h2>What to look at before use</h2>{text}</section>"
