"""Count the dead letters that wait, by code."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD
from workers.common.text import text_of
from workers.streams.redis_errors import redis_errors

_FIELD: Final = EVENT_FIELD.encode()
_PAGE: Final = 100
_MOST: Final = 5_000
"""Entries that one count reads at most; the next one goes on from there."""
UNKNOWN: Final = "unknown"
"""The code of an entry that is not a rejection of ours."""


class Waiting(NamedTuple):
    """The dead letters that wait."""

    total: int
    """Number of entries in all streams."""
    counted: int
    """Number of entries that `by_code` covers; below `total` until all are read."""
    by_code: dict[str, int]


@dataclass(slots=True)
class _Counted:
    after: str = "-"
    """First entry to read next, as XRANGE takes it."""
    counted: int = 0
    by_code: Counter[str] = field(default_factory=Counter)


class DeadLetterTally:
    """Counts the entries of the rejected streams, reading each entry once.

    After entries were purged it begins again.

    Args:
        client: a connection to the Redis of the streams.
        streams: the rejected streams of all shards.
        others: returns the rejected streams of shards of other counts.
    """

    def __init__(
        self,
        client: Redis,
        streams: Sequence[str],
        others: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._client = client
        self._streams = {stream: _Counted() for stream in streams}
        self._others = others
        self._once = asyncio.Lock()

    async def count(self) -> Waiting:
        """Return the number of entries by code.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: Redis refuses the command.
        """
        total, budget = 0, _MOST
        async with self._once:
            for stream in self._others():
                self._streams.setdefault(stream, _Counted())
            for stream in self._streams:
                budget -= await self._read(stream, budget)
                length = await self._length(stream)
                if length < self._streams[stream].counted:
                    self._streams[stream] = _Counted()
                    budget -= await self._read(stream, budget)
                    length = await self._length(stream)
                total += max(length, self._streams[stream].counted)
            by_code: Counter[str] = Counter()
            for counted in self._streams.values():
                by_code.update(counted.by_code)
        return Waiting(total, by_code.total(), dict(by_code.most_common()))

    async def _length(self, stream: str) -> int:
        with redis_errors():
            return int(await self._client.xlen(stream))

    async def _read(self, stream: str, budget: int) -> int:
        counted, read = self._streams[stream], 0
        while read < budget:
            with redis_errors():
                rows: Any = await self._client.xrange(stream, counted.after, "+", count=_PAGE)
            for entry_id, fields in rows:
                counted.by_code[_code(fields.get(_FIELD))] += 1
                counted.after = f"({text_of(entry_id)}"
            counted.counted += len(rows)
            read += len(rows)
            if len(rows) < _PAGE:
                break
            await asyncio.sleep(0)
        return read


def _code(event: bytes | None) -> str:
    try:
        code = orjson.loads(event or b"")["data"]["code"]
    except (ValueError, LookupError, TypeError):
        return UNKNOWN
    return code if isinstance(code, str) else UNKNOWN
