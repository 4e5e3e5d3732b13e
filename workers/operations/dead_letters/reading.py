"""Read the rejected streams page by page, in bounded memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import JOBS, JOBS_REJECTED, REJECTED, Shard, shards
from workers.common.errors import SettingsError
from workers.common.text import text_of
from workers.operations.dead_letters.dead_letter import (
    OF_JOBS,
    DeadLetter,
    DeadLetterId,
    read_dead_letter,
)
from workers.operations.dead_letters.selection import Selection
from workers.streams.cluster.client import on_cluster
from workers.streams.entry_ids import order
from workers.streams.redis_errors import redis_errors

_PAGE: Final = 200
"""Entries read at once: about 20 MB with the largest events accepted by default."""


def redriven_key(rejected: str) -> str:
    """Return the key of the hash from a letter's entry id to the id it was sent again as."""
    return f"{rejected}:redriven"


class DeadLetters:
    """Reads the dead letters of all shards: shard by shard, the oldest first.

    On a Redis Cluster those of jobs have a stream of their own, which comes last.

    Args:
        client: a connection to the Redis of the streams.
        shard_count: ``STREAM_SHARDS``.
        tenant_claim: dotted path of the claim that names the tenant.
        old: shards of other counts to read as well.
    """

    def __init__(
        self, client: Redis, shard_count: int, tenant_claim: str, *, old: Sequence[Shard] = ()
    ) -> None:
        self._client = client
        self._tenant_claim = tenant_claim
        numbers: Sequence[int | None] = range(shard_count) if shard_count else [None]
        self._shards: dict[int | None, Shard] = dict(zip(numbers, shards(shard_count), strict=True))
        self._shards |= {_number(shard): shard for shard in old}
        if on_cluster(client):
            self._shards[OF_JOBS] = Shard(JOBS, "", JOBS_REJECTED, "")

    async def get(self, ids: Sequence[DeadLetterId]) -> dict[DeadLetterId, DeadLetter]:
        """Return the letters of these ids that exist, in the order given.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: Redis refuses the command.
        """
        known = [letter_id for letter_id in dict.fromkeys(ids) if letter_id.shard in self._shards]
        with redis_errors():
            async with self._client.pipeline(transaction=False) as pipeline:
                for letter_id in known:
                    stream = self._shards[letter_id.shard].rejected
                    pipeline.xrange(stream, letter_id.entry_id, letter_id.entry_id)
                    pipeline.hget(redriven_key(stream), letter_id.entry_id)
                answers: list[Any] = await pipeline.execute()
        return {
            letter_id: replace(
                self._read(letter_id, rows[0][1]), redriven_as=redriven and text_of(redriven)
            )
            for letter_id, rows, redriven in zip(known, answers[::2], answers[1::2], strict=True)
            if rows
        }

    async def newest(self, selection: Selection, limit: int) -> list[DeadLetter]:
        """Return the newest letters of a selection, the newest first, of those that came last.

        Looks at 200 entries at most, shared evenly by the shards: an older letter is not found.

        Args:
            selection: the filter; its times are not looked at.
            limit: the most letters to return.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: Redis refuses the command.
        """
        each = max(1, _PAGE // len(self._shards))
        newest: list[DeadLetter] = []
        for number, shard in self._shards.items():
            with redis_errors():
                rows: Any = await self._client.xrevrange(shard.rejected, count=each)
            read = (self._read(DeadLetterId(number, text_of(row[0])), row[1]) for row in rows)
            taken = [letter for letter in read if selection.takes(letter)]
            newest += await self._redriven(shard.rejected, taken)
        newest.sort(key=lambda letter: order(letter.id.entry_id), reverse=True)
        return newest[:limit]

    async def ends(self) -> dict[int | None, str]:
        """Return the present end of each stream, beyond which a long run must not go.

        Events sent again may be refused again and land behind that end; without it a run might
        never finish.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: Redis refuses the command.
        """
        ends = {}
        for number, shard in self._shards.items():
            with redis_errors():
                newest: Any = await self._client.xrevrange(shard.rejected, count=1)
            ends[number] = newest[0][0].decode() if newest else "0-0"
        return ends

    async def pages(
        self,
        selection: Selection,
        *,
        after: DeadLetterId | None = None,
        ends: Mapping[int | None, str] | None = None,
    ) -> AsyncIterator[list[DeadLetter]]:
        """Yield the letters of a selection, in pages of any length, empty ones included.

        Args:
            selection: the filter.
            after: the letter to begin after; it may be gone.
            ends: see `ends`; None: read whatever there is.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: Redis refuses the command.
            SettingsError: the shard of `after` does not exist.
        """
        numbers = list(self._shards)
        if after is not None and after.shard not in self._shards:
            raise SettingsError(
                f"{after} is in a shard that does not exist: set STREAM_SHARDS as it was when that "
                "cursor was printed, or begin without it"
            )
        begin = numbers.index(after.shard) if after is not None else 0
        for number in numbers[begin:]:
            behind = after.entry_id if after is not None and number == after.shard else None
            async for page in self._pages_of(number, selection, behind, ends):
                yield page

    async def _pages_of(
        self,
        number: int | None,
        selection: Selection,
        behind: str | None,
        ends: Mapping[int | None, str] | None,
    ) -> AsyncIterator[list[DeadLetter]]:
        stream = self._shards[number].rejected
        last = selection.last
        first = selection.first
        if behind is not None and (first == "-" or order(first) <= order(behind)):
            first = f"({behind}"
        if last is None:
            return
        end = order(ends[number]) if ends is not None else None
        while True:
            with redis_errors():
                rows: Any = await self._client.xrange(stream, first, last, count=_PAGE)
            if end is not None:
                rows = [row for row in rows if order(text_of(row[0])) <= end]
            if not rows:
                return
            read = [self._read(DeadLetterId(number, row[0].decode()), row[1]) for row in rows]
            yield await self._redriven(
                stream, [letter for letter in read if selection.takes(letter)]
            )
            first = f"({rows[-1][0].decode()}"

    async def _redriven(self, stream: str, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Return the same letters, with the notes about their being sent again."""
        if not letters:
            return []
        with redis_errors():
            marks: Any = await self._client.hmget(
                redriven_key(stream), [letter.id.entry_id for letter in letters]
            )
        return [
            replace(letter, redriven_as=redriven and text_of(redriven))
            for letter, redriven in zip(letters, marks, strict=True)
        ]

    def _read(self, letter_id: DeadLetterId, fields: Mapping[bytes, bytes]) -> DeadLetter:
        return read_dead_letter(
            letter_id, self._shards[letter_id.shard], fields, self._tenant_claim
        )


def _number(shard: Shard) -> int | None:
    """Return the number in a shard's names; None for the plain names."""
    suffix = shard.rejected.removeprefix(REJECTED)
    return int(suffix.strip(".{}")) if suffix else None
