"""The CloudEvents 1.0 envelope (structured mode, JSON) of every event.

Versions of an event: ``type`` ends in the major version, which changes when a valid event would
become invalid or change its meaning. A minor version only adds optional fields, so every reader of
the major version understands it. A publisher may leave the type as it is, append the minor version
(``practice.response.recorded.v1.3``), or name it in ``dataschema`` as CloudEvents proposes. Events
published by the engine itself have the plain type.
"""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.primitives import Identifier, Timestamp, TraceParent, Uuid


class Message(BaseModel):
    """Base of all that crosses our border: frozen, strict, and deaf to unknown fields.

    Publishers may run ahead of us, so a field we do not know is ignored; a field we know with a
    value of another type is never coerced.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


Data = TypeVar("Data", bound=Message)

MINOR_VERSION = r"(\.(0|[1-9][0-9]{0,8}))?$"
"""Optional minor version after an event type, as the end of a regular expression."""


class CloudEvent(Message, Generic[Data]):
    """Fields that every event has around its ``data``."""

    specversion: Literal["1.0"] = Field(description="The CloudEvents version.")
    id: Uuid = Field(description="The event's own id; the same event published twice keeps it.")
    source: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Who published it, a URI reference.", examples=["/express/practice"]
    )
    type: str = Field(description="What happened, and in which version of its description.")
    dataschema: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None,
        description="A URI of the schema that `data` adheres to, minor version included; not read.",
    )
    subject: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Whom or what it is about."
    )
    time: Timestamp | None = Field(default=None, description="When the publisher made the event.")
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: Identifier | None = Field(
        default=None, description="Express's X-Request-ID, carried into all that follows."
    )
    causationid: Uuid | None = Field(
        default=None, description="The id of the event that this one follows from."
    )
    traceparent: TraceParent | None = Field(default=None, description="W3C trace context.")
    data: Data
