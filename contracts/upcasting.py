"""Convert older versions of an event to the current one, one version at a time.

An upcaster works on the event as JSON, not on a model, so that claims and times stay as they were
written. Each version is validated by its own model before it is upcast, so that errors use the
words of the version that was published.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import from_json, to_json

from contracts.envelope import CloudEvent
from contracts.responses import ResponseRecorded
from contracts.responses_v0 import ResponseRecordedV0

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upcaster:
    """An older version of an event.

    Args:
        model: validates an event of this version.
        upcast: converts an event that `model` accepts to the next version; must not change its
            argument.
    """

    model: type[CloudEvent[Any]]
    upcast: Callable[[Document], Document]


def _from_v0(event: Document) -> Document:
    """Convert version 0 to version 1: its one concept becomes the list of concepts."""
    data = event["data"]
    response = dict(data["response"])
    concept_id = response.pop("concept_id")
    # Drop fields that only version 1 knows: version 0 ignores them as unknown.
    for unknown in ("scale", "score"):
        response.pop(unknown, None)
    response["concept_ids"] = [concept_id]
    return {**event, "type": ResponseRecorded.TYPE, "data": {**data, "response": response}}


UPCASTERS: Final[Mapping[str, Upcaster]] = MappingProxyType(
    {ResponseRecordedV0.TYPE: Upcaster(ResponseRecordedV0, _from_v0)}
)
"""Upcasters by the type of the older version; all these versions are deprecated."""


def upcast(text: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> ResponseRecorded:
    """Convert an event of any accepted version to the current version.

    Args:
        text: an event as JSON; one of the current version is validated without conversion.
        upcasters: the older versions.

    Raises:
        pydantic.ValidationError: the event is not valid in its version, or in one on the way up.
    """
    while (step := upcasters.get(type_of(document := read(text)))) is not None:
        step.model.model_validate_json(text)
        text = to_json(step.upcast(document))
    return ResponseRecorded.model_validate_json(text)


def read(text: bytes) -> Document:
    """Parse an event as JSON; empty if the text is not a JSON object."""
    try:
        document = from_json(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def type_of(document: Document) -> str:
    """Return the event's type; empty if it has none that is text."""
    event_type = document.get("type")
    return event_type if isinstance(event_type, str) else ""
