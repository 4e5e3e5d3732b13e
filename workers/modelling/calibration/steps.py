"""The steps of a calibration.

A step is a pure function of the answers and of the results of earlier steps. Steps that do not need
each other may run at the same time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from workers.modelling.calibration.ability.fit import fit_ability
from workers.modelling.calibration.combined.fit import fit_part, part_count, without_part
from workers.modelling.calibration.combined.recipe import combined_from_parts
from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.calibration.packing import packed, packed_fit, unpacked
from workers.modelling.calibration.table import Table

FEWEST: Final = 300
"""Number of answers below which a scale is not fitted by itself and shares the parameters of any
scale."""

_ABILITY, _PART, _FIT = "ability", "part", "fit"


@dataclass(frozen=True)
class Step:
    """A step of a calibration.

    Args:
        name: kind of the step, and number of the scale.
        needs: names of the steps whose documents it reads.
    """

    name: str
    needs: tuple[str, ...] = ()


def scales_to_fit(facts: Facts) -> list[int]:
    """List the scales to fit, most answers first; empty if there is nothing to fit."""
    counts = facts.answers_to_fit
    order = sorted(range(len(counts)), key=lambda scale: (-counts[scale], facts.scales[scale]))
    return [scale for place, scale in enumerate(order) if counts[scale] >= (FEWEST if place else 1)]


def steps_of(model: str, facts: Facts) -> list[Step]:
    """List all steps of a calibration in a possible order.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        facts: figures about all answers.
    """
    steps = []
    for scale in scales_to_fit(facts):
        if model != COMBINED:
            steps.append(Step(fit_name(scale)))
            continue
        ability = Step(f"{_ABILITY} {scale}")
        numbers = range(part_count(facts.learners_to_fit[scale]))
        parts = [Step(f"{_PART}-{number} {scale}", (ability.name,)) for number in numbers]
        needs = (ability.name, *(part.name for part in parts))
        steps += [ability, *parts, Step(fit_name(scale), needs)]
    return steps


def fit_name(scale: int) -> str:
    """Name the step that fits a scale; `packing.unpacked_fit` reads its result."""
    return f"{_FIT} {scale}"


def is_fit(step: Step) -> bool:
    """Return True if `fit_name` gave the step its name."""
    return step.name.startswith(f"{_FIT} ")


def compute(
    model: str, step: Step, table_of: Callable[[int], Table], done: Mapping[str, str]
) -> str:
    """Run a step.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        step: one of `steps_of`.
        table_of: makes the table of a scale.
        done: documents of the needed steps by name.

    Returns:
        The step's document.

    Raises:
        ValueError: a document is from another version of the engine.
    """
    kind, _, scale = step.name.partition(" ")
    table = table_of(int(scale))
    needed = [unpacked(done[name]) for name in step.needs]
    if kind == _ABILITY:
        return packed(fit_ability(table))
    if kind.startswith(_PART):
        others = without_part(table, int(kind[len(_PART) + 1 :]))
        # A fit takes its time, and needs the others alone.
        del table
        return packed(fit_part(others, needed[0]))
    if model == COMBINED:
        ability, *parts = needed
        return packed_fit(combined_from_parts(table, ability, parts))
    return packed_fit(MODELS[model](table))
