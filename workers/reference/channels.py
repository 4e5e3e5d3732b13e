"""The streams of the public interface: events, consumer groups and descriptions."""

from dataclasses import dataclass
from typing import Any, Final, get_args

from contracts import (
    ConceptUnlocked,
    JobRequested,
    MasteryChanged,
    ResponseRecorded,
    ResponseRejected,
)
from contracts.envelope import CloudEvent
from contracts.jobs import JobKind
from contracts.responses_v0 import ResponseRecordedV0
from contracts.streams import (
    ENGINE_GROUP,
    JOBS,
    JOBS_GROUP,
    MASTERY,
    REJECTED,
    RESPONSES,
    UNLOCKED,
)

_JOB_KINDS: Final = " or ".join(
    ", ".join(f"`{kind}`" for kind in part)
    for part in (get_args(JobKind)[:-1], get_args(JobKind)[-1:])
)


@dataclass(frozen=True)
class Channel:
    """A stream with the facts and texts that the code does not give by itself."""

    stream: str
    event: type[CloudEvent[Any]]
    group: str | None
    """Our consumer group if we receive; None if we send."""
    operation: str
    tag: str
    summary: str
    description: str
    task: str
    """Action of the engine on the channel, and action of the other side."""
    older: tuple[type[CloudEvent[Any]], ...] = ()
    """Deprecated versions that we still accept."""

    @property
    def events(self) -> tuple[type[CloudEvent[Any]], ...]:
        """All messages of the channel, the current version first."""
        return (self.event, *self.older)


EVENT_TYPES: Final[dict[type[CloudEvent[Any]], str]] = {
    event: event.TYPE
    for event in (
        ResponseRecorded,
        MasteryChanged,
        ConceptUnlocked,
        ResponseRejected,
        JobRequested,
        ResponseRecordedV0,
    )
}


CHANNELS: Final[dict[str, Channel]] = {
    "responses": Channel(
        stream=RESPONSES,
        event=ResponseRecorded,
        group=ENGINE_GROUP,
        operation="receiveResponses",
        tag="practice",
        summary="A student answered a practice question.",
        description="Publishers add answers in any order and may repeat them: `response_id` makes "
        "each answer count once, and `answered_at` gives the order. An entry that can't be "
        "accepted goes whole to the rejections.",
        task="The engine records each response once, in the order of `answered_at`. Publish with a "
        "plain `XADD practice.responses.v1 '*' event '{…}'`.",
        older=(ResponseRecordedV0,),
    ),
    "mastery": Channel(
        stream=MASTERY,
        event=MasteryChanged,
        group=None,
        operation="sendMastery",
        tag="mastery",
        summary="A student's mastery of a concept changed.",
        description="One event for each concept of an applied response, and one for each other "
        "concept whose current value a late response changed. Read the stream with your own "
        "consumer group and keep the event with the highest `version` per student and concept.",
        task="The engine publishes in the step that acknowledges the response, exactly once. "
        "Subscribers read with a group of their own, or with `XREAD` from the last id they stored.",
    ),
    "unlocked": Channel(
        stream=UNLOCKED,
        event=ConceptUnlocked,
        group=None,
        operation="sendUnlocked",
        tag="mastery",
        summary="A student is ready for a concept.",
        description="The student has mastered every prerequisite of a concept that they have not "
        "yet mastered. One event per student and concept, ever. Prerequisites come from the "
        "concept map (`mastery concepts import`).",
        task="The graph role publishes once per student and concept, after the mastery event that "
        "completed the prerequisites.",
    ),
    "rejections": Channel(
        stream=REJECTED,
        event=ResponseRejected,
        group=None,
        operation="sendRejections",
        tag="practice",
        summary="An entry of the responses was refused.",
        description="The whole entry, with the rejection code, a reason that names the remedy, and "
        "its place in the stream. It can be corrected and sent again.",
        task="The engine publishes a refused entry in the step that acknowledges it. Operators "
        "look at it, send it again or purge it with `mastery rejected`.",
    ),
    "jobs": Channel(
        stream=JOBS,
        event=JobRequested,
        group=JOBS_GROUP,
        operation="receiveJobs",
        tag="operation",
        summary="Someone requests a long-running job.",
        description=f"{_JOB_KINDS}, requested by a role listed in `JOB_ROLES`. "
        "`job_id` makes each request count once.",
        task="A worker of the role `jobs` runs each job once and reports progress on its socket. "
        "`POST /v1/jobs` adds the same event.",
    ),
}


TAGS: Final = [
    {"name": "mastery", "description": "Mastery of students after their answers."},
    {"name": "operation", "description": "Jobs that operators request."},
    {"name": "practice", "description": "Answers of students, and the refused ones."},
]
