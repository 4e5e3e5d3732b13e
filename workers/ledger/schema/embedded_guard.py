"""Stops an embedded Postgres whose owner is gone, however it went.

Run as a script with nothing but the standard library. It waits for the end of its standard input,
which comes when the owner dies, also by SIGKILL or by a signal that nobody handles. A byte before
that is the owner's word that it has stopped the server itself.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

FAST = "fast"
"""Connections are ended, and all is written to disk."""
IMMEDIATE = "immediate"
"""Nothing is written: for data that nobody reads again."""

_TRIES = 20
_PAUSE_S = 0.25


def stop(pg_ctl: str, data: Path, user: str | None, mode: str) -> None:
    """Stop the server on a data directory; one that is only just starting is waited for."""
    command = (pg_ctl, "-D", str(data), "-m", mode, "-w", "-t", "30", "stop")
    for _ in range(_TRIES):
        quiet = subprocess.DEVNULL
        done = subprocess.run(command, user=user, stdout=quiet, stderr=quiet, cwd="/", check=False)  # noqa: S603  # our own program on our own directory
        if done.returncode == 0 or not data.exists():
            return
        time.sleep(_PAUSE_S)


def main() -> None:
    """Wait, then stop the server and remove the directory if it is a temporary one."""
    pg_ctl, data, user, temporary = sys.argv[1:]
    if sys.stdin.buffer.read(1):
        return
    stop(pg_ctl, Path(data), user or None, IMMEDIATE if temporary else FAST)
    if temporary:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
