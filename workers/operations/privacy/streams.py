"""The streams' entries that are a learner's: found page by page, and taken out."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from contracts.streams import (
    ENGINE_GROUP,
    EVENT_FIELD,
    GRAPH_GROUP,
    JOBS,
    JOBS_GROUP,
    Shard,
    shards,
)
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.reading import DeadLetters, redriven_key
from workers.operations.dead_letters.selection import Selection
from workers.operations.jobs.record import JobRecord
from workers.operations.jobs.records import JobRecords
from workers.operations.privacy.belonging import Belonging, version_of
from workers.streams.redis_errors import redis_errors
from workers.streams.redriven import accepted_key
from workers.streams.tries import tries_key

_SCRIPT: Final = (Path(__file__).parent / "remove.lua").read_text()
_FIELD: Final = EVENT_FIELD.encode()
_PAGE: Final = 200
"""Entries read at once: with the largest events accepted by default some 20 MB."""

Fields = dict[bytes, bytes]


class Entry(NamedTuple):
    """An entry of a stream."""

    stream: str
    entry_id: str
    fields: Fields

    @property
    def event(self) -> bytes:
        """What it holds in its field `event`."""
        return self.fields.get(_FIELD, b"")

    @property
    def entered_ms(self) -> int:
        """When it entered its stream, by Redis's clock, milliseconds since 1970."""
        return entered_ms(self.entry_id)


class LearnerStreams:
    """All streams, as far as they hold something of one learner.

    Args:
        client: a connection to the Redis of the streams.
        shard_count: ``STREAM_SHARDS``.
        belonging: tells which entries are the learner's.
    """

    def __init__(self, client: Redis, shard_count: int, belonging: Belonging) -> None:
        self._client = client
        self._belonging = belonging
        self._letters = DeadLetters(client, shard_count, belonging.tenant_claim)
        self._records = JobRecords(client)
        self._remove = client.register_script(_SCRIPT)
        self.shards: tuple[Shard, ...] = shards(shard_count)

    async def now_ms(self) -> int:
        """Redis's clock, milliseconds since 1970.

        Raises:
            RedisUnavailable: Redis is away.
        """
        with redis_errors():
            seconds, micros = await self._client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def responses(self) -> AsyncIterator[list[Entry]]:
        """The learner's entries of the responses streams, in pages, empty ones included."""
        for shard in self.shards:
            async for page in self._pages(shard.responses):
                yield page

    async def mastery(self) -> AsyncIterator[list[Entry]]:
        """The learner's entries of the mastery streams, likewise."""
        for shard in self.shards:
            async for page in self._pages(shard.mastery):
                yield page

    async def unlocked(self) -> AsyncIterator[list[Entry]]:
        """The learner's entries of the streams of unlocked concepts, likewise."""
        for shard in self.shards:
            async for page in self._pages(shard.unlocked):
                yield page

    async def jobs(self) -> AsyncIterator[list[Entry]]:
        """The learner's entries of the jobs stream, likewise."""
        async for page in self._pages(JOBS):
            yield page

    async def job_records(self) -> AsyncIterator[list[JobRecord]]:
        """The records of jobs about the learner, or asked for by them, likewise."""
        key = self._belonging.key
        async for page in self._records.of_student(key.tenant_id, key.student_id):
            yield page

    async def letters(self) -> AsyncIterator[list[DeadLetter]]:
        """The dead letters whose event is the learner's, likewise."""
        async for page in self._letters.pages(Selection()):
            yield [one for one in page if self._owns(one)]

    async def take_responses(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out what entered the responses streams up to a moment, whoever holds it.

        Whoever holds it publishes nothing then. Returns how many there were.
        """
        gone = 0
        for shard in self.shards:
            hashes = [accepted_key(shard.responses), tries_key(shard.responses)]
            async for page in self._pages(shard.responses):
                ids = [one.entry_id for one in page if one.entered_ms <= until_ms]
                gone += len(ids)
                if not dry_run:
                    await self._take(shard.responses, ENGINE_GROUP, ids, hashes, force=True)
        return gone

    async def take_jobs(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out the learner's jobs that entered up to a moment; returns how many there were."""
        gone = 0
        async for page in self._pages(JOBS):
            ids = [one.entry_id for one in page if one.entered_ms <= until_ms]
            gone += len(ids)
            if not dry_run:
                await self._take(JOBS, JOBS_GROUP, ids, [], force=True)
        return gone

    async def take_job_records(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out the records of such jobs of which the request entered up to a moment.

        A worker that is at one of them gives it up. Returns how many there were.
        """
        gone = 0
        async for page in self.job_records():
            keys = [one.key for one in page if entered_ms(one.entry_id or "0") <= until_ms]
            gone += len(keys)
            if keys and not dry_run:
                await self._records.remove(keys)
        return gone

    async def take_mastery(
        self, until: Callable[[Entry], bool], *, force: bool, dry_run: bool = False
    ) -> tuple[int, int]:
        """Take out mastery events; one that the projector holds only by force.

        Args:
            until: which of the learner's.
            force: whether those go as well that the projector holds.
            dry_run: only count.

        Returns:
            How many went, and how many are held.
        """
        gone = held = 0
        for shard in self.shards:
            async for page in self._pages(shard.mastery):
                ids = [one.entry_id for one in page if until(one)]
                if dry_run:
                    gone += len(ids)
                    continue
                hashes = [tries_key(shard.mastery)]
                went, stay = await self._take(shard.mastery, GRAPH_GROUP, ids, hashes, force=force)
                gone, held = gone + went, held + stay
        return gone, held

    async def take_unlocked(self, until: Callable[[Entry], bool], *, dry_run: bool = False) -> int:
        """Take out events about unlocked concepts; returns how many there were.

        Args:
            until: which of the learner's.
            dry_run: only count.
        """
        gone = 0
        async for page in self.unlocked():
            for one in page:
                if until(one):
                    gone += 1
                    if not dry_run:
                        # No group of ours reads them.
                        await self._take(one.stream, "", [one.entry_id], [], force=True)
        return gone

    async def take_letters(
        self, chosen: Callable[[DeadLetter], bool], *, dry_run: bool = False
    ) -> int:
        """Take out dead letters with what is noted of their being sent again; returns how many."""
        gone = 0
        async for page in self.letters():
            letters = [one for one in page if chosen(one)]
            gone += len(letters)
            if dry_run or not letters:
                continue
            with redis_errors():
                async with self._client.pipeline(transaction=True) as pipeline:
                    for one in letters:
                        pipeline.xdel(one.shard.rejected, one.id.entry_id)
                        pipeline.hdel(redriven_key(one.shard.rejected), one.id.entry_id)
                        if one.redriven_as is not None:
                            pipeline.hdel(accepted_key(one.shard.responses), one.redriven_as)
                    await pipeline.execute()
        return gone

    async def pending(self, after_ms: int, until_ms: int) -> int:
        """How many of the learner's responses of a span of time some worker holds."""
        held = 0
        for shard in self.shards:
            async for page in self._pages(shard.responses, f"({after_ms}-18446744073709551615"):
                for one in page:
                    if one.entered_ms <= until_ms:
                        held += await self._is_pending(shard.responses, one.entry_id)
        return held

    async def _is_pending(self, stream: str, entry_id: str) -> bool:
        with redis_errors():
            groups: Any = await self._client.xinfo_groups(stream)
            if all(group["name"] != ENGINE_GROUP.encode() for group in groups):
                return False
            rows: Any = await self._client.xpending_range(
                stream, ENGINE_GROUP, entry_id, entry_id, 1
            )
        return bool(rows)

    async def _take(
        self, stream: str, group: str, ids: Sequence[str], hashes: list[str], *, force: bool
    ) -> tuple[int, int]:
        if not ids:
            return 0, 0
        arguments = [group, "force" if force else "", *ids]
        with redis_errors():
            gone, held = await self._remove(keys=[stream, *hashes], args=arguments)
        return int(gone), len(held)

    async def _pages(self, stream: str, first: str = "-") -> AsyncIterator[list[Entry]]:
        """A stream to its present end: what is added meanwhile is not run after."""
        with redis_errors():
            newest: Any = await self._client.xrevrange(stream, count=1)
        if not newest:
            return
        last = newest[0][0].decode()
        while True:
            with redis_errors():
                rows: Any = await self._client.xrange(stream, first, last, count=_PAGE)
            if not rows:
                return
            yield [
                Entry(stream, entry_id.decode(), fields)
                for entry_id, fields in rows
                if self._belonging.owns_entry(fields)
            ]
            first = f"({rows[-1][0].decode()}"

    def _owns(self, letter: DeadLetter) -> bool:
        event = letter.event
        if event is None:
            # It had no field `event`: all of its fields are quoted as text.
            event = (letter.text("event") or "").encode()
        return self._belonging.owns(event)


def entered_ms(entry_id: str) -> int:
    """The moment that an entry's id is of, milliseconds since 1970."""
    return int(entry_id.partition("-")[0])


def letter_until(until_ms: int, version: int) -> Callable[[DeadLetter], bool]:
    """Which dead letters are of before an erasure.

    Args:
        until_ms: what entered the streams up to then is erased.
        version: no mastery event of before has a higher one.
    """

    def chosen(letter: DeadLetter) -> bool:
        # A response may carry any field, so one of this name too.
        of_mastery = letter.text("stream") == letter.shard.mastery
        told = version_of(letter.event or b"") if of_mastery else None
        if told is not None:
            return told <= version
        entry_id = letter.text("entry_id") or letter.id.entry_id
        try:
            return entered_ms(entry_id) <= until_ms
        except ValueError:
            return True

    return chosen
