"""Worker processes that start at once: forks of a process that has imported the engine.

A worker imports for seconds, and tests start more than a hundred. The acceptance tests start the
command itself.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tests.support.preloading import LARGEST

_ROOT = Path(__file__).parents[2]


class Forked:
    """A process of `Preloaded`; it has the methods of `subprocess.Popen` that tests use."""

    def __init__(self, preloaded: "Preloaded", pid: int) -> None:
        self.pid = pid
        self._preloaded = preloaded

    @property
    def returncode(self) -> int | None:
        """The status it ended with, as of `subprocess.Popen`; None while it runs."""
        return self._preloaded.status(self.pid)

    def poll(self) -> int | None:
        """Return the status, or None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the status once it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout`, seconds.
        """
        began = time.monotonic()
        while (status := self.returncode) is None:
            if timeout is not None and time.monotonic() - began > timeout:
                raise subprocess.TimeoutExpired(f"worker {self.pid}", timeout)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Preloaded:
    """The process that forks workers. It starts with the first of them; `close` ends all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._forking: subprocess.Popen[bytes] | None = None
        self._statuses: dict[int, int | None] = {}

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: BinaryIO | None = None,
    ) -> Forked:
        """Start `mastery` with the arguments of a command.

        Args:
            command: its words. Those before `mastery` are left out: forks end with us anyway.
            environment: its whole environment.
            output: for what it prints; this process's output and errors if None.
        """
        files = (1, 2) if output is None else (output.fileno(),) * 2
        first = next(n for n, word in enumerate(command) if Path(word).name == "mastery")
        request = json.dumps(
            {"command": command[first:], "environment": dict(environment)}
        ).encode()
        with self._lock:
            channel = self._connected()
            socket.send_fds(channel, [request], files)
            pid = self._read(channel)
            while pid is None:
                pid = self._read(channel)
        return Forked(self, pid)

    def status(self, pid: int) -> int | None:
        """Return the status of a worker that has ended, or None."""
        with self._lock:
            channel = self._connected()
            while select.select([channel], [], [], 0)[0]:
                self._read(channel)
            return self._statuses[pid]

    def close(self) -> None:
        """End the process and its workers."""
        if self._channel is not None and self._forking is not None:
            self._channel.close()
            self._forking.wait()

    def _connected(self) -> socket.socket:
        if self._channel is None:
            self._channel, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its_end:
                self._forking = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.preloading", str(its_end.fileno())],
                    cwd=_ROOT,
                    pass_fds=[its_end.fileno()],
                )
        return self._channel

    def _read(self, channel: socket.socket) -> int | None:
        """Read a message; return the id of a process if it tells of a start."""
        message = channel.recv(LARGEST)
        assert message, "the process that forks workers has ended"
        told = json.loads(message)
        self._statuses[told["pid"]] = told.get("status")
        return None if "status" in told else int(told["pid"])
