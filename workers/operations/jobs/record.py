"""The record of a job and its progress message."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

PROGRESS_CHANNEL: Final = "job_progress:"
"""The Redis channel of a job's progress, before the job's id."""


class JobStatus(StrEnum):
    """The states of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True if the job will never change again."""
        return self not in {JobStatus.QUEUED, JobStatus.RUNNING}


class JobKey(NamedTuple):
    """The tenant and the id of a job; tenants never share a job, whatever ids they choose."""

    tenant_id: str
    job_id: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as its tenant sees it.

    Args:
        key: tenant and id.
        kind: `contracts.jobs.JobKind`.
        parameters: as they were given.
        requested_by: the subject that asked.
        requested_at, started_at, ended_at: RFC 3339 text; None: not yet.
        status: its state.
        progress: from 0 to 1.
        step: learners done, or steps of a calibration.
        total_steps: how many there are; 0: not known yet.
        result: the result of a job that succeeded.
        problem: why it failed, or who cancelled it.
        entry_id: the entry of the stream that asks for it.
    """

    key: JobKey
    kind: str
    parameters: dict[str, Any]
    requested_by: str
    requested_at: str
    status: JobStatus = JobStatus.QUEUED
    progress: float = 0.0
    step: int = 0
    total_steps: int = 0
    result: dict[str, Any] | None = None
    problem: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    entry_id: str = ""

    def of_student(self, student_id: str) -> bool:
        """Return True if it concerns this student, or they asked for it."""
        return student_id in {self.requested_by, self.parameters.get("student_id")}

    def to_jsonable(self) -> dict[str, Any]:
        """Return the record as HTTP answers it."""
        return {
            "job_id": self.key.job_id,
            "kind": self.kind,
            "parameters": self.parameters,
            "status": self.status.value,
            "progress": self.progress,
            "step": self.step,
            "total_steps": self.total_steps,
            "result": self.result,
            "problem": self.problem,
            "requested_by": self.requested_by,
            "requested_at": self.requested_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }

    def progress_message(self) -> dict[str, Any]:
        """Return the progress message of its channel and its socket."""
        payload: dict[str, Any] = {"kind": self.kind, "status": self.status.value}
        if self.result is not None:
            payload["result"] = self.result
        if self.problem is not None:
            payload["problem"] = self.problem
        return {
            "job_id": self.key.job_id,
            "progress": self.progress,
            "step": self.step,
            "total_steps": self.total_steps,
            "payload": payload,
        }


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request; two requests with the same id are one job if kind and parameters agree.

    Args:
        key: tenant and id.
        kind: `contracts.jobs.JobKind`.
        parameters: as they were given.
        requested_by: the subject that asks.
    """

    key: JobKey
    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    requested_by: str = ""
