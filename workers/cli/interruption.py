"""Exit from a command that Ctrl-C interrupted, or whose reader has left."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

_MESSAGE: Final = "mastery: interrupted\n"
_STATUS: Final = 130


def interrupted() -> NoReturn:
    """Print that the command was interrupted, and exit with 130 as shells expect."""
    sys.stderr.write(_MESSAGE)
    sys.exit(_STATUS)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at once at Ctrl-C, while there is nothing to clean up.

    Python drops a KeyboardInterrupt that comes within a callback of its import system, which is
    likely in an import of some seconds.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # a background job of a shell ignores Ctrl-C
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(_: int, __: object) -> NoReturn:
    os.write(sys.stderr.fileno(), _MESSAGE.encode())
    os._exit(_STATUS)


def reader_left() -> NoReturn:
    """Exit without a word because nobody reads the output any more, as with ``| head``.

    The status is 141, with which a shell reports a command that SIGPIPE ended.
    """
    # What is still buffered has nowhere to go; Python would report that at exit.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    sys.exit(141)
