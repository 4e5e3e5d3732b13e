"""The job ``calibrate``: fits parameters to the log of all tenants, as a new version."""

from typing import Any, Final, Self
from uuid import UUID, uuid5

from pydantic import Field, model_validator

from workers.modelling.calibration_run.calibrator import Calibrator
from workers.modelling.calibration_run.request import DEFAULT_MODEL, Activate, Request
from workers.operations.jobs.kinds.kind import Kind, Parameters, Report, Servers
from workers.operations.jobs.record import JobKey

_RUNS: Final = UUID("6d617374-6572-4579-8000-63616c696272")


class CalibrateParameters(Parameters):
    """The parameters of the job; the fitted ones belong to no tenant."""

    model: str = Field(default=DEFAULT_MODEL, description="The model that is fitted.")
    activate: Activate = Field(
        default="if-better", description="When the new version becomes the active one."
    )
    dry_run: bool = Field(default=False, description="Find out, and store nothing.")
    note: str = Field(default="", description="What a person should know of the version.")

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        _ = self.request
        return self

    @property
    def request(self) -> Request:
        """The request to the calibrator.

        Raises:
            ValueError: the model is unknown, or the note is not one short line.
        """
        return Request(self.model, self.activate, self.dry_run, self.note)


def run_of(key: JobKey) -> str:
    """Return the id of a job's calibration run: always the same, so that a new worker resumes."""
    return str(uuid5(_RUNS, f"{len(key.tenant_id)}:{key.tenant_id}{key.job_id}"))


async def _calibrate(
    servers: Servers, key: JobKey, parameters: CalibrateParameters, report: Report
) -> dict[str, Any]:
    """Calibrate; the result names no item or concept, which may be those of another tenant."""
    calibrator = Calibrator(ledger=servers.ledger, retrying=servers.retrying)
    calibrated = await calibrator.calibrate(
        parameters.request, report, run_id=run_of(key), by="job"
    )
    return {
        "version": calibrated.version,
        "active": calibrated.active,
        "compared_with": calibrated.compared_with,
        "learners": calibrated.learners,
        "responses": calibrated.responses,
        "warnings": len(calibrated.diagnostics["warnings"]),
        "decision": calibrated.decision.document(),
        "held_out": calibrated.comparison.document(),
        "dry_run": parameters.dry_run,
    }


KIND: Final = Kind(
    "Fits parameters to the log of all tenants, as a new version (docs/calibration.md).",
    CalibrateParameters,
    _calibrate,
    of_all_tenants=True,
)
