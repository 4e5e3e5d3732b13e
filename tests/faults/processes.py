"""A server process of our own, which may be killed and frozen, and which is ended for certain."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no types of its own
import pytest

_END_S = 40.0


def missing(reason: str) -> None:
    """Skip the test, which lacks something of this machine; under CI, where all is there, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str, *, package: str, folder: Path | None = None) -> str:
    """The path of a server's program; the test is skipped where it is not installed."""
    path = shutil.which(name, path=None if folder is None else str(folder))
    path = path or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        missing(f"{name} is not installed: no server to break; install the package {package}")
    return str(path)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, within_s: float, every_s: float = 0.05
) -> float:
    """Wait until it holds; returns the seconds it took.

    Raises:
        AssertionError: it did not within that time.
    """
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(every_s)
    return time.monotonic() - began


class Process:
    """A program that runs in the foreground, and its children.

    Args:
        command: the program and its arguments.
        log: where it writes; appended to at each start.
        user: the system's user it runs as; None: ours.
        end: the signal that ends it in good order.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        user: str | None = None,
        end: signal.Signals = signal.SIGTERM,
        environment: dict[str, str] | None = None,
    ) -> None:
        # It ends with us, however we end.
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if user is not None:
            prefix += ["--reuid", user, "--regid", user, "--init-groups"]
        self._command = [*prefix, *command]
        self._log = log
        self._end = end
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[psutil.Process] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        return bool(self._frozen)

    def start(self) -> None:
        """Start it; whether it serves already is not looked at."""
        assert not self.running
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=self._environment,
            )

    def kill(self) -> None:
        """End it and its children without any warning."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; of SIGKILL its children die too. Returns once it is gone."""
        if self._process is None:
            return
        family = self._family()
        if number is signal.SIGKILL:
            for process in family:
                process.kill()
        else:
            self._process.send_signal(number)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            for process in self._family():
                process.kill()
            self._process.wait()
            raise
        psutil.wait_procs(family, _END_S)
        self._process = None

    def freeze(self) -> None:
        """Stop it and its children where they are: connections stay, nobody answers."""
        self._frozen = self._family()
        for process in self._frozen:
            process.suspend()

    def thaw(self) -> None:
        """Resume all frozen processes."""
        for process in self._frozen:
            if process.is_running():
                process.resume()
        self._frozen = []

    def stop(self) -> None:
        """End it in good order, by force if it does not go; harmless if it does not run."""
        self.thaw()
        if self.running:
            self.signal(self._end)
        self._process = None

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _family(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
