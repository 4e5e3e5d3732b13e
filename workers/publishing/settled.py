"""An entry that is done with: what the ledger holds of it and what it publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from contracts.responses import ResponseRecorded
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.ledger.exchange import Recorded
from workers.streams.batch import RawEntry


@dataclass(slots=True)
class Settled:
    """The end of one entry of a stream, and the events that its acknowledgement publishes.

    An entry that is not refused and publishes nothing is only acknowledged, such as a repeat.

    Args:
        entry: the entry, ready to be acknowledged.
        events: the events to publish, as JSON.
        refusal: why the entry is refused; its events then go to the stream of rejections.
        event: what the entry says, if that could be read.
        admitted: the entry as admission saw it; None if admission refused it.
        recorded: the response in the log, if this entry owns it: its events follow from it.
        repeated: the response in the log, if another entry owns it.
    """

    entry: RawEntry
    events: Sequence[bytes] = ()
    refusal: Refused | None = None
    event: ResponseRecorded | None = None
    admitted: Admitted | None = None
    recorded: Recorded | None = None
    repeated: Recorded | None = None

    @classmethod
    def of(
        cls,
        admitted: Admitted,
        *,
        refusal: Refused | None = None,
        recorded: Recorded | None = None,
        repeated: Recorded | None = None,
    ) -> Self:
        """Settle an admitted entry; its events are made later."""
        return cls(admitted.entry, (), refusal, admitted.event, admitted, recorded, repeated)

    @property
    def version(self) -> int:
        """The learner's version that the response took; 0 without a recorded response."""
        return 0 if self.recorded is None else self.recorded.version
