"""Long columns page by page, so that memory depends on the page and not on the number of answers.

Sums by index continue from page to page in the order of the rows, so they equal those over all rows
at once to the last bit.
"""

import mmap
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

PAGE: Final = 2**18
"""Number of rows of a page. A multiple of the widths of vector units, so that each row takes the
same path through them with pages as without."""
_IN_MEMORY: Final = 2**22
"""Size in bytes up to which a column stays in memory."""


def pages(count: int, size: int | None = None) -> Iterator[slice]:
    """Cut rows into pages of at most `size` rows, None for `PAGE`."""
    size = PAGE if size is None else size
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))


def pages_of(span: slice, size: int | None = None) -> Iterator[slice]:
    """Cut a span of rows into pages of at most `size` rows, None for `PAGE`."""
    for page in pages(span.stop - span.start, size):
        yield slice(span.start + page.start, span.start + page.stop)


def column(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Make an uninitialised array, a long one in a temporary file without a name."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype)
    with TemporaryFile(prefix="mastery-column-") as file:
        return np.memmap(file, dtype, "w+", shape=shape).view(np.ndarray)


def release(*arrays: NDArray[Any]) -> None:
    """Give back the memory of arrays that lie in files; their content stays in the files."""
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)
