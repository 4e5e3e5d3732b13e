"""Routes: the streams that receive the events of a stream's entries."""

from dataclasses import dataclass
from typing import Self

from contracts.streams import JOBS, Shard


@dataclass(frozen=True, slots=True)
class Route:
    """The stream of some entries, and the two streams of their events.

    In a Redis Cluster all three share a slot.

    Args:
        source: the stream that the entries are read from and acknowledged in.
        events: the stream of the events that result from an entry.
        rejected: the stream of rejections.
    """

    source: str
    events: str
    rejected: str

    @classmethod
    def of_responses(cls, shard: Shard) -> Self:
        """Return the route of responses: they change mastery."""
        return cls(shard.responses, shard.mastery, shard.rejected)

    @classmethod
    def of_mastery(cls, shard: Shard) -> Self:
        """Return the route of mastery changes: they unlock concepts."""
        return cls(shard.mastery, shard.unlocked, shard.rejected)

    @classmethod
    def of_jobs(cls, rejected: str) -> Self:
        """Return the route of job requests: they publish only rejections."""
        return cls(JOBS, rejected, rejected)
