"""Decode an entry: check its size, find its event, validate it, and limit its token."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from contracts.envelope import CloudEvent
from contracts.rejections import RejectionCode
from contracts.streams import EVENT_FIELD
from contracts.upcasting import Document, read, type_of
from workers.admission.reasons import LONGEST_VALUE, refusal_of
from workers.common.errors import Refused
from workers.streams.batch import RawEntry
from workers.streams.redriven import MARKER

_FIELD: Final = EVENT_FIELD.encode()

Event = TypeVar("Event", bound=CloudEvent[Any])
Upcast = Callable[[bytes], Event]


@dataclass(frozen=True, slots=True)
class Decoder(Generic[Event]):
    """Decodes the entries of one stream.

    Args:
        model: the current version of the event.
        max_event_bytes: largest entry, in bytes of all its fields.
        max_token_bytes: largest token, in bytes.
        smaller: what a publisher of too large an entry should do.
        upcasts: by the type of an older version, what makes it the current one.
    """

    model: type[Event]
    max_event_bytes: int
    max_token_bytes: int
    smaller: str
    upcasts: Mapping[str, Upcast[Event]] = field(default_factory=dict)

    def decode(self, entry: RawEntry) -> Event:
        """Return the event of an entry.

        Raises:
            Refused: ``too_large``, ``invalid``, or ``unauthenticated`` if only claims or token
                are malformed.
        """
        self._limit_size(entry)
        text = _text_in(entry)
        try:
            event = self.model.model_validate_json(text)
        except ValidationError as error:
            return self._decode_older(text, error)
        self._limit_token(event.data.token)
        return event

    def _decode_older(self, text: bytes, failure: ValidationError) -> Event:
        """Decode an event that is not of the current version."""
        document = read(text)
        self._limit_token(_token_of(document))
        upcast = self.upcasts.get(type_of(document))
        if upcast is None:
            raise refusal_of(failure) from None
        try:
            return upcast(text)
        except ValidationError as older:
            raise refusal_of(older) from None

    def _limit_size(self, entry: RawEntry) -> None:
        size = sum(
            len(name) + len(value)
            for name, value in entry.fields.items()
            if name != MARKER or entry.redriven_from is None
        )
        if size > self.max_event_bytes:
            raise Refused(
                RejectionCode.TOO_LARGE,
                f"the entry has {size} bytes, more than MAX_EVENT_BYTES={self.max_event_bytes}: "
                f"{self.smaller}",
            )

    def _limit_token(self, token: str | None) -> None:
        if token is not None and len(token.encode()) > self.max_token_bytes:
            raise Refused(
                RejectionCode.TOO_LARGE,
                f"data.token is longer than MAX_TOKEN_BYTES={self.max_token_bytes}: send the "
                "JWT alone, and leave claims out of it that are not needed",
                "data.token",
            )


def _text_in(entry: RawEntry) -> bytes:
    text = entry.fields.get(_FIELD)
    if text is None:
        names = ", ".join(sorted(repr(name.decode(errors="replace")) for name in entry.fields))
        raise Refused(
            RejectionCode.INVALID,
            f"{EVENT_FIELD} is missing from the entry, which has {names[:LONGEST_VALUE]}: XADD "
            f"the CloudEvent as JSON under the field '{EVENT_FIELD}'",
            EVENT_FIELD,
        )
    return text


def _token_of(document: Document) -> str | None:
    """Return the token of an event in which something else is wrong."""
    data = document.get("data")
    token = data.get("token") if isinstance(data, dict) else None
    return token if isinstance(token, str) else None
