"""The three verdicts on an entry: admitted, rejected, or deferred until newer keys are known."""

from typing import NamedTuple

from contracts.responses import ResponseRecorded
from workers.common.errors import Refused
from workers.estimation.learner import LearnerKey, Response
from workers.streams.batch import RawEntry


class Admitted(NamedTuple):
    """An entry that may be applied."""

    entry: RawEntry
    event: ResponseRecorded
    key: LearnerKey
    response: Response
    delegated: bool = False
    """True if a delegated role reported it; such a response is exempt from rate limits."""


class Rejection(NamedTuple):
    """An entry that is refused, and why."""

    entry: RawEntry
    refusal: Refused
    event: ResponseRecorded | None = None
    """The event, if it could be read."""


class Deferred(NamedTuple):
    """An entry that waits until the issuer's keys are fetched again."""

    entry: RawEntry
    since_ms: int
    """Time at which it began to wait, by Redis's clock, milliseconds since 1970."""


Judged = Admitted | Rejection | Deferred
