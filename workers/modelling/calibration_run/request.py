"""Request and result of a calibration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from workers.estimation.parameters import Parameters
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.judging.comparing import Comparison
from workers.modelling.judging.deciding import Decision

Activate = Literal["if-better", "always", "never"]
"""Rule by which a new version becomes active."""

DEFAULT_MODEL: Final = COMBINED
LONGEST_NOTE: Final = 1_000
"""Largest number of characters of a note."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to calibrate.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        activate: rule by which the new version becomes active.
        dry_run: True to store and activate nothing.
        note: a remark for people, one line of at most 1000 characters.

    Raises:
        ValueError: the model is unknown, or the note is not such a line.
    """

    model: str = DEFAULT_MODEL
    activate: Activate = "if-better"
    dry_run: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model is {self.model!r}: choose one of {', '.join(MODELS)}")
        if len(self.note) > LONGEST_NOTE or not self.note.isprintable():
            raise ValueError(
                f"note must be one line of at most {LONGEST_NOTE} characters: shorten it"
            )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Result of a calibration.

    Args:
        run: UUID of the run.
        version: the new version; None after a dry run.
        active: True if the new version became active.
        compared_with: version of the comparison: the active one, or the built-in one if the active
            one was fitted under older formulas.
        learners: number of learners whose answers were read.
        responses: number of answers.
        comparison: comparison on held-out learners.
        decision: decision of the rule `if-better`, with its reason.
        diagnostics: diagnostics as JSON, stored with the version.
        parameters: the fitted parameters.
    """

    run: str
    version: int | None
    active: bool
    compared_with: int
    learners: int
    responses: int
    comparison: Comparison
    decision: Decision
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
