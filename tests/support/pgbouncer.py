"""A PgBouncer in transaction mode before a real Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from tests.faults.processes import Process, free_port, program, until


@asynccontextmanager
async def pgbouncer(
    url: str, directory: Path, *, pool_size: int = 2, mode: str = "transaction"
) -> AsyncIterator[str]:
    """Start a PgBouncer; yields the DSN of the same database through it.

    Args:
        url: DSN of a database, with a password.
        directory: where its files are; another user of the system must be able to reach it.
        pool_size: connections that all clients share.
        mode: `transaction` or `session`.
    """
    parts = urlsplit(url)
    port = free_port()
    users = directory / "users.txt"
    users.write_text(f'"{parts.username}" "{unquote(parts.password or "")}"\n')
    file = directory / "pgbouncer.ini"
    file.write_text(
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\n"
        f"pool_mode = {mode}\ndefault_pool_size = {pool_size}\nmax_client_conn = 100\n"
    )
    for path in (users, file):
        path.chmod(0o644)
    process = Process(
        [program("pgbouncer", package="pgbouncer"), str(file)],
        directory / "pgbouncer.log",
        user="postgres",  # it does not run as root
    )
    through = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()

    async def serves() -> bool:
        assert process.running, process.tail()
        with suppress(asyncpg.PostgresError, OSError, TimeoutError):
            connection = await asyncpg.connect(through, timeout=2, statement_cache_size=0)
            await connection.close()
            return True
        return False

    process.start()
    try:
        await until(serves, f"PgBouncer serves\n{process.tail()}", within_s=20)
        yield through
    finally:
        process.stop()
