"""Trim the streams: remove only entries that nobody needs any more."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from workers.common.text import text_of
from workers.streams.entry_ids import entered_ms, order
from workers.streams.redis_errors import redis_errors
from workers.streams.tries import tries_key

_TRIM: Final = (Path(__file__).parent / "trim.lua").read_text()
_FORGET: Final = (Path(__file__).parent / "forget_consumers.lua").read_text()
_PORTION: Final = 10_000
"""Entries per step: a script blocks the whole server, about 1 ms for this many."""
_TRIES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a stream and the group that reads it.

    Args:
        stream: full name of the stream.
        group: the engine's group that reads the stream; None if only others read it. Every group
            counts, foreign ones too; until this group exists, it counts as having read nothing.
        keep: number of the newest entries that always stay, for late readers.
        retention_ms: how long an entry is kept for a group that has not acknowledged it,
            milliseconds of Redis's clock; None keeps it for ever.
    """

    stream: str
    group: str | None
    keep: int = 0
    retention_ms: int | None = None


class Need(NamedTuple):
    """The entries of a stream that a group still needs."""

    group: str
    oldest: str | None
    """The oldest entry that the group has not read or not acknowledged."""


class Trimmed(NamedTuple):
    """Result of one step, with the state of the stream."""

    entries: int
    """Number of entries removed."""
    more: bool
    """True if there may be more to remove at once."""
    now_ms: int
    """Redis's clock, milliseconds since 1970."""
    first: str
    """The stream has no entry below this id any more."""
    needs: tuple[Need, ...]
    """The needs of each group before the step."""

    def age_s(self, entry_id: str) -> float:
        """Return the age of an entry in seconds."""
        return (self.now_ms - entered_ms(entry_id)) / 1000


class Trimmer:
    """Remove entries from streams in short atomic steps.

    Args:
        client: a connection to the Redis of the streams.
        portion: the most entries removed by one step; 1 or more.
    """

    def __init__(self, client: Redis, *, portion: int = _PORTION) -> None:
        self._client = client
        self._portion = portion
        self._trim = client.register_script(_TRIM)
        self._forget = client.register_script(_FORGET)

    async def trim(self, bounds: Bounds) -> Trimmed:
        """Remove one portion of the entries outside the bounds; call again while there is more.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no stream, or permission is missing.
        """
        retention = -1 if bounds.retention_ms is None else bounds.retention_ms
        with redis_errors():
            answer: Any = await self._trim(
                keys=[bounds.stream],
                args=[bounds.group or "", bounds.keep, retention, self._portion],
            )
        entries, more, now_ms, first, *needs = answer
        return Trimmed(
            entries,
            bool(more),
            now_ms,
            text_of(first),
            tuple(
                Need(text_of(name), text_of(oldest) or None)
                for name, oldest in zip(needs[::2], needs[1::2], strict=True)
            ),
        )

    async def forget_consumers(
        self, stream: str, group: str, *, idle_ms: int, consumer: str
    ) -> list[str]:
        """Remove the names of dead consumers that have no pending entry.

        Args:
            stream: name of the stream.
            group: its group.
            idle_ms: a consumer silent for longer is dead, milliseconds.
            consumer: this worker's name, never removed.

        Returns:
            The names removed; none if the stream or the group does not exist.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no stream, or permission is missing.
        """
        with redis_errors():
            names: Any = await self._forget(keys=[stream], args=[group, idle_ms, consumer])
        return [text_of(name) for name in names]

    async def forget_tries(self, stream: str, below: str) -> int:
        """Forget the tries of entries that were removed from a stream.

        Args:
            stream: name of the stream.
            below: the stream has no entry below this id any more.

        Returns:
            Number of entries forgotten.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no hash.
        """
        floor, forgotten, cursor = order(below), 0, 0
        with redis_errors():
            while True:
                answer: Any = await self._client.hscan(
                    tries_key(stream), cursor, count=_TRIES_AT_ONCE
                )
                cursor, fields = answer
                gone = [name for name in fields if order(text_of(name)) < floor]
                if gone:
                    forgotten += int(await self._client.hdel(tries_key(stream), *gone))
                if not cursor:
                    return forgotten
