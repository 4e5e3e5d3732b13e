"""From a raw entry of the stream to an admitted response, or a refusal with its reason."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.rejections import RejectionCode
from contracts.responses import ResponseRecorded
from contracts.streams import EVENT_FIELD
from contracts.upcasting import UPCASTERS, Document, read, type_of, upcast
from workers.common.errors import KeyUnknown, Refused
from workers.common.times import iso, to_us
from workers.estimation.learner import LearnerKey, Response
from workers.identity.claims import Authenticator, Authorisation
from workers.streams.batch import RawEntry
from workers.streams.redriven import MARKER

_FIELD: Final = EVENT_FIELD.encode()
_AHEAD_US: Final = 5 * 60 * 1_000_000
"""How far `answered_at` may lie after the moment at which the event entered the stream.

The first time, if it was redriven: a clock that was wrong does not become right by waiting.
"""
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, milliseconds since 1970."""
_LONGEST_VALUE: Final = 80
_LONGEST_INTEGER: Final = 256
"""Bits of an integer that a reason may quote."""
_TYPE: Final = "type"
_JWT: Final = "eyJ"
"""How the header of each JWT begins: ``{"`` in base64url."""


class Admitted(NamedTuple):
    """An entry that may be applied."""

    entry: RawEntry
    event: ResponseRecorded
    key: LearnerKey
    response: Response
    delegated: bool = False
    """Whether somebody reports it who may report for others: not counted against a rate."""


class Rejection(NamedTuple):
    """An entry that is refused, and why."""

    entry: RawEntry
    refusal: Refused
    event: ResponseRecorded | None = None
    """What it says, if that could be read."""


class Deferred(NamedTuple):
    """An entry that can't be judged before the issuer's keys are fetched anew."""

    entry: RawEntry
    since_ms: int
    """Since when it waits, by Redis's clock, milliseconds since 1970."""


Judged = Admitted | Rejection | Deferred


@dataclass(frozen=True, slots=True)
class Admission:
    """Decodes, authenticates and authorises one entry at a time.

    Args:
        authenticator: says who reports.
        authorisation: says whether they may.
        max_event_bytes: largest entry, in bytes of all its fields.
        max_token_bytes: largest token, in bytes.
        max_queue_age_s: an entry that waited for longer is refused, seconds.
    """

    authenticator: Authenticator
    authorisation: Authorisation
    max_event_bytes: int
    max_token_bytes: int
    max_queue_age_s: int = 604_800

    def judge(self, entry: RawEntry, now_ms: int | None = None) -> Judged:
        """Admit an entry, refuse it, or say that it has to wait; never raises for what it holds.

        Args:
            entry: the entry.
            now_ms: what time it is by Redis's clock, milliseconds since 1970; None: the moment at
                which the entry was added.
        """
        event = None
        added_ms = _ms(entry.entry_id)
        now_ms = added_ms if now_ms is None else now_ms
        # Publishers may choose an id, and one of a moment to come would wait for it.
        since_ms = min(added_ms, now_ms if entry.deferred_ms is None else entry.deferred_ms)
        try:
            event = self._decode(entry)
            return self._admit(entry, event, since_ms, now_ms - added_ms)
        except Refused as refusal:
            return Rejection(entry, refusal, event)
        except KeyUnknown:
            return Deferred(entry, since_ms)

    def _admit(
        self, entry: RawEntry, event: ResponseRecorded, since_ms: int, age_ms: int
    ) -> Admitted:
        response = event.data.response
        entered_ms = _entered_ms(entry)
        answered_at_us = to_us(response.answered_at)
        if answered_at_us > entered_ms * 1000 + _AHEAD_US:
            raise _invalid(
                "data.response.answered_at",
                f"is {iso(answered_at_us)}, more than 5 minutes after the event entered the "
                f"stream ({iso(entered_ms * 1000)}): set the device's clock",
            )
        # Who waited for a key was young enough when it began to.
        if age_ms > self.max_queue_age_s * 1000 and entry.deferred_ms is None:
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                f"the entry waited for {age_ms // 1000} s, longer than "
                f"MAX_QUEUE_AGE_S={self.max_queue_age_s}: if it is to count all the same, send it "
                "again with `mastery rejected redrive`",
            )
        identity = self.authenticator.authenticate(event.data, entered_ms / 1000, since_ms)
        self.authorisation.authorise(identity, response.student_id)
        return Admitted(
            entry,
            event,
            LearnerKey(identity.tenant_id, response.student_id),
            Response(
                response.response_id,
                response.session_id,
                response.item_id,
                response.concept_ids,
                response.scale,
                response.credit,
                answered_at_us,
            ),
            self.authorisation.delegated(identity),
        )

    def _decode(self, entry: RawEntry) -> ResponseRecorded:
        size = sum(
            len(name) + len(value)
            for name, value in entry.fields.items()
            if name != MARKER or entry.redriven_from is None
        )
        if size > self.max_event_bytes:
            raise Refused(
                RejectionCode.TOO_LARGE,
                f"the entry has {size} bytes, more than MAX_EVENT_BYTES={self.max_event_bytes}: "
                "publish one response per event",
            )
        text = entry.fields.get(_FIELD)
        if text is None:
            names = ", ".join(sorted(repr(name.decode(errors="replace")) for name in entry.fields))
            raise _invalid(
                EVENT_FIELD,
                f"is missing from the entry, which has {names[:_LONGEST_VALUE]}: XADD the "
                "CloudEvent as JSON under the field 'event'",
            )
        try:
            event = ResponseRecorded.model_validate_json(text)
        except ValidationError as error:
            return self._decode_other(text, error)
        self._limit(event.data.token)
        return event

    def _decode_other(self, text: bytes, error: ValidationError) -> ResponseRecorded:
        """An event that is not of the current version: one of an older, or a refusal."""
        document = read(text)
        self._limit(_token_of(document))
        if type_of(document) not in UPCASTERS:
            raise _refusal_of(error) from None
        try:
            return upcast(text)
        except ValidationError as older:
            raise _refusal_of(older) from None

    def _limit(self, token: str | None) -> None:
        if token is not None and len(token.encode()) > self.max_token_bytes:
            raise Refused(
                RejectionCode.TOO_LARGE,
                f"data.token is longer than MAX_TOKEN_BYTES={self.max_token_bytes}: send the "
                "JWT alone, without what it does not need",
                "data.token",
            )


def _token_of(document: Document) -> str | None:
    """The token of an event in which something else is wrong."""
    data = document.get("data")
    token = data.get("token") if isinstance(data, dict) else None
    return token if isinstance(token, str) else None


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _entered_ms(entry: RawEntry) -> int:
    """When the event first entered the stream, by Redis's clock, milliseconds since 1970."""
    entered_ms = _ms(entry.first_id)
    if entered_ms > _LAST_MS:
        raise Refused(
            RejectionCode.INVALID,
            f"the entry's id {entry.first_id} is no moment before the year 10000: let Redis choose "
            "it, with '*'",
        )
    return entered_ms


def _invalid(field: str, problem: str) -> Refused:
    return Refused(RejectionCode.INVALID, f"{field} {problem}", field)


def _refusal_of(failure: ValidationError) -> Refused:
    """The refusal that names the first thing wrong; form comes before identity."""
    wrong = [(_path(error["loc"]), error) for error in failure.errors(include_url=False)]
    # Of an event of another type nothing else can be said.
    other = [one for one in wrong if one[0] == _TYPE and one[1]["type"] != "missing"]
    wrong = other or wrong
    about_form = [one for one in wrong if not _about_identity(one[0])]
    path, error = (about_form or wrong)[0]
    code = RejectionCode.INVALID if about_form else RejectionCode.UNAUTHENTICATED
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Refused(code, _sentence(path, error) + more, path or EVENT_FIELD)


def _about_identity(path: str) -> bool:
    return path.startswith(("data.claims", "data.token"))


def _path(location: tuple[int | str, ...]) -> str:
    # Pydantic adds the names of union members and validators; they are no fields of the event.
    names = [
        str(part) for part in location if isinstance(part, int) or part.replace("_", "").isalnum()
    ]
    return ".".join(names)


def _sentence(path: str, error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        return f"the field 'event' is no JSON: {message}; publish the CloudEvent as JSON in UTF-8"
    if error["type"] == "missing":
        return f"{path} is missing: add it"
    if error["type"] == "model_type" and not path:
        return "the event is JSON, but no object: publish a CloudEvent"
    if _about_identity(path):
        # What claims and tokens say stays out of reasons and logs.
        return f"{path} is wrong: {message}"
    if error["type"] == "value_error" and path == "data.response":
        return message
    return f"{path} is {_shown(path, error['input'])}: {message[:1].lower()}{message[1:]}"


def _shown(path: str, value: object) -> str:
    """A value as a reason may quote it; what could hold a token is not quoted."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    if path in ("data", "data.response"):
        return f"of type {type(value).__name__}"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        # Python refuses to write very long ones, and how long is a setting of the process.
        return "a number of very many digits"
    if isinstance(value, str) and _JWT in value:
        return "what looks like a token"
    text = repr(value[: _LONGEST_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
