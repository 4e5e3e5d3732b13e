"""Exit from a command that Ctrl-C interrupted, or whose reader has left."""

import os
import sys
from typing import NoReturn


def interrupted() -> NoReturn:
    """Print that the command was interrupted, and exit with 130 as shells expect."""
    print("mastery: interrupted", file=sys.stderr)  # noqa: T201  # the command line's own message
    sys.exit(130)


def reader_left() -> NoReturn:
    """Exit without a word because nobody reads the output any more, as with ``| head``.

    The status is 141, with which a shell reports a command that SIGPIPE ended.
    """
    # What is still buffered has nowhere to go; Python would report that at exit.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    sys.exit(141)
