"""CSV files of responses, plain or gzipped, read row by row."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO
from uuid import UUID, uuid5

from workers.common.errors import InputFileError
from workers.common.times import to_us
from workers.importing.csv_values import (
    CellError,
    concepts_of,
    identifier,
    moment_of,
    place_of,
    score_of,
)
from workers.importing.row_lines import MOST_CHARACTERS, RowLines, RowTooLongError

NAMESPACE: Final = UUID("6c1d2a5e-9f0b-5b57-8d0e-2a1c7f3e4b96")
"""Namespace of response ids made from rows: the same row in any file is the same response."""

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Start of a file without times: an answer's `order` is the number of seconds since then."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNIT: Final = "\x1f"  # no id contains a control character


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns.

    Args:
        student: the student's id.
        item: the item's id.
        concept: the ids of its concepts.
        correct: the score.
        order: the answer's place in the student's sequence.
        time: the time of the answer; if it is named, `order` is not read.
    """

    student: str = "student"
    item: str = "item"
    concept: str = "concept"
    correct: str = "correct"
    order: str = "order"
    time: str | None = None

    def needed(self) -> dict[str, str]:
        """List the columns that are read, by the option that chooses each."""
        when = {"order": self.order} if self.time is None else {"time": self.time}
        return {
            "student": self.student,
            "item": self.item,
            "concept": self.concept,
            "correct": self.correct,
            **when,
        }


@dataclass(frozen=True, slots=True)
class CsvResponse:
    """One row: an answer of one student to one item."""

    row: int
    """Number of the row; the first below the header is 1."""
    response_id: str
    student_id: str
    item_id: str
    concept_ids: tuple[str, ...]
    score: float
    """In [0, 1]."""
    answered_at: datetime
    """In UTC."""

    def fields(self) -> dict[str, object]:
        """Write the row as `data.response` of a `practice.response.recorded.v1` event."""
        whole = self.score in (0.0, 1.0)
        return {
            "response_id": self.response_id,
            "student_id": self.student_id,
            "item_id": self.item_id,
            "concept_ids": self.concept_ids,
            **({"correct": self.score == 1.0} if whole else {"score": self.score}),
            "answered_at": self.answered_at,
        }


class CsvResponses:
    """Responses of a file; each iteration reads the file again, one row at a time.

    The id of a response depends on student, order (or time) and item. A file that is published
    twice, or shuffled, therefore repeats its responses and adds none. Rows equal in all three are
    different answers; they are numbered in file order, which takes about 150 bytes per row.

    Args:
        path: the file; gzipped if its name ends in .gz or its first bytes say so.
        columns: the names of the columns.
        separator: the text between concepts of a cell; a concept named twice counts once.
        latest: the latest time of an answer; None accepts any.

    Iteration raises:
        InputFileError: the message names the file and the fault: missing, not gzip, not UTF-8, not
            CSV, a row of more than a MiB, no rows, a missing column, or a row (with number, column,
            value and remedy).
    """

    def __init__(
        self,
        path: Path,
        columns: Columns | None = None,
        *,
        separator: str = "~~",
        latest: datetime | None = None,
    ) -> None:
        self._path = path
        self._columns = columns or Columns()
        self._separator = separator
        self._latest = latest

    def __iter__(self) -> Iterator[CsvResponse]:
        """Read all responses, in the order of the file."""
        rows = self._rows()
        header = [name.strip() for name in next(rows, (0, []))[1]]
        places = self._places(header)
        seen: dict[int, int] = {}
        row = 0
        for row, (line, cells) in enumerate(rows, start=1):
            if len(cells) != len(header):
                raise self._wrong(
                    f"row {row} (line {line}) has {len(cells)} cells where the header has "
                    f"{len(header)}: quote cells that hold a comma"
                )
            yield self._response(row, line, [cells[place] for place in places], seen)
        if not row:
            raise self._wrong("it has a header and no row below it")

    def count(self) -> int:
        """Count the rows without reading their values.

        Raises:
            InputFileError: as for an iteration, except for values of rows.
        """
        rows = self._rows()
        self._places([name.strip() for name in next(rows, (0, []))[1]])
        return sum(1 for _ in rows)

    def _response(self, row: int, line: int, cells: list[str], seen: dict[int, int]) -> CsvResponse:
        columns = self._columns
        student, item, concept, correct, when = cells
        column, value = columns.student, student
        try:
            student = identifier(student)
            column, value = columns.item, item
            item = identifier(item)
            column, value = columns.concept, concept
            concept_ids = concepts_of(concept, self._separator)
            column, value = columns.correct, correct
            score = score_of(correct)
            column, value = columns.time or columns.order, when
            answered_at = self._moment(when)
        except CellError as error:
            raise self._wrong(
                f"row {row} (line {line}), column {column!r}: {value[:80]!r} {error}"
            ) from None
        # In microseconds, so that `3`, `3.0` and the same time in another zone are equal.
        name = _UNIT.join((student, str(to_us(answered_at)), item))
        response_id = uuid5(NAMESPACE, name)
        again = seen[response_id.int] = seen.get(response_id.int, 0) + 1
        if again > 1:
            response_id = uuid5(response_id, str(again))
        return CsvResponse(row, str(response_id), student, item, concept_ids, score, answered_at)

    def _moment(self, cell: str) -> datetime:
        by_time = self._columns.time is not None
        moment = moment_of(cell) if by_time else place_of(cell, EPOCH)
        if self._latest is None or moment <= self._latest:
            return moment
        raise CellError(
            f"is {moment.isoformat()}, later than {self._latest.isoformat()}: "
            + (
                "no answer can be given in the future"
                if by_time
                else "number each student's answers from 0"
            )
        )

    def _places(self, header: list[str]) -> list[int]:
        if not any(header):
            raise self._wrong("it is empty: a header with the names of the columns is needed")
        needed = self._columns.needed()
        missing = [
            f"{column!r} (another column is chosen by --{option})"
            for option, column in needed.items()
            if column not in header
        ]
        if missing:
            hint = ""
            if len(header) == 1 and any(mark in header[0] for mark in "\t;|"):
                hint = "; cells must be separated by commas"
            raise self._wrong(
                f"it has no column {', '.join(missing)}; its columns are "
                f"{', '.join(map(repr, header))}{hint}"
            )
        twice = [column for column in needed.values() if header.count(column) > 1]
        if twice:
            raise self._wrong(f"it has several columns named {twice[0]!r}: rename all but one")
        return [header.index(column) for column in needed.values()]

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Read line numbers and cells of all lines that are not blank."""
        line = 0
        try:
            with self._open() as file:
                lines = RowLines(file)
                reader = csv.reader(lines, strict=True)
                for cells in reader:
                    lines.next_row()
                    line = reader.line_num
                    if cells:
                        yield line, cells
        except UnicodeDecodeError as error:
            raise self._wrong(
                f"near line {line + 1}: byte 0x{error.object[error.start]:02x} is not UTF-8; "
                "save the file as UTF-8"
            ) from None
        except RowTooLongError:
            raise self._wrong(
                f"near line {line + 1}: the row is longer than {MOST_CHARACTERS:,} characters; "
                "remove columns that are not needed, or close the quote that a cell opened"
            ) from None
        except csv.Error as error:
            raise self._wrong(f"near line {line + 1}: it is not CSV ({error})") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._wrong(
                f"near line {line + 1}: it is not a whole gzip file ({error}); make it anew"
            ) from None
        except OSError as error:
            raise self._wrong(
                f"it can't be read ({error.strerror or error}); check path and permissions"
            ) from None

    def _open(self) -> TextIO:
        with self._path.open("rb") as file:
            zipped = file.read(2) == _GZIP_MAGIC
        if zipped:
            return gzip.open(self._path, "rt", encoding="utf-8-sig", newline="")
        if self._path.suffix.lower() == ".gz":
            raise self._wrong("it is named .gz but is not gzip; rename it or compress it")
        return self._path.open(encoding="utf-8-sig", newline="")

    def _wrong(self, problem: str) -> InputFileError:
        return InputFileError(f"{self._path}: {problem}")
