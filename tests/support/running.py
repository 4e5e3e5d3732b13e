"""Programs that a test starts, and ends with all their children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_ENDS_WITHIN_S = 20.0


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in a session of its own; interrupt it at the end, as Ctrl-C does.

    Args:
        command: its words.
        cwd: its directory.
        environment: its whole environment.
        log: the file for what it prints.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def wait_until(what: str, holds: Callable[[], bool], within_s: float) -> None:
    """Wait until something holds; fail after a time, seconds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.1)
