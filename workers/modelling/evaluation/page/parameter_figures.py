"""Histograms of fitted parameters."""

from collections.abc import Iterable

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters
from workers.modelling.evaluation.page.parameter_rows import concept_numbers, item_numbers
from workers.reports.figures import histogram
from workers.reports.svg import Plot


def concept_histograms(concepts: Iterable[ConceptParameters]) -> dict[str, Plot]:
    """Draw how each parameter is distributed over concepts, by the parameter's name."""
    return {
        of.label: histogram(
            f"concept-{of.label.replace(' ', '-')}",
            f"Distribution of {of.label} over concepts",
            of.values,
            width=of.width,
            x_label=of.label,
            y_label="concepts",
            size=(330.0, 210.0),
        )
        for of in concept_numbers(concepts)
    }


def item_histograms(items: Iterable[ItemParameters]) -> dict[str, Plot]:
    """Draw how each parameter is distributed over items, by the parameter's name."""
    return {
        of.label: histogram(
            f"item-{of.label}",
            f"Distribution of {of.label}",
            of.values,
            width=of.width,
            x_label=of.label,
            y_label="items",
        )
        for of in item_numbers(list(items))
    }
