"""Lua scripts on a Redis Cluster."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError


class ClusterScript:
    """A script that runs on the node of its keys, wherever that is at the moment.

    A node that was promoted, or to which a slot was moved, does not know the scripts of the node
    before it. redis-py would load the script into all masters, and fail if any of them is away; the
    text of the script itself needs only the one.

    Args:
        client: a client of the cluster.
        text: the script.
    """

    def __init__(self, client: Any, text: str | bytes) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(
            text if isinstance(text, bytes) else text.encode(), usedforsecurity=False
        ).hexdigest()

    async def __call__(
        self,
        keys: Sequence[Any] = (),
        args: Iterable[Any] = (),
        client: Any = None,
    ) -> Any:
        """Run the script; all keys must be in one slot.

        Args:
            keys: every key that the script touches.
            args: the other arguments.
            client: another client to run it with.
        """
        client = client or self._client
        values = (*keys, *args)
        try:
            return await client.evalsha(self._sha, len(keys), *values)
        except NoScriptError:
            return await client.eval(self._text, len(keys), *values)
