"""Exit from a command that Ctrl-C interrupted."""

import sys
from typing import NoReturn


def interrupted() -> NoReturn:
    """Print that the command was interrupted, and exit with 130 as shells expect."""
    print("mastery: interrupted", file=sys.stderr)  # noqa: T201  # the command line's own message
    sys.exit(130)
