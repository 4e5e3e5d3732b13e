"""Make the events that publishers send."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NotRequired, TypedDict
from uuid import UUID, uuid4

from pydantic_core import to_json

from contracts.jobs import JobKind, JobRequested
from contracts.responses import ResponseRecorded

_CORRELATION_ID: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Answer(TypedDict):
    """One answer of a student; `contracts.responses.Response` has the ranges.

    Give `correct`, `score` or both alike. Create `response_id` and `answered_at` once, where the
    answer is given, and keep both on every repeat.
    """

    response_id: str | UUID
    student_id: str
    item_id: str
    concept_ids: Sequence[str]
    answered_at: str | datetime
    correct: NotRequired[bool]
    score: NotRequired[float]
    scale: NotRequired[str]
    session_id: NotRequired[str]
    response_time_ms: NotRequired[int]
    attempt: NotRequired[int]
    hints_used: NotRequired[int]


class Job(TypedDict):
    """A long job to request; `job_id` makes it count once."""

    job_id: str | UUID
    kind: JobKind
    parameters: NotRequired[Mapping[str, Any]]


def response_recorded(
    answer: Answer,
    *,
    claims: Mapping[str, Any],
    source: str,
    token: str | None = None,
    id: str | UUID | None = None,  # noqa: A002  # CloudEvents calls it so
    correlationid: str | None = None,
    traceparent: str | None = None,
) -> ResponseRecorded:
    """Make the event of an answer. Keep it until it is published: two copies count once.

    A correlation id or trace context that the engine would refuse is left out: both are headers of
    strangers, and must not cost an answer.

    Args:
        answer: the answer.
        claims: claims of the student's JWT, which you have verified.
        source: who publishes, a URI reference such as ``/flask/practice``.
        token: the JWT; required where the engine has ``JWT_MODE=verify``.
        id: the event's id; a new UUID by default.
        correlationid: ``X-Request-ID`` of the request, carried into all that follows.
        traceparent: W3C trace context of the request.

    Raises:
        pydantic.ValidationError: the engine would refuse the event as ``invalid``.
    """
    document = _envelope(ResponseRecorded.TYPE, source, id, correlationid, traceparent)
    document["subject"] = answer["student_id"]
    document["data"] = {**_reported(claims, token), "response": answer}
    return ResponseRecorded.model_validate_json(to_json(document))


def job_requested(
    job: Job,
    *,
    claims: Mapping[str, Any],
    source: str,
    token: str | None = None,
    id: str | UUID | None = None,  # noqa: A002  # CloudEvents calls it so
    correlationid: str | None = None,
    traceparent: str | None = None,
) -> JobRequested:
    """Make the event that requests a job; the arguments are those of `response_recorded`.

    Raises:
        pydantic.ValidationError: the engine would refuse the event as ``invalid``.
    """
    document = _envelope(JobRequested.TYPE, source, id, correlationid, traceparent)
    document["data"] = {**job, **_reported(claims, token)}
    return JobRequested.model_validate_json(to_json(document))


def _reported(claims: Mapping[str, Any], token: str | None) -> dict[str, Any]:
    return {"claims": claims} if token is None else {"claims": claims, "token": token}


def _envelope(
    event_type: str,
    source: str,
    event_id: str | UUID | None,
    correlationid: str | None,
    traceparent: str | None,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id or uuid4(),
        "source": source,
        "type": event_type,
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
    }
    if correlationid is not None and _CORRELATION_ID.fullmatch(correlationid):
        document["correlationid"] = correlationid
    if traceparent is not None and _TRACE_PARENT.fullmatch(traceparent):
        document["traceparent"] = traceparent
    return document
