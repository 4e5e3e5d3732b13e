"""The lines of a text file, with a bound on those that make up one row."""

from collections.abc import Iterator
from typing import Final, TextIO

MOST_CHARACTERS: Final = 1_048_576
"""Most characters of a row: its cells, commas, quotes and line ends."""


class RowTooLongError(ValueError):
    """A row has more than `MOST_CHARACTERS` characters."""


class RowLines(Iterator[str]):
    """Reads lines and never more than one row may have.

    A row may span lines, because a quoted cell may hold line ends. Its reader calls `next_row`
    after each whole row.

    Args:
        file: a text file.

    Iteration raises:
        RowTooLongError: the row is too long; its rest is not read.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._left = MOST_CHARACTERS

    def next_row(self) -> None:
        """Begin a row."""
        self._left = MOST_CHARACTERS

    def __next__(self) -> str:
        """Return the next line with its end."""
        line = self._file.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left < 0:
            raise RowTooLongError
        return line
