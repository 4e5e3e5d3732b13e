"""What a job may be told, by its kind."""

from typing import Any, Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.jobs import JobKind
from contracts.primitives import Identifier
from workers.admission.reasons import reason_of
from workers.modelling.calibration_run.request import DEFAULT_MODEL, Activate, Request


class Parameters(BaseModel):
    """Base of all: a name nobody knows is refused, for it is a mistake with consequences."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class OfLearners(Parameters):
    """Whom it is about: all learners of the tenant, or one."""

    student_id: Identifier | None = None


class VerifyParameters(OfLearners):
    """Of ``verify``: it changes nothing."""


class RepairParameters(OfLearners):
    """Of ``rebuild`` and ``reconcile``."""

    dry_run: bool = Field(default=False, description="Find out, and change nothing.")


class CalibrateParameters(Parameters):
    """Of ``calibrate``, which is about the whole deployment: parameters belong to no tenant."""

    model: str = Field(default=DEFAULT_MODEL, description="The model that is fitted.")
    activate: Activate = Field(
        default="if-better", description="When the new version becomes the active one."
    )
    dry_run: bool = Field(default=False, description="Find out, and store nothing.")
    note: str = Field(default="", description="What a person should know of the version.")

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        _ = self.request
        return self

    @property
    def request(self) -> Request:
        """What is asked of the calibrator."""
        return Request(self.model, self.activate, self.dry_run, self.note)


_BY_KIND: Final[dict[str, type[Parameters]]] = {
    "verify": VerifyParameters,
    "rebuild": RepairParameters,
    "reconcile": RepairParameters,
    "calibrate": CalibrateParameters,
}


def parameters_of(kind: JobKind, given: dict[str, Any]) -> Parameters:
    """The parameters of a kind.

    Raises:
        ValueError: naming field, value and remedy.
    """
    try:
        orjson.dumps(given)
    except orjson.JSONEncodeError as error:
        raise ValueError(
            f"parameters can't be kept ({error}): write integers of at most 64 bits, and nest less"
        ) from None
    try:
        return _BY_KIND[kind].model_validate(given)
    except ValidationError as error:
        raise ValueError(reason_of(error, below="parameters")) from None
