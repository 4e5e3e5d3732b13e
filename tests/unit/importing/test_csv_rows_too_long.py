"""Rows that are too long are refused while they are read."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.examples import THOROUGH
from workers.common.errors import InputFileError
from workers.importing.csv_responses import CsvResponses
from workers.importing.row_lines import MOST_CHARACTERS

HEADER = b"student,item,concept,correct,order\n"
UNPACKED = 50_000_000 if THOROUGH else 25_000_000


def bomb(path: Path, start: bytes, repeated: bytes) -> Path:
    """Write a small gzip file that unpacks to far more than the limit of memory."""
    piece = repeated * (1_000_000 // len(repeated))
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(UNPACKED // len(piece)):
            file.write(piece)
    return path


@contextmanager
def memory_below(megabytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1_000_000


@pytest.mark.parametrize(
    ("start", "repeated", "near"),
    [
        (b"", b"x", "near line 1"),
        (HEADER, b"x", "near line 2"),
        (HEADER + b"s,i,c,1,0\n", b"\x00", "near line 3"),
        (HEADER + b's,i,"', b"\n", "near line 2"),
        (HEADER + b"s", b',"\n"', "near line 2"),
    ],
    ids=["header", "line", "nul", "quoted-cell", "quoted-cells"],
)
@pytest.mark.parametrize("counted", [False, True])
def test_given_a_row_without_end_then_it_is_refused_in_little_memory(
    tmp_path: Path, start: bytes, repeated: bytes, near: str, counted: bool
) -> None:
    path = bomb(tmp_path / "bomb.csv.gz", start, repeated)
    assert path.stat().st_size < 1_000_000
    responses = CsvResponses(path)
    read: Callable[[], object] = responses.count if counted else lambda: list(responses)
    with memory_below(20), pytest.raises(InputFileError) as caught:
        read()
    message = str(caught.value)
    assert f"{path}: {near}: " in message
    assert "characters" in message or "larger than field limit" in message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", ""])
def test_given_a_row_of_the_most_characters_when_read_then_it_is_read(
    tmp_path: Path, end: str
) -> None:
    path = tmp_path / "wide.csv"
    cells = 10
    row = "s,i,c,1,0"
    note = (MOST_CHARACTERS - len(row) - cells - len(end)) // cells
    rest = (MOST_CHARACTERS - len(row) - cells - len(end)) % cells
    row += f",{'n' * note}" * (cells - 1) + f",{'n' * (note + rest)}"
    header = HEADER.decode().strip() + "".join(f",note{k}" for k in range(cells))
    path.write_bytes(f"{header}{end or chr(10)}{row}{end}".encode())

    assert len(list(CsvResponses(path))) == 1

    path.write_bytes(f"{header}{end or chr(10)}{row}n{end}".encode())
    with pytest.raises(InputFileError, match=f"near line 2: .* {MOST_CHARACTERS:,} characters"):
        list(CsvResponses(path))
