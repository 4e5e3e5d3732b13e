"""Deliveries to a subscriber, and the verdict on one that failed."""

import logging
from dataclasses import dataclass
from typing import Generic, Literal

from pydantic import ValidationError
from pydantic_core import from_json

from contracts.client.routing import Event

_log = logging.getLogger(__name__)

Verdict = Literal["retry", "drop"]
"""``retry``: the event comes again, to this consumer or another. ``drop``: it is acknowledged."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where an event came from."""

    stream: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class Failure(Generic[Event]):
    """An event that was not handled."""

    delivery: Delivery
    error: Exception
    """Error that the handler raised, or `UnreadableEventError`."""
    event: Event | None
    """None if the event can't be read."""
    deliveries: int
    """How often it was delivered so far, this time included."""


class UnreadableEventError(ValueError):
    """An entry holds no event, or none of the stream's type.

    Args:
        message: what is wrong.
        text: the entry's field ``event``; None without one.
    """

    def __init__(self, message: str, text: str | bytes | None) -> None:
        super().__init__(message)
        self.text = text


def read_event(text: str | bytes | None, event: type[Event]) -> Event:
    """Return the event of an entry.

    Raises:
        UnreadableEventError: it is not a valid event of that type.
    """
    if text is None:
        raise UnreadableEventError("there is no field `event`", text)
    try:
        return event.model_validate_json(text)
    except ValidationError as error:
        wanted: str = event.TYPE  # type: ignore[attr-defined]
        message = f"the event is not a {wanted}" if _type_of(text) != wanted else str(error)
        raise UnreadableEventError(message, text) from error


def _type_of(text: str | bytes) -> object:
    try:
        document = from_json(text)
    except ValueError:
        return None
    return document.get("type") if isinstance(document, dict) else None


def logged(failure: Failure[Event]) -> Verdict:
    """Log a failure, and retry it; drop an event that can't be read, now or ever."""
    verdict: Verdict = "drop" if isinstance(failure.error, UnreadableEventError) else "retry"
    _log.error(
        "event %s of %s failed (delivery %d), %s",
        failure.delivery.entry_id,
        failure.delivery.stream,
        failure.deliveries,
        verdict,
        exc_info=failure.error,
    )
    return verdict


def disturbed(error: Exception, stream: str) -> None:
    """Log that Redis is away, or that a group was gone."""
    _log.warning("subscription to %s is disturbed: %s", stream, error)
