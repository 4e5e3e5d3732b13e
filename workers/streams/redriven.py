"""Records of when the event of a redriven entry was first accepted.

A redriven entry is a new entry with a new id, but the validity of its token depends on when the
event entered the stream for the first time. Redriving stores the first entry's id in a hash beside
the stream, in the same step as it adds the new entry. The entry itself carries only a marker, so
that ordinary entries cost no lookup. Publishers may XADD to the stream but write no hash, so a
marker without a record proves nothing.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import JOBS
from workers.common.errors import StreamRefused
from workers.streams.batch import RawEntry
from workers.streams.redis_errors import redis_errors

MARKER: Final = b"redriven"
"""Field that marks an entry for the lookup; its value is ignored."""

_ENTRY_ID: Final = re.compile(rb"\d{1,20}-\d{1,20}")


def accepted_key(stream: str) -> str:
    """Return the key of the hash from redriven to first entry ids, in the stream's slot."""
    if stream == JOBS:
        # Its name has no braces; it holds nothing, but scripts that take letters away name it.
        stream = f"{{{JOBS}}}"
    return f"{stream}:accepted"


class RedriveOrigins:
    """Look up the id under which the event of a redriven entry first entered the stream.

    A record lives as long as the dead letter that was redriven, so that a redelivery of any age
    finds it (`workers.operations.dead_letters.purging`).

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def resolve(self, stream: str, entries: Sequence[RawEntry]) -> list[RawEntry]:
        """Return the same entries in the same order, each redriven one with its first entry's id.

        Entries without the marker need no lookup; an entry with a forged marker stays as it is.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: the records are not in our format.
        """
        marked = [entry.entry_id for entry in entries if MARKER in entry.fields]
        if not marked:
            return list(entries)
        key = accepted_key(stream)
        with redis_errors():
            origins: Any = await self._client.hmget(key, marked)
        first = {new: _entry_id(key, new, old) for new, old in zip(marked, origins, strict=True)}
        return [entry._replace(redriven_from=first.get(entry.entry_id)) for entry in entries]


def _entry_id(key: str, entry_id: str, value: bytes | None) -> str | None:
    if value is not None and not _ENTRY_ID.fullmatch(value):
        raise StreamRefused(
            f"the field {entry_id} of {key} is no id of an entry: delete it; nothing but "
            "`mastery rejected redrive` may write there"
        )
    return value.decode() if value is not None else None
