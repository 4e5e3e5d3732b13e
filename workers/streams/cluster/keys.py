"""Positions of the keys in the commands of the engine."""

from typing import Any


class FirstKey:
    """Finds the keys of a command without asking a server.

    redis-py's own parser loads the table of all commands at each look at the topology, and asks one
    fixed node for the keys of each XREAD and XREADGROUP. That is a second round trip for each read,
    and no shard could be read while that node is away. Each command of the engine names its key
    first, or behind STREAMS. Scripts are not asked about: they name the number of their keys.
    """

    async def initialize(self, node: Any = None) -> None:
        """Do nothing: there is no table to load."""

    async def get_keys(self, name: str, *arguments: Any) -> list[Any]:
        """Return the keys of a command; empty if it has no arguments."""
        if name in {"XREAD", "XREADGROUP"}:
            words = [word.encode() if isinstance(word, str) else word for word in arguments]
            streams = arguments[words.index(b"STREAMS") + 1 :]
            return list(streams[: len(streams) // 2])
        if name in {"XGROUP", "XINFO"}:
            return list(arguments[1:2])
        return list(arguments[:1])
