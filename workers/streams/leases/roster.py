"""The live workers that share the responses streams."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from contracts.streams import RESPONSES
from workers.common.text import text_of
from workers.streams.leases.lease import TTL_S, answered

_BEAT: Final = (Path(__file__).parent / "roster.lua").read_text()

ROSTER_KEY: Final = f"{RESPONSES}:workers"
"""Hash of the live workers: name to when it joined, its last beat, its number of shards."""


class Member(NamedTuple):
    """A live worker; the older sorts first."""

    joined_ms: int
    """When it joined, by Redis's clock, milliseconds since 1970."""
    name: str
    shard_count: int
    """Its ``STREAM_SHARDS``."""


class Roster:
    """This worker among the live workers of its role.

    Args:
        client: a connection to the Redis of the streams.
        name: this worker's name, which no other live worker uses.
        shard_count: ``STREAM_SHARDS``.
        silence_s: a worker that is silent for longer is dead, seconds.
    """

    def __init__(
        self, client: Redis, name: str, shard_count: int, *, silence_s: float = TTL_S
    ) -> None:
        self.name = name
        self._client = client
        self._shard_count = shard_count
        self._silence_ms = int(silence_s * 1000)
        self._beat = client.register_script(_BEAT)

    async def beat(self) -> list[Member]:
        """Say that this worker is alive; return all live workers, the oldest first.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: permission is missing, or the key is no hash.
        """
        rows: Any = await answered(
            self._beat(keys=[ROSTER_KEY], args=[self.name, self._shard_count, self._silence_ms])
        )
        return sorted(
            Member(int(joined), text_of(name), int(count)) for name, joined, count in rows
        )

    async def leave(self) -> None:
        """Say that this worker takes no lease any more.

        Raises:
            RedisUnavailable: the others notice by its silence.
            StreamRefused: permission is missing.
        """
        call: Any = self._client.hdel(ROSTER_KEY, self.name)
        await answered(call)
