"""The source and the ids of published events."""

from hashlib import sha1
from typing import Final
from uuid import UUID

SOURCE: Final = "/mastery-engine"
"""The CloudEvents `source` of every event that the engine publishes."""


def uuid5(namespace: UUID, name: str) -> str:
    """Return `str(uuid.uuid5(namespace, name))`, six times as fast.

    Each published event takes one.
    """
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
