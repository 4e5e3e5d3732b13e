"""Share the responses streams between the live workers, one reader for each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog

from contracts.streams import Shard, shards
from workers.common.errors import Fatal, RedisUnavailable, Unavailable
from workers.common.tasks import end
from workers.streams.leases.leased_reader import LeasedReader
from workers.streams.leases.roster import Member, Roster
from workers.streams.leases.shares import share

_log = structlog.get_logger(__name__)

_PAUSE_S: Final = 0.5
_SETTLING_S: Final = 1.0
"""Time after an outage of Redis in which only the former readers take streams, seconds."""
_WANTING_S: Final = 0.1
"""Pause while a stream of our share is still held by another worker, seconds."""


class Readers:
    """Holds the leases of this worker's share of the streams.

    All live workers see the same list of workers and streams and compute the same shares, so they
    need no leader. A worker that has more than its share hands streams over in order; one that has
    less takes what is free.

    Args:
        roster: the live workers.
        make: makes the reader of a shard's responses.
        old: returns the shards of other counts whose responses are not drained.
        reading: called with the number of streams that this worker reads.
    """

    def __init__(
        self,
        *,
        roster: Roster,
        make: Callable[[Shard], LeasedReader],
        old: Callable[[], Iterable[Shard]] = tuple,
        reading: Callable[[int], None],
    ) -> None:
        self._roster = roster
        self._make = make
        self._old = old
        self._reading = reading
        self._readers: dict[str, LeasedReader] = {}
        self._wanted: tuple[Shard, ...] = ()
        self._wants = False
        self._read_before: set[str] = set()
        """Streams that this worker read when Redis went away: their batches are in flight here."""
        self._away_s = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = RedisUnavailable("no lease was asked for yet")

    @property
    def held(self) -> list[str]:
        """The streams that this worker reads."""
        return [reader.stream for reader in self._readers.values() if reader.held]

    @property
    def others(self) -> list[str]:
        """The streams that other workers read, or are about to."""
        held = set(self.held)
        return [shard.responses for shard in self._wanted if shard.responses not in held]

    async def start(self) -> None:
        """Take free streams up to this worker's share, and adjust to the others until stopped.

        Raises:
            RedisUnavailable: Redis is away.
            StreamRefused: permission is missing.
        """
        await self._adjust()
        self._error = None
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Hand all streams over; return when they are."""
        if self._task is None:
            return
        await end([self._task])
        try:
            await self._roster.leave()
        except Unavailable as error:
            _log.warning("roster_not_left", error=str(error))
        # The leases must not run out while batches in flight are finished.
        self._task = asyncio.create_task(self._run(self._extend))
        for reader in self._readers.values():
            reader.hand_over()
        await asyncio.gather(*(reader.ended() for reader in self._readers.values()))

    async def abandon(self) -> None:
        """Drop what `stop` has not finished."""
        if self._task is not None:
            await end([self._task])
            self._task = None
        await asyncio.gather(*(reader.abandon() for reader in self._readers.values()))
        self._reading(0)

    def check(self) -> None:
        """Return if this worker reads its share of the streams, or stands by.

        Raises:
            MasteryError: the reason why it does not.
        """
        if self._error is not None:
            raise self._error
        silent = [reader.stream for reader in self._readers.values() if reader.silent]
        if silent:
            raise RedisUnavailable(f"nothing reads {', '.join(silent)}")

    async def _run(self, step: Callable[[], Awaitable[None]] | None = None) -> None:
        while True:
            await asyncio.sleep(_WANTING_S if self._wants else _PAUSE_S)
            try:
                await (step or self._adjust)()
                self._error = None
            except (Unavailable, Fatal) as error:
                self._error = error
                self._away_s = time.monotonic()
                self._read_before.update(self.held)
                for reader in self._readers.values():
                    reader.check()
            except Exception as error:  # noqa: BLE001  # leases must not run out for it
                _log.warning("leases_failed", error=str(error), exc_info=True)

    async def _extend(self) -> None:
        """Extend all leases; one that its server does not answer for keeps no other from it."""
        calls = (reader.extend() for reader in self._readers.values())
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _adjust(self) -> None:
        """Extend the leases, then hand over what is too much, or take what is missing."""
        try:
            await self._extend()
        except Unavailable:
            # Another master of a Redis Cluster may have the list: the others must not take this
            # worker for dead.
            await self._roster.beat()
            raise
        members = await self._roster.beat()
        self._wanted = self._streams_of(members)
        names = [member.name for member in members]
        rank = names.index(self._roster.name)
        mine = share(len(self._wanted), len(members), rank)
        wanted = {shard.responses for shard in self._wanted}
        for reader in self._readers.values():
            if reader.held and reader.stream not in wanted:
                reader.hand_over()
        held = self.held
        for stream in held[mine:]:
            self._readers[stream].hand_over()
        settled = time.monotonic() > self._away_s + _SETTLING_S
        if settled:
            self._read_before.clear()
        first = rank * len(self._wanted) // len(members)
        await self._take(
            mine - len(held),
            # Workers that start together begin at different ones.
            [
                shard
                for shard in (*self._wanted[first:], *self._wanted[:first])
                if settled or shard.responses in self._read_before
            ],
        )
        self._wants = len(self.held) < mine
        self._reading(len(self.held))

    def _streams_of(self, members: Sequence[Member]) -> tuple[Shard, ...]:
        """Return the shards of all counts that live workers have, and old ones not drained."""
        counts = sorted({member.shard_count for member in members})
        own = [shard for count in counts for shard in shards(count)]
        return tuple(dict.fromkeys([*own, *self._old()]))

    async def _take(self, missing: int, among: Iterable[Shard]) -> None:
        """Take so many streams, as far as they are free."""
        for shard in among:
            if missing <= 0:
                return
            if shard.responses not in self._readers:
                self._readers[shard.responses] = self._make(shard)
            missing -= await self._readers[shard.responses].acquire()
