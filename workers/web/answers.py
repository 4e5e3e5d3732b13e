"""The bodies that `/v1` answers, as models: OpenAPI documents them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.jobs import JobKind
from contracts.mastery import Interval
from contracts.primitives import Identifier, Probability, Timestamp, Uuid
from workers.operations.jobs.record import JobStatus


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CurrentMastery(_Answer):
    """Current mastery of a concept; fields are named as in `practice.mastery.changed.v1`."""

    concept_id: Identifier
    mastery: Probability = Field(description="P(known).")
    mastery_interval: Interval | None = Field(
        description="95 % credible interval; null where the parameters' uncertainty is unknown."
    )
    mastered: bool = Field(description="Whether mastery has reached the threshold.")
    attempts: int = Field(ge=1, description="Answers on this concept that count.")
    version: int = Field(ge=1, description="Keep the highest: an event with a higher is newer.")
    last_answered_at: Timestamp = Field(description="Newest answer on this concept.")
    parameters_version: int = Field(ge=1)


class CurrentAbility(_Answer):
    """Current ability on a scale, in logits."""

    scale: Identifier
    theta: float = Field(description="Posterior mean, logits.")
    standard_error: float = Field(ge=0.0, description="Posterior standard deviation, logits.")
    interval: Interval = Field(description="95 % interval, logits.")
    person_fit: float | None = Field(
        description="As in `practice.mastery.changed.v1`; null where it is unknown."
    )
    version: int = Field(ge=1)


class MasteryPage(_Answer):
    """A page of a student's current values, and where the stream goes on."""

    tenant_id: Identifier
    student_id: Identifier
    positions: dict[str, str] = Field(
        description="The stream of the student's mastery events, and the id of its newest entry "
        "before the first page was read. Entries after it hold all that the pages lack."
    )
    mastery: list[CurrentMastery] = Field(description="By `concept_id`, at most `limit`.")
    abilities: list[CurrentAbility] = Field(description="By `scale`, at most `limit`.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null: nothing follows.")


class Job(_Answer):
    """A long job."""

    job_id: Uuid
    kind: JobKind
    parameters: dict[str, Any]
    status: JobStatus
    progress: float = Field(ge=0.0, le=1.0)
    step: int = Field(ge=0)
    total_steps: int = Field(ge=0, description="0: not known yet.")
    result: dict[str, Any] | None = Field(description="Of a job that succeeded.")
    problem: str | None = Field(description="Why it failed, or who cancelled it.")
    requested_by: str
    requested_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None


class JobPage(_Answer):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: nothing follows.")


class RejectedEntry(_Answer):
    """A dead letter without its event; a field that it lacks is null."""

    id: str = Field(description="Names the dead letter in `mastery rejected`.")
    entry_id: str | None = Field(description="The id that the entry had in its stream.")
    stream: str | None
    code: str | None = Field(examples=["invalid"])
    status: int | None
    reason: str | None = Field(description="A sentence that names field, value and remedy.")
    field: str | None
    tenant_id: str | None
    student_id: str | None
    deliveries: int | None
    accepted_at: Timestamp | None = Field(description="When the event first entered the stream.")
    rejected_at: str | None
    redriven_at: Timestamp | None
    redriven_as: str | None = Field(description="The entry under which it was sent again.")


class RejectedList(_Answer):
    """The newest dead letters of the tenant."""

    rejected: list[RejectedEntry]


class RejectedWhole(RejectedEntry):
    """A dead letter with its event, without tokens."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: Any = Field(description="The event as it was published, tokens replaced.")


class Error(_Answer):
    """Why a request was refused."""

    code: str = Field(examples=["forbidden"])
    status: int = Field(examples=[403])
    message: str = Field(description="A sentence that names the remedy.")
    request_id: str = Field(description="Also in the header X-Request-ID, and in each log line.")


class ErrorAnswer(_Answer):
    """The body of every error."""

    error: Error
