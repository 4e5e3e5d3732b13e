"""Bounds of the streams: removing what nobody needs any more, and nothing else."""

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
"""A script stops the whole server while it runs: so many entries are about a millisecond."""
_TRIES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a stream keeps, and for whom.

    Args:
        stream: the stream's whole name.
        group: the group of ours that reads it; None where others alone do. Every group counts,
            foreign ones too; ours counts even before it exists, as one that has read nothing.
        keep: how many of the newest entries stay whatever happens, for those who come late.
        retention_ms: for so long an entry is kept for a group that has not acknowledged it,
            milliseconds of Redis's clock; None: for ever.
    """

    stream: str
    group: str | None
    keep: int = 0
    retention_ms: int | None = None


class Need(NamedTuple):
    """What a group still needs of a stream."""

    group: str
    oldest: str | None
    """The oldest entry that it has not read, or not acknowledged."""


class Trimmed(NamedTuple):
    """What one portion removed, and how the stream was found."""

    entries: int
    """How many entries it removed."""
    more: bool
    """Whether there may be more to remove at once."""
    now_ms: int
    """Redis's clock, milliseconds since 1970."""
    first: str
    """The id below which the stream has nothing any more."""
    needs: tuple[Need, ...]
    """Of each group, before the portion was removed."""

    def age_s(self, entry_id: str) -> float:
        """How long ago an entry was added, seconds."""
        return (self.now_ms - entered_ms(entry_id)) / 1000


class Trimmer:
    """Removes from streams, in steps that are atomic and short.

    Args:
        client: a connection to the Redis of the streams.
        portion: how many entries one step removes at most; 1 or more.
    """

    def __init__(self, client: Redis, *, portion: int = _PORTION) -> None:
        self._client = client
        self._portion = portion
        self._trim = client.register_script(_TRIM)
        self._forget = client.register_script(_FORGET)

    async def trim(self, bounds: Bounds) -> Trimmed:
        """Remove one portion of what the bounds do not keep; call again while there is more.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no stream, or we may not.
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
        self, stream: str, group: str, *, idle_ms: int, own: str
    ) -> list[str]:
        """Remove the names of consumers that are gone, and to which nothing is pending.

        Args:
            stream: the stream.
            group: its group.
            idle_ms: a consumer silent for longer is gone, milliseconds.
            own: never removed.

        Returns:
            The names removed; none where stream or group do not exist.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no stream, or we may not.
        """
        with redis_errors():
            names: Any = await self._forget(keys=[stream], args=[group, idle_ms, own])
        return [text_of(name) for name in names]

    async def forget_tries(self, stream: str, below: str) -> int:
        """Forget the tries of entries that are gone from a stream.

        Args:
            stream: the stream.
            below: the id below which it has nothing any more.

        Returns:
            Of how many entries.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the key is no hash.
        """
        floor, forgotten, cursor = order(below), 0, 0
        with redis_errors():
            while True:
                found: Any = await self._client.hscan(
                    tries_key(stream), cursor, count=_TRIES_AT_ONCE
                )
                cursor, fields = found
                gone = [name for name in fields if order(text_of(name)) < floor]
                if gone:
                    forgotten += int(await self._client.hdel(tries_key(stream), *gone))
                if not cursor:
                    return forgotten
