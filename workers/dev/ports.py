"""Choose ports of the loopback address."""

import socket
from contextlib import closing
from typing import Final

LOOPBACK: Final = "127.0.0.1"


def free_port(preferred: int) -> int:
    """Return the preferred port if it is free, else any free one.

    Args:
        preferred: a port; 0 for any.
    """
    for port in (preferred, 0):
        with closing(socket.socket()) as probe:
            # As servers do, or a port whose connections have just ended would count as used.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise RuntimeError("no port is free")  # the system has given up
