"""Take a learner's entries, job records and dead letters out of the streams."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, JOBS, JOBS_GROUP
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.reading import redriven_key
from workers.operations.privacy.belonging import version_of
from workers.operations.privacy.streams import Entry, LearnerStreams
from workers.streams.entry_ids import entered_ms
from workers.streams.redis_errors import redis_errors
from workers.streams.redriven import accepted_key
from workers.streams.tries import tries_key

_SCRIPT: Final = (Path(__file__).parent / "remove.lua").read_text()


class LearnerRemoval:
    """Takes out what the streams hold of one learner, and counts it.

    With `dry_run` every method only counts. All of them raise `RedisUnavailable`.

    Args:
        streams: the learner's entries.
    """

    def __init__(self, streams: LearnerStreams) -> None:
        self._streams = streams
        self._remove = streams.client.register_script(_SCRIPT)

    async def responses(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out responses that entered up to a time, pending ones included.

        A worker that holds such a response publishes nothing then.
        """
        gone = 0
        for shard in self._streams.shards:
            hashes = [accepted_key(shard.responses), tries_key(shard.responses)]
            async for page in self._streams.entries(shard.responses):
                ids = [entry.entry_id for entry in page if entry.entered_ms <= until_ms]
                gone += len(ids)
                if not dry_run:
                    await self._take(shard.responses, ENGINE_GROUP, ids, hashes, force=True)
        return gone

    async def jobs(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out requests for jobs that entered up to a time."""
        gone = 0
        async for page in self._streams.jobs():
            ids = [entry.entry_id for entry in page if entry.entered_ms <= until_ms]
            gone += len(ids)
            if not dry_run:
                await self._take(JOBS, JOBS_GROUP, ids, [], force=True)
        return gone

    async def job_records(self, until_ms: int, *, dry_run: bool = False) -> int:
        """Take out the records of jobs whose request entered up to a time.

        A worker that runs such a job gives it up.
        """
        gone = 0
        async for page in self._streams.job_records():
            keys = [record.key for record in page if entered_ms(record.entry_id or "0") <= until_ms]
            gone += len(keys)
            if keys and not dry_run:
                await self._streams.records.remove(keys)
        return gone

    async def mastery(
        self, chosen: Callable[[Entry], bool], *, force: bool, dry_run: bool = False
    ) -> tuple[int, int]:
        """Take out mastery events.

        Args:
            chosen: which of the learner's.
            force: True: take out those too that the graph projector holds.
            dry_run: only count.

        Returns:
            How many were taken out, and how many stay because the projector holds them.
        """
        gone = kept = 0
        for shard in self._streams.shards:
            async for page in self._streams.entries(shard.mastery):
                ids = [entry.entry_id for entry in page if chosen(entry)]
                if dry_run:
                    gone += len(ids)
                    continue
                hashes = [tries_key(shard.mastery)]
                went, stay = await self._take(shard.mastery, GRAPH_GROUP, ids, hashes, force=force)
                gone, kept = gone + went, kept + stay
        return gone, kept

    async def unlocked(self, chosen: Callable[[Entry], bool], *, dry_run: bool = False) -> int:
        """Take out events about unlocked concepts.

        Args:
            chosen: which of the learner's.
            dry_run: only count.
        """
        gone = 0
        async for page in self._streams.unlocked():
            for entry in page:
                if chosen(entry):
                    gone += 1
                    if not dry_run:
                        # No group of ours reads them.
                        await self._take(entry.stream, "", [entry.entry_id], [], force=True)
        return gone

    async def letters(self, chosen: Callable[[DeadLetter], bool], *, dry_run: bool = False) -> int:
        """Take out dead letters, with the notes about their being sent again.

        Args:
            chosen: which of the learner's.
            dry_run: only count.
        """
        gone = 0
        async for page in self._streams.letters():
            letters = [letter for letter in page if chosen(letter)]
            gone += len(letters)
            if dry_run or not letters:
                continue
            with redis_errors():
                async with self._streams.client.pipeline(transaction=True) as pipeline:
                    for letter in letters:
                        rejected = letter.shard.rejected
                        pipeline.xdel(rejected, letter.id.entry_id)
                        pipeline.hdel(redriven_key(rejected), letter.id.entry_id)
                        if letter.redriven_as is not None:
                            accepted = accepted_key(letter.shard.responses)
                            pipeline.hdel(accepted, letter.redriven_as)
                    await pipeline.execute()
        return gone

    async def _take(
        self, stream: str, group: str, ids: Sequence[str], hashes: list[str], *, force: bool
    ) -> tuple[int, int]:
        if not ids:
            return 0, 0
        arguments = [group, "force" if force else "", *ids]
        with redis_errors():
            gone, kept = await self._remove(keys=[stream, *hashes], args=arguments)
        return int(gone), len(kept)


def letter_until(until_ms: int, version: int) -> Callable[[DeadLetter], bool]:
    """Choose the dead letters from before an erasure.

    Args:
        until_ms: everything that entered the streams up to then is erased, milliseconds since
            1970.
        version: the highest version of a mastery event from before.
    """

    def chosen(letter: DeadLetter) -> bool:
        # A response may carry any field, so one named `version` too.
        of_mastery = letter.text("stream") == letter.shard.mastery
        event_version = version_of(letter.event or b"") if of_mastery else None
        if event_version is not None:
            return event_version <= version
        entry_id = letter.text("entry_id") or letter.id.entry_id
        try:
            return entered_ms(entry_id) <= until_ms
        except ValueError:
            return True

    return chosen
