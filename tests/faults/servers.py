"""Servers of the fault runs' own: they may be killed, frozen and filled."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.faults.processes import Process, free_port, program, until
from tests.support.servers import apply_migrations

_UP_S = 60.0
_POSTGRES_USER = "postgres"


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that a server of another user can reach; removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="mastery-faults-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator["Disk"]:
    """A file system of so many megabytes in memory, mounted there; needs the right to mount."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(directory)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        # Under CI too: many a CI does not let its jobs mount, root or not.
        pytest.skip(
            f"no disk can be filled, since mounting is not allowed: {mounted.stderr.strip()}"
        )
    try:
        yield Disk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


class Disk:
    """A small disk that can be filled up."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"

    def fill(self) -> None:
        """Take all room there is."""
        with self._filler.open("wb", buffering=0) as filler:
            # Large pieces first: what is left after them is less than the last.
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)


class RedisServer:
    """A Redis with AOF.

    Args:
        directory: where it keeps its data.
        fsync: `always`, or `everysec`, which a loss of power robs of its last second.
    """

    def __init__(self, directory: Path, *, fsync: str = "always") -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.process = Process(
            [
                program("redis-server", package="redis-server"),
                *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(directory)),
                *("--appendonly", "yes", "--appendfsync", fsync, "--save", ""),
                *("--auto-aof-rewrite-percentage", "0"),
            ],
            directory.with_name(directory.name + ".log"),
        )

    async def start(self) -> None:
        """Start it; returns once it serves, its file loaded."""
        self.process.start()
        await until(self._serves, f"Redis serves\n{self.process.tail()}", within_s=_UP_S)

    async def _serves(self) -> bool:
        assert self.process.running, self.process.tail()
        async with Redis.from_url(self.url) as client:
            try:
                return bool(await client.ping())
            except (RedisError, OSError):
                return False

    async def set(self, name: str, value: str) -> None:
        """Change one of its settings."""
        async with Redis.from_url(self.url) as client:
            await client.config_set(name, value)

    def written(self) -> int:
        """Length of the file it appends to, bytes."""
        return self._appended().stat().st_size

    def lose(self, length: int) -> None:
        """Cut the file to a length that it had: what a loss of power leaves of it."""
        with self._appended().open("r+b") as file:
            file.truncate(length)

    def _appended(self) -> Path:
        return max(self._directory.glob("appendonlydir/*.incr.aof"))


class PostgresServer:
    """A Postgres cluster.

    Args:
        directory: where it keeps its data; made by `create`.
        logs: where it logs; None: beside its data.
        options: settings of the server, as ``name=value``; they win over those of fault runs.
    """

    def __init__(
        self, directory: Path, *, logs: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self._password = secrets.token_hex(16)
        self._data = directory
        self._user = _POSTGRES_USER if os.geteuid() == 0 else None
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        self._bin = newest[-1] if newest else None
        self._template: str | None = None
        self.process = Process(
            [
                program("postgres", package="postgresql", folder=self._bin),
                *("-D", str(directory), "-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "max_wal_size=64MB", "-c", "wal_level=logical"),
                *("-c", "restart_after_crash=on", "-c", "shared_buffers=32MB"),
                # Its process crashes, never the machine: what it wrote stays written.
                *("-c", "fsync=off"),
                *(part for option in options for part in ("-c", option)),
            ],
            (logs or directory.parent) / "postgres.log",
            user=self._user,
            end=signal.SIGINT,  # a fast shutdown: clients are sent away, nothing is lost
        )

    @property
    def url(self) -> str:
        """DSN of the superuser for the database `postgres`."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Make the cluster."""
        self._data.mkdir(exist_ok=True)
        secret = self._data.with_name(self._data.name + ".password")
        secret.write_text(self._password)
        if self._user is not None:
            for path in (self._data, secret):
                shutil.chown(path, self._user, self._user)
        made = subprocess.run(
            [
                program("initdb", package="postgresql", folder=self._bin),
                *("-D", str(self._data), "-U", "postgres", "-A", "scram-sha-256", "--no-sync"),
                *("--encoding=UTF8", "--locale=C.UTF-8", f"--pwfile={secret}", "--wal-segsize=1"),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
        assert made.returncode == 0, made.stderr
        secret.unlink()

    def replica(self, directory: Path) -> "PostgresServer":
        """Copy the running cluster into a directory, as a streaming replica that is not started."""
        copy = PostgresServer(directory / "data", logs=directory)
        copy._password = self._password
        directory.mkdir(exist_ok=True)
        if self._user is not None:
            shutil.chown(directory, self._user, self._user)
        made = subprocess.run(
            [
                program("pg_basebackup", package="postgresql", folder=self._bin),
                *(
                    "-d",
                    self.url,
                    "-D",
                    str(directory / "data"),
                    "-R",
                    "-X",
                    "stream",
                    "-c",
                    "fast",
                ),
                "--no-sync",
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
        assert made.returncode == 0, made.stderr
        return copy

    async def database(self) -> str:
        """A new database with all migrations applied, copied from the first such.

        It goes with the cluster.
        """
        if self._template is None:
            template = await self._created("template1")
            connection = await asyncpg.connect(self._url_of(template))
            try:
                await apply_migrations(connection)
            finally:
                await connection.close()
            self._template = template
        return self._url_of(await self._created(self._template))

    async def _created(self, template: str) -> str:
        name = f"run_{uuid.uuid4().hex}"
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f"create database {name} template {template}")
        finally:
            await connection.close()
        return name

    def _url_of(self, database: str) -> str:
        return self.url.removesuffix("/postgres") + f"/{database}"

    def through(self, url: str, port: int) -> str:
        """The same database by way of a proxy."""
        return url.replace(f":{self.port}/", f":{port}/")

    async def serving(self) -> None:
        """Return once it serves, its journal recovered; started if it does not run."""
        await until(self._serves, f"Postgres serves\n{self.process.tail()}", within_s=_UP_S)

    async def _serves(self) -> bool:
        if not self.process.running:
            # The dead one's memory is held for a moment by backends that are still ending.
            self.process.start()
            await asyncio.sleep(0.2)
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection = await asyncpg.connect(self.url, timeout=2)
            await connection.close()
            return True
        return False
