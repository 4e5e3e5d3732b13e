"""Judge one entry of a responses stream: admit it, refuse it with a reason, or defer it."""

from dataclasses import dataclass, field
from typing import Final

from contracts.rejections import RejectionCode
from contracts.responses import ResponseRecorded
from contracts.upcasting import UPCASTERS, upcast
from workers.admission.decoding import Decoder
from workers.admission.verdicts import Admitted, Deferred, Judged, Rejection
from workers.common.errors import KeyUnknown, Refused
from workers.common.times import iso, to_us
from workers.estimation.learner import LearnerKey, Response
from workers.identity.claims import Authenticator, Authorisation
from workers.streams.batch import RawEntry
from workers.streams.entry_ids import LAST_MS, entered_ms

_AHEAD_US: Final = 5 * 60 * 1_000_000
"""Longest time from the present to `answered_at`.

The time of entry would not do: an entry keeps an id that Redis gave it while its clock was behind.
"""


@dataclass(frozen=True, slots=True)
class Admission:
    """Decodes, authenticates and authorises one entry at a time.

    Args:
        authenticator: establishes who reports.
        authorisation: decides who may report for whom.
        max_event_bytes: largest entry, in bytes of all its fields.
        max_token_bytes: largest token, in bytes.
        max_queue_age_s: an entry that waited for longer is refused, seconds.
    """

    authenticator: Authenticator
    authorisation: Authorisation
    max_event_bytes: int
    max_token_bytes: int
    max_queue_age_s: int = 604_800
    _decoder: Decoder[ResponseRecorded] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        decoder = Decoder(
            ResponseRecorded,
            self.max_event_bytes,
            self.max_token_bytes,
            "publish one response per event",
            dict.fromkeys(UPCASTERS, upcast),
        )
        object.__setattr__(self, "_decoder", decoder)

    def judge(self, entry: RawEntry, now_ms: int | None = None) -> Judged:
        """Judge an entry; whatever the entry holds, this never raises.

        Args:
            entry: the entry.
            now_ms: the time by Redis's clock, milliseconds since 1970; None: the time at which
                the entry was added.
        """
        event = None
        added_ms = entry.entered_ms
        now_ms = added_ms if now_ms is None else now_ms
        # Publishers may choose an id in the future; the wait must not begin there.
        since_ms = min(added_ms, now_ms if entry.deferred_ms is None else entry.deferred_ms)
        try:
            event = self._decoder.decode(entry)
            return self._admit(entry, event, since_ms, now_ms)
        except Refused as refusal:
            return Rejection(entry, refusal, event)
        except KeyUnknown:
            return Deferred(entry, since_ms)

    def _admit(
        self, entry: RawEntry, event: ResponseRecorded, since_ms: int, now_ms: int
    ) -> Admitted:
        response = event.data.response
        age_ms = now_ms - entry.entered_ms
        # Redis gives out ids in the future long after its clock was ahead for a moment.
        first_ms = min(_first_entered_ms(entry), now_ms)
        answered_at_us = to_us(response.answered_at)
        if answered_at_us > now_ms * 1000 + _AHEAD_US:
            path = "data.response.answered_at"
            raise Refused(
                RejectionCode.INVALID,
                f"{path} is {iso(answered_at_us)}, more than 5 minutes after the present time "
                f"({iso(now_ms * 1000)}): set the device's clock",
                path,
            )
        # An entry that was deferred was young enough when it began to wait.
        if age_ms > self.max_queue_age_s * 1000 and entry.deferred_ms is None:
            raise Refused(
                RejectionCode.UNAUTHENTICATED,
                f"the entry waited for {age_ms // 1000} s, longer than "
                f"MAX_QUEUE_AGE_S={self.max_queue_age_s}: if it is to count all the same, send it "
                "again with `mastery rejected redrive`",
            )
        identity = self.authenticator.authenticate(
            event.data, first_ms / 1000, since_ms, now_ms / 1000
        )
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


def _first_entered_ms(entry: RawEntry) -> int:
    """Return when the event first entered the stream, by Redis's clock, ms since 1970."""
    first_ms = entered_ms(entry.first_id)
    if first_ms > LAST_MS:
        raise Refused(
            RejectionCode.INVALID,
            f"the entry's id {entry.first_id} is not a time before the year 10000: let Redis "
            "choose the id, with '*'",
        )
    return first_ms
