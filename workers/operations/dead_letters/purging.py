"""Delete dead letters for good."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP
from workers.operations.dead_letters.dead_letter import DeadLetter
from workers.operations.dead_letters.outcome import Fate, Outcome, by_shard
from workers.operations.dead_letters.reading import redriven_key
from workers.streams.redis_errors import redis_errors
from workers.streams.redriven import accepted_key

_SCRIPT: Final = (Path(__file__).parent / "purge.lua").read_text()
_FATES: Final = {b"purged": Fate.PURGED, b"waiting": Fate.ON_ITS_WAY, b"gone": Fate.MISSING}


class Purger:
    """Deletes dead letters, with the notes about their being sent again.

    A letter stays while the entry as which it was sent again is unread or pending, because the
    first acceptance of that entry is noted with the letter.

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._script = client.register_script(_SCRIPT)

    async def purge(self, letters: Sequence[DeadLetter], *, dry_run: bool = False) -> list[Outcome]:
        """Delete letters, those of a shard in one step; safe to repeat.

        Args:
            letters: a few hundred at most.
            dry_run: only report what would be deleted.

        Raises:
            RedisUnavailable: Redis is away; some may have been deleted.
            StreamRefused: a key is not what it must be.
        """
        outcomes = []
        for shard, group in by_shard(letters):
            keys = [
                shard.rejected,
                redriven_key(shard.rejected),
                shard.responses,
                accepted_key(shard.responses),
            ]
            arguments = [
                ENGINE_GROUP,
                "0" if dry_run else "1",
                *(letter.id.entry_id for letter in group),
            ]
            with redis_errors():
                answers: Any = await self._script(keys=keys, args=arguments)
            outcomes += [
                Outcome(letter, _FATES[word], sent.decode() or None)
                for letter, (word, sent) in zip(group, answers, strict=True)
            ]
        return outcomes
