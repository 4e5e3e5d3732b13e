"""`practice.job.requested.v1`: a request for a long job."""

from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from contracts.claims import Claims
from contracts.envelope import CloudEvent, Message
from contracts.primitives import Uuid

JobKind = Literal["calibrate", "rebuild", "verify", "reconcile"]


class JobData(Message):
    """Kind and parameters of the job, and the caller's claims."""

    job_id: Uuid = Field(description="The idempotency key.")
    kind: JobKind
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="By kind.")
    claims: Claims
    token: str | None = Field(
        default=None, description="The JWT of the claims; required when JWT_MODE=verify."
    )


class JobRequested(CloudEvent[JobData]):
    """Asks for a long piece of work; the role of the one who asks must allow it."""

    TYPE: ClassVar[str] = "practice.job.requested.v1"

    type: Literal["practice.job.requested.v1"]
    data: JobData
