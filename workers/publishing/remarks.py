"""Add the fields of a mastery event that follow from its other numbers. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from workers.estimation.ability import AbilityEstimate
from workers.estimation.person_fit import UNUSUAL

MANY_ATTEMPTS: Final = 10
"""Answers on a concept after which a learner without mastery spins their wheels: Beck & Gong
(2013), "Wheel-spinning: students who fail to master a skill", AIED 16, 431-440."""


def with_remarks(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a mastery event with `interval`, `unusual_answers`, `wheel_spinning`.

    Subscribers then need not compute them. The flags are there only where they are true.

    Args:
        data: the data of a `practice.mastery.changed.v1`, with `ability`, `attempts`, `mastered`.
    """
    ability = data["ability"]
    low, high = AbilityEstimate(ability["theta"], ability["standard_error"]).interval
    made = {**data, "ability": {**ability, "interval": {"low": low, "high": high}}}
    if ability.get("person_fit", 0.0) < UNUSUAL:
        made["unusual_answers"] = True
    if data["attempts"] >= MANY_ATTEMPTS and not data["mastered"]:
        made["wheel_spinning"] = True
    return made
