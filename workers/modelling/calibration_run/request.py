"""What is asked of a calibration, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from workers.estimation.parameters import Parameters
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.judging.comparing import Comparison
from workers.modelling.judging.deciding import Decision

Activate = Literal["if-better", "always", "never"]
"""When a new version becomes the active one."""

DEFAULT_MODEL: Final = COMBINED
LONGEST_NOTE: Final = 1_000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Args:
        model: one of `workers.modelling.calibration.fitting.MODELS`.
        activate: when the new version becomes the active one.
        dry_run: find out, store and activate nothing.
        note: what a person should know of the version: one line of at most 1000 characters.

    Raises:
        ValueError: if the model is none, or the note no such line.
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
    """What came of it.

    Args:
        run: UUID of the run.
        version: the new version; None after a dry run.
        active: whether it became the active one.
        compared_with: the version that it was compared with: the active one, or the built-in one
            where the active one was fitted under older formulas.
        learners: whose answers were read.
        responses: how many they are.
        comparison: of held-out learners.
        decision: whether the rule `if-better` activates it, and why.
        diagnostics: all that was found out, as JSON; it is stored with the version.
        parameters: what was fitted.
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
