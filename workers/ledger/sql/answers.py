"""Stop the worker if a function of the ledger answers in an unknown shape."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.common.errors import LedgerRefused


@contextmanager
def as_promised(function: str) -> Iterator[None]:
    """Read an answer of this function.

    Raises:
        LedgerRefused: the answer has another shape; any other error would look like the fault of
            each event.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise LedgerRefused(
            f"{function} answers in another shape ({type(error).__name__}); run `mastery migrate "
            "up`: the schema is not that of this version"
        ) from error
