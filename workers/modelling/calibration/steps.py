"""The steps of a calibration.

A step is a pure function of the answers and of the results of earlier steps. Steps that do not need
each other may run at the same time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from workers.modelling.calibration.ability.fit import fit_ability
from workers.modelling.calibration.answers import Answers
from workers.modelling.calibration.combined.fit import fit_without_part, part_count
from workers.modelling.calibration.combined.recipe import combined_from_parts
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.calibration.packing import packed, packed_fit, unpacked

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


def answers_to_fit(answers: Answers) -> list[int]:
    """Count the answers of each scale that a fit may see."""
    learner = np.repeat(np.arange(answers.learners), np.diff(answers.begin))
    seen = answers.scale[~answers.held_out[learner]]
    counted: list[int] = np.bincount(seen, minlength=len(answers.scales)).tolist()
    return counted


def _learners_to_fit(answers: Answers, scale: int) -> int:
    learner = np.repeat(np.arange(answers.learners), np.diff(answers.begin))
    seen = (answers.scale == scale) & ~answers.held_out[learner]
    return int(np.unique(learner[seen]).size)


def scales_to_fit(answers: Answers) -> list[int]:
    """List the scales to fit, most answers first; empty if there is nothing to fit."""
    counts = answers_to_fit(answers)
    order = sorted(range(len(counts)), key=lambda scale: (-counts[scale], answers.scales[scale]))
    return [scale for place, scale in enumerate(order) if counts[scale] >= (FEWEST if place else 1)]


def steps_of(model: str, answers: Answers) -> list[Step]:
    """List all steps of a calibration in a possible order.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        answers: all answers.
    """
    steps = []
    for scale in scales_to_fit(answers):
        if model != COMBINED:
            steps.append(Step(fit_name(scale)))
            continue
        ability = Step(f"{_ABILITY} {scale}")
        numbers = range(part_count(_learners_to_fit(answers, scale)))
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


def compute(model: str, step: Step, answers: Answers, done: Mapping[str, str]) -> str:
    """Run a step.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        step: one of `steps_of`.
        answers: all answers.
        done: documents of the needed steps by name.

    Returns:
        The step's document.

    Raises:
        ValueError: a document is from another version of the engine.
    """
    kind, _, scale = step.name.partition(" ")
    table = answers.table(int(scale))
    needed = [unpacked(done[name]) for name in step.needs]
    if kind == _ABILITY:
        return packed(fit_ability(table))
    if kind.startswith(_PART):
        return packed(fit_without_part(table, needed[0], int(kind[len(_PART) + 1 :])))
    if model == COMBINED:
        ability, *parts = needed
        return packed_fit(combined_from_parts(table, ability, parts))
    return packed_fit(MODELS[model](table))
