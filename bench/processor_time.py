"""Processor time of processes and of the backends of a database, seconds."""

from collections.abc import Iterable
from typing import Any

import psutil  # type: ignore[import-untyped]  # has no types of its own


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def used_s(process: psutil.Process) -> float:
    """Return the processor time of one process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def memory_mb(processes: Iterable[psutil.Process]) -> float:
    """Return the resident memory of processes, MiB; shared pages count for each of them."""
    return sum(float(process.memory_info().rss) for process in processes) / 2**20


def listening_on(port: int) -> int:
    """Return the id of the process that listens on a TCP port.

    Raises:
        LookupError: no process that we may see listens there.
    """
    for connection in psutil.net_connections(kind="tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if listens and connection.pid is not None:
            return int(connection.pid)
    raise LookupError(f"no process that we may see listens on port {port}")


def process_of_port(port: int) -> int:
    """Return the id of the process whose TCP connections leave from this local port.

    Raises:
        LookupError: no process that we may see has such a connection.
    """
    for connection in psutil.net_connections(kind="tcp"):
        if connection.laddr.port == port and connection.pid is not None:
            return int(connection.pid)
    raise LookupError(f"no process that we may see connects from port {port}")


async def backends_s(connection: Any) -> dict[int, float]:
    """Return the processor time of each backend of the connection's database, except its own.

    Works only on the machine of the database.
    """
    rows = await connection.fetch(
        "select pid from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid()"
    )
    used = {}
    for row in rows:
        try:
            used[row["pid"]] = used_s(psutil.Process(row["pid"]))
        except psutil.NoSuchProcess:
            continue  # it ended in between
    return used


def since(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the time that the processes of `after` used since `before`.

    A process that ended in between counts nothing.
    """
    return sum(used - before.get(pid, 0.0) for pid, used in after.items())
