"""All answers in files, appended page by page and mapped without copying them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from workers.modelling.calibration.answers import Answers

_NAMES: Final = ("items", "concepts", "scales")
_NUMBERS: Final = {"item": "items", "scale": "scales", "concept": "concepts"}
"""Columns that hold numbers of names."""
_TYPES: Final = {
    "begin": np.int64,
    "held_out": np.bool_,
    "item": np.int32,
    "scale": np.int32,
    "score": np.float64,
    "answered_at_us": np.int64,
    "link_begin": np.int32,
    "concept": np.int32,
}
_BEGINS: Final = ("begin", "link_begin")


class AnswerFiles:
    """Files of all answers in a directory, while they are written.

    Args:
        directory: an existing directory.
        stack: closes the files.
    """

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._names: dict[str, dict[str, int]] = {name: {} for name in _NAMES}
        self._ends = dict.fromkeys(_BEGINS, 0)
        self._files = {
            name: stack.enter_context(_path(directory, name).open("wb")) for name in _TYPES
        }
        for name in _BEGINS:
            self._files[name].write(np.zeros(1, _TYPES[name]).tobytes())

    def append(self, part: Answers) -> None:
        """Append the next learners, whose names are numbered by first appearance in the part."""
        for name, dtype in _TYPES.items():
            column = getattr(part, name)
            if name in _NUMBERS:
                known = self._names[_NUMBERS[name]]
                own = getattr(part, _NUMBERS[name])
                number = np.array([known.setdefault(of, len(known)) for of in own], np.int32)
                column = number[column] if column.size else column
            elif name in self._ends:
                column = column[1:] + self._ends[name]
                self._ends[name] += int(getattr(part, name)[-1])
            self._files[name].write(np.ascontiguousarray(column, dtype).tobytes())

    def finish(self) -> None:
        """Write the names."""
        names = {name: list(known) for name, known in self._names.items()}
        (self._directory / "names.json").write_bytes(orjson.dumps(names))


@contextmanager
def writing(directory: Path) -> Iterator[AnswerFiles]:
    """Write all answers into a directory."""
    with ExitStack() as stack:
        files = AnswerFiles(directory, stack)
        yield files
        files.finish()


def mapped(directory: Path) -> Answers:
    """Map all answers of a directory."""
    names = orjson.loads((directory / "names.json").read_bytes())
    columns: dict[str, Any] = {
        name: _map(_path(directory, name), dtype) for name, dtype in _TYPES.items()
    }
    return Answers(**names, **columns)


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.column"


def _map(path: Path, dtype: Any) -> NDArray[Any]:
    # An empty file cannot be mapped.
    if not path.stat().st_size:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, "r").view(np.ndarray)
