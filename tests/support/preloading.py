"""A process that has imported the engine and forks a worker for each request.

``python -m tests.support.preloading FD`` reads requests from a socket until it is closed. Each
names the command and its environment, and brings the files for output and errors. The answers are
the process id of the worker at once, and its status when it has ended.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from typing import Any, Final

LARGEST: Final = 1 << 20
"""Largest request or answer, bytes."""

_IMPORTED_BY_WORKERS: Final = (
    "workers.cli.main",
    "workers.cli.worker",
    "workers.graph.neo4j",
    "workers.ledger.sql.direct",
    "workers.ledger.sql.postgrest",
)
_SET_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def _requested(channel: socket.socket) -> dict[str, Any] | None:
    """Fork a worker for each request.

    Return the request in the process of the worker, and None here once nobody can ask any more.
    """
    parent = os.getpid()
    with selectors.DefaultSelector() as ready:
        ready.register(channel, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is not channel:
                    _, status = os.waitpid(key.data, 0)
                    ready.unregister(key.fileobj)
                    os.close(key.fd)
                    _tell(channel, pid=key.data, status=os.waitstatus_to_exitcode(status))
                    continue
                message, files, _, _ = socket.recv_fds(channel, LARGEST, 2)
                if not message:
                    return None
                request: dict[str, Any] = json.loads(message)
                pid = os.fork()
                if pid == 0:
                    _become_worker(parent, *files)
                    return request
                for file in files:
                    os.close(file)
                ready.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                _tell(channel, pid=pid)


def _tell(channel: socket.socket, **fields: int) -> None:
    channel.send(json.dumps(fields).encode())


def _become_worker(parent: int, output: int, errors: int) -> None:
    """Write to these files, and end with the parent, however that ends."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for file, number in ((output, 1), (errors, 2)):
        os.dup2(file, number)
        os.close(file)


def _main() -> None:
    for module in _IMPORTED_BY_WORKERS:
        import_module(module)
    gc.freeze()
    # Ctrl-C is for pytest, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    request = _requested(channel)
    if request is None:
        return
    channel.close()
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"]
    from workers.cli.entry import main

    main()


if __name__ == "__main__":
    _main()
