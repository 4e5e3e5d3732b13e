"""The messages of the job sockets: the progress of a job."""

from typing import Annotated, Any, Literal

from pydantic import Field

from contracts.envelope import Message
from contracts.jobs import JobKind
from contracts.primitives import Probability, Uuid

Count = Annotated[int, Field(ge=0)]


class JobState(Message):
    """Kind and status of a job; once it has ended, its result or the problem."""

    kind: JobKind
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    result: dict[str, Any] | None = Field(
        default=None, description="Figures of a job that succeeded; by kind."
    )
    problem: str | None = Field(
        default=None, description="Why the job failed, or who cancelled it."
    )


class JobProgress(Message):
    """The progress of a job: at once after connecting, then at each change."""

    job_id: Uuid
    progress: Probability = Field(description="From 0 to 1.")
    step: Count = Field(description="Learners done, or steps of a calibration.")
    total_steps: Count = Field(description="How many there are; 0: not known yet.")
    payload: JobState
