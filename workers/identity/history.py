"""The known keys of an issuer, kept in Redis for all workers and across restarts.

Publishers may only XADD and not write hashes, so no publisher can add a key.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from workers.common.errors import StreamRefused
from workers.identity.keys import Key, KeySet, usable_key
from workers.streams.redis_errors import redis_errors

_MERGE: Final = (Path(__file__).parent / "merge.lua").read_text()
_KEPT_MS: Final = 30 * 24 * 3600 * 1000
"""Longer than an entry may be queued; after this time an unused issuer is forgotten."""
_PREFIX: Final = "practice.keys"


def keys_key(url: str) -> str:
    """Name the Redis hash of an issuer, by the URL of its key set."""
    return f"{_PREFIX}:{hashlib.sha256(url.encode()).hexdigest()[:16]}"


class KeyHistory:
    """Merge each fetched key set into the known keys.

    A known key that a set lacks is retired as of the start of that fetch. It is kept for as long as
    an entry may be queued, and then forgotten.

    Args:
        client: a connection to the Redis of the streams.
        url: the address of the key set.
        algorithms: the algorithms of tokens.
        keep_ms: how long a retired key is kept, milliseconds.
    """

    def __init__(self, client: Redis, url: str, algorithms: tuple[str, ...], keep_ms: int) -> None:
        self._key = keys_key(url)
        self._algorithms = algorithms
        self._keep_ms = keep_ms
        self._script = client.register_script(_MERGE)
        self._read: dict[bytes, Key | None] = {}

    async def merge(self, keys: Sequence[Key] = (), began_ms: int = 0) -> KeySet:
        """Merge a fetched key set and return all known keys; repeating it changes nothing.

        Args:
            keys: the fetched set; empty if none was fetched.
            began_ms: time at which the fetch began, by Redis's clock, milliseconds since 1970.

        Raises:
            RedisUnavailable: try again.
            StreamRefused: Redis refuses, or the content of the hash was not written by the engine.
        """
        arguments: list[str | int] = [began_ms, self._keep_ms, self._keep_ms + _KEPT_MS]
        for key in keys:
            arguments += [_digest(key), json.dumps(dict(key.jwk), sort_keys=True)]
        with redis_errors():
            known: Any = await self._script(keys=[self._key], args=arguments)
        try:
            return self._snapshot(dict(zip(known[::2], known[1::2], strict=True)))
        except (ValueError, AttributeError):
            raise StreamRefused(
                f"{self._key} holds what the engine did not write: delete it; the keys are fetched "
                "again"
            ) from None

    def _snapshot(self, known: dict[bytes, bytes]) -> KeySet:
        keys = []
        for name, value in known.items():
            kind, _, digest = name.partition(b" ")
            if kind != b"jwk":
                continue
            if value not in self._read:
                self._read[value] = usable_key(json.loads(value), self._algorithms)
            key = self._read[value]
            retired = known.get(b"retired " + digest)
            if key is not None:
                keys.append(key.retired(None if retired is None else int(retired)))
        self._read = {value: key for value, key in self._read.items() if value in known.values()}
        fetched = known.get(b"fetched")
        return KeySet(tuple(keys), None if fetched is None else int(fetched))


def _digest(key: Key) -> str:
    return hashlib.sha256(key.identity.encode()).hexdigest()
