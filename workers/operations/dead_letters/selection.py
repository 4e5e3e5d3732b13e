"""Select dead letters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from workers.common.times import to_us
from workers.operations.dead_letters.dead_letter import DeadLetter


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter over dead letters; a criterion that is not given lets everything pass.

    Args:
        codes: rejected with one of these codes.
        tenant_id: the tenant that the event claims.
        student_id: the student that the event claims.
        since_ms: rejected at this time or later, by Redis's clock, milliseconds since 1970.
        before_ms: rejected before this time, likewise.
    """

    codes: frozenset[str] = frozenset()
    tenant_id: str | None = None
    student_id: str | None = None
    since_ms: int | None = None
    before_ms: int | None = None

    @classmethod
    def of(
        cls,
        *,
        codes: frozenset[str] = frozenset(),
        tenant_id: str | None = None,
        student_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Self:
        """Make a selection with times as aware datetimes; `until` itself is excluded."""
        return cls(
            codes,
            tenant_id,
            student_id,
            None if since is None else _up_to_ms(since),
            None if until is None else _up_to_ms(until),
        )

    @property
    def everything(self) -> bool:
        """True if nothing is filtered."""
        return self == Selection()

    def takes(self, letter: DeadLetter) -> bool:
        """Return True if a letter matches in all but its time, by which the stream is ordered."""
        if self.codes and letter.code not in self.codes:
            return False
        if self.tenant_id is None and self.student_id is None:
            return True
        claimed = letter.claimed()
        return self.tenant_id in (None, claimed.tenant_id) and self.student_id in (
            None,
            claimed.student_id,
        )

    @property
    def first(self) -> str:
        """The lowest entry id within the times, as XRANGE takes it."""
        return "-" if self.since_ms is None else f"{self.since_ms}-0"

    @property
    def last(self) -> str | None:
        """The highest entry id, as XRANGE takes it; None if no entry can match."""
        if self.before_ms is None:
            return "+"
        # As an end, an id without its counter means the last of that millisecond.
        return None if self.before_ms == 0 else str(self.before_ms - 1)


def _up_to_ms(moment: datetime) -> int:
    """Return the first whole millisecond at or after a time, at least 0."""
    return max(0, -(-to_us(moment) // 1000))
