"""Older versions of an event, brought up to the current one, a version at a time.

An upcaster works on the event as JSON, not on a model, so that claims and times stay as they were
written. Each version is validated by its own model before it is upcast: what is wrong is named in
the words of the version that was published.
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
    """One older version.

    Args:
        model: what an event of this version is.
        upcast: makes an event that `model` takes one of the next version; changes nothing in what
            it is given.
    """

    model: type[CloudEvent[Any]]
    upcast: Callable[[Document], Document]


def _from_v0(event: Document) -> Document:
    """Version 0 as version 1: its one concept is the list of concepts."""
    data = event["data"]
    response = dict(data["response"])
    concept_id = response.pop("concept_id")
    # Fields of version 1 were unknown in version 0, and unknown fields mean nothing.
    for unknown in ("scale", "score"):
        response.pop(unknown, None)
    response["concept_ids"] = [concept_id]
    return {**event, "type": ResponseRecorded.TYPE, "data": {**data, "response": response}}


UPCASTERS: Final[Mapping[str, Upcaster]] = MappingProxyType(
    {ResponseRecordedV0.TYPE: Upcaster(ResponseRecordedV0, _from_v0)}
)
"""By the type of the older version; all of them are deprecated."""


def upcast(text: bytes, upcasters: Mapping[str, Upcaster] = UPCASTERS) -> ResponseRecorded:
    """The current event that an event of an older version means.

    Args:
        text: an event as JSON; of the current version it is validated as it is.
        upcasters: the older versions.

    Raises:
        pydantic.ValidationError: it is not what its version, or one on the way up, demands.
    """
    while (step := upcasters.get(type_of(document := read(text)))) is not None:
        step.model.model_validate_json(text)
        text = to_json(step.upcast(document))
    return ResponseRecorded.model_validate_json(text)


def read(text: bytes) -> Document:
    """The event as JSON; empty where it is no JSON object."""
    try:
        document = from_json(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def type_of(document: Document) -> str:
    """The event's type; empty where it has none that is text."""
    found = document.get("type")
    return found if isinstance(found, str) else ""
