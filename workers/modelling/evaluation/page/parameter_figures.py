"""Histograms of fitted parameters."""

from collections.abc import Collection, Iterable

from workers.estimation.items import ItemParameters
from workers.estimation.parameters import ConceptParameters
from workers.modelling.evaluation.page.parameter_rows import concept_values, item_values
from workers.reports.figures import histogram
from workers.reports.svg import Plot


def concept_histograms(concepts: Iterable[ConceptParameters]) -> dict[str, Plot]:
    """Draw the distribution of each parameter over concepts, by name of the parameter."""
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
        for of in concept_values(concepts)
    }


def item_histograms(items: Collection[ItemParameters]) -> dict[str, Plot]:
    """Draw the distribution of each parameter over items, by name of the parameter."""
    return {
        of.label: histogram(
            f"item-{of.label}",
            f"Distribution of {of.label}",
            of.values,
            width=of.width,
            x_label=of.label,
            y_label="items",
        )
        for of in item_values(items)
    }
