"""Make text of others safe to print on a terminal."""

import unicodedata
from typing import Final

_UNSAFE: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that can move the cursor, reverse text or break lines."""


def plain(text: str, keep: str = "") -> str:
    """Return a text with its control and format characters as escapes.

    Args:
        text: any text of a publisher.
        keep: characters to leave unescaped.
    """
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _UNSAFE
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
