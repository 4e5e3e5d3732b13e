"""Find the entries of all streams that belong to one learner, page by page."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, EVENT_FIELD, JOBS, Shard, shards
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.selection import Selection
from workers.operations.jobs.record import JobRecord
from workers.operations.jobs.records import JobRecords
from workers.operations.privacy.belonging import Belonging
from workers.streams.entry_ids import entered_ms
from workers.streams.redis_clock import latest_ms
from workers.streams.redis_errors import redis_errors

_FIELD: Final = EVENT_FIELD.encode()
_PAGE: Final = 200
"""Entries read at once: about 20 MB with the largest events accepted by default."""

Fields = dict[bytes, bytes]


class Entry(NamedTuple):
    """An entry of a stream."""

    stream: str
    entry_id: str
    fields: Fields

    @property
    def event(self) -> bytes:
        """The content of its field `event`; empty if it has none."""
        return self.fields.get(_FIELD, b"")

    @property
    def entered_ms(self) -> int:
        """Time at which it entered its stream, by Redis's clock, milliseconds since 1970."""
        return entered_ms(self.entry_id)


class LearnerStreams:
    """Reads what all streams hold of one learner.

    The methods that yield pages yield empty ones too, and raise `RedisUnavailable`.

    Args:
        client: a connection to the Redis of the streams.
        shard_count: ``STREAM_SHARDS``.
        belonging: decides which entries are the learner's.
        old: shards of other counts, whose streams may hold entries too.

    Attributes:
        client: as given.
        records: the records of jobs.
        shards: the streams of each shard.
    """

    def __init__(
        self, client: Redis, shard_count: int, belonging: Belonging, *, old: Sequence[Shard] = ()
    ) -> None:
        self.client = client
        self.records = JobRecords(client)
        self.shards: tuple[Shard, ...] = (*shards(shard_count), *old)
        self._belonging = belonging
        self._letters = DeadLetters(client, shard_count, belonging.tenant_claim, old=old)

    async def now_ms(self) -> int:
        """Return the time by Redis's clock, milliseconds since 1970; of masters the latest.

        Raises:
            RedisUnavailable: Redis is away.
        """
        return await latest_ms(self.client)

    async def responses(self) -> AsyncIterator[list[Entry]]:
        """Yield the learner's entries of the responses streams."""
        for shard in self.shards:
            async for page in self.entries(shard.responses):
                yield page

    async def mastery(self) -> AsyncIterator[list[Entry]]:
        """Yield the learner's entries of the mastery streams."""
        for shard in self.shards:
            async for page in self.entries(shard.mastery):
                yield page

    async def unlocked(self) -> AsyncIterator[list[Entry]]:
        """Yield the learner's entries of the streams of unlocked concepts."""
        for shard in self.shards:
            async for page in self.entries(shard.unlocked):
                yield page

    async def jobs(self) -> AsyncIterator[list[Entry]]:
        """Yield the learner's entries of the jobs stream."""
        async for page in self.entries(JOBS):
            yield page

    async def job_records(self) -> AsyncIterator[list[JobRecord]]:
        """Yield the records of jobs that concern the learner or were asked for by them."""
        key = self._belonging.key
        async for page in self.records.of_student(key.tenant_id, key.student_id):
            yield page

    async def letters(self) -> AsyncIterator[list[DeadLetter]]:
        """Yield the dead letters whose event is the learner's."""
        async for page in self._letters.pages(Selection()):
            yield [letter for letter in page if self._owns(letter)]

    async def pending(self, after_ms: int, until_ms: int) -> int:
        """Count the learner's responses in a span of time that a worker holds.

        Args:
            after_ms: only entries after this time, milliseconds since 1970.
            until_ms: only entries up to and including this time, likewise.
        """
        count = 0
        for shard in self.shards:
            async for page in self.entries(shard.responses, f"({after_ms}-18446744073709551615"):
                for entry in page:
                    if entry.entered_ms <= until_ms:
                        count += await self._is_pending(shard.responses, entry.entry_id)
        return count

    async def entries(self, stream: str, first: str = "-") -> AsyncIterator[list[Entry]]:
        """Yield the learner's entries of a stream, up to its end when the call begins.

        Args:
            stream: the whole name of the stream.
            first: the lowest entry id, as XRANGE takes it.
        """
        with redis_errors():
            newest: Any = await self.client.xrevrange(stream, count=1)
        if not newest:
            return
        last = newest[0][0].decode()
        while True:
            with redis_errors():
                rows: Any = await self.client.xrange(stream, first, last, count=_PAGE)
            if not rows:
                return
            yield [
                Entry(stream, entry_id.decode(), fields)
                for entry_id, fields in rows
                if self._belonging.owns_entry(fields)
            ]
            first = f"({rows[-1][0].decode()}"

    async def _is_pending(self, stream: str, entry_id: str) -> bool:
        with redis_errors():
            groups: Any = await self.client.xinfo_groups(stream)
            if all(group["name"] != ENGINE_GROUP.encode() for group in groups):
                return False
            rows: Any = await self.client.xpending_range(
                stream, ENGINE_GROUP, entry_id, entry_id, 1
            )
        return bool(rows)

    def _owns(self, letter: DeadLetter) -> bool:
        event = letter.event
        if event is None:
            # Its entry had no field `event`: the rejection quotes all of its fields as text.
            event = (letter.text("event") or "").encode()
        return self._belonging.owns(event)
