"""A consumer name, unique among live processes and stable across restarts."""

import hashlib
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

_MOST: Final = 10_000


class ConsumerName:
    """The name of this host and the lowest slot that no live process of this host uses.

    The slot is a file lock, which the system releases however the process ends. Names therefore
    do not accumulate in the group, and entries pending under this name belong to no live process.

    Args:
        directory: where the locks are; by default one for all users' temporary files.
        host: by default this host's name.
    """

    def __init__(self, directory: Path | None = None, host: str | None = None) -> None:
        self._host = host or socket.gethostname()
        name = hashlib.sha256(self._host.encode()).hexdigest()[:8]
        self._directory = directory or Path(tempfile.gettempdir()) / f"mastery-engine-{name}"
        self._lock: FileLock | None = None

    def take(self) -> str:
        """Take a slot; the process keeps it until `release` or its end.

        Raises:
            RuntimeError: if every slot is taken.
        """
        with suppress(FileExistsError):
            self._directory.mkdir(parents=True)
            self._directory.chmod(0o1777)  # shared by every user of this host, like its locks
        for slot in range(_MOST):
            lock = FileLock(self._directory / f"{slot}.lock", mode=0o666)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self._lock = lock
            return f"{self._host}-{slot}"
        raise RuntimeError(f"all {_MOST} consumer names of {self._host} are taken")

    def release(self) -> None:
        """Release the slot."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
