import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]  # has no types of its own
import pytest

from workers.common.errors import LedgerRefused
from workers.ledger.schema import embedded
from workers.ledger.schema.embedded import EmbeddedPostgres

OWNER = """
import asyncio, signal, sys
from pathlib import Path
from workers.ledger.schema.embedded import EmbeddedPostgres

# What a shell starts in the background ignores it, and hands that on.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main():
    directory = Path(sys.argv[1]) if sys.argv[1] else None
    async with EmbeddedPostgres(directory) as server:
        print(server.dsn, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def home(dsn: str) -> Path:
    return Path(dsn.rpartition("host=")[2])


def servers(directory: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(directory) in part for part in process.info["cmdline"] or ())
    ]


def gone(directory: Path, within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while servers(directory):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="module")
def persistent() -> Iterator[Path]:
    # One for all tests, for making one takes longer than all else. Not pytest's tmp_path: as root
    # the server's user must be let through each directory above.
    with tempfile.TemporaryDirectory(prefix="mastery-test-") as directory:
        yield Path(directory).resolve()


async def test_given_no_directory_when_started_then_it_is_migrated_and_temporary() -> None:
    server = EmbeddedPostgres(jwt_tenant_claim="app.school")
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.dsn
    async with server:
        directory = home(server.dsn)
        assert await ask(server.dsn, "select value from mastery.settings") == "app.school"
        assert await ask(server.dsn, "select count(*) from public.student_responses") == 0
        assert await ask(server.dsn, "show fsync") == "off"
        assert await ask(server.dsn, "show listen_addresses") == ""
        assert servers(directory)
    assert not directory.parent.exists()
    assert gone(directory)
    await server.stop()


async def test_given_a_directory_when_started_again_then_its_data_are_there(
    persistent: Path,
) -> None:
    async with EmbeddedPostgres(persistent) as server:
        assert await ask(server.dsn, "show fsync") == "on"
        assert await ask(server.dsn, "show synchronous_commit") == "on"
        await ask(server.dsn, "create table kept (a int)")
    assert gone(persistent)
    async with EmbeddedPostgres(persistent) as server:
        assert await ask(server.dsn, "select to_regclass('kept')") == "kept"


async def test_given_a_directory_in_use_when_started_then_the_other_is_untouched(
    persistent: Path,
) -> None:
    async with EmbeddedPostgres(persistent) as server:
        with pytest.raises(LedgerRefused, match="in use by another process"):
            await EmbeddedPostgres(persistent).start()
        assert await ask(server.dsn, "select 1") == 1


async def test_given_the_file_of_a_dead_server_then_it_is_no_obstacle(
    persistent: Path,
) -> None:
    async with EmbeddedPostgres(persistent) as server:
        data = home(server.dsn)
    # The number now belongs to a process that has nothing to do with it: this one.
    lines = [str(os.getpid()), str(data), "1", "5432", str(data), "", "1 1", "ready"]
    (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
    async with EmbeddedPostgres(persistent) as server:
        assert await ask(server.dsn, "select 1") == 1


async def test_given_a_broken_directory_when_started_then_the_log_tells_why(
    persistent: Path,
) -> None:
    async with EmbeddedPostgres(persistent) as server:
        data = home(server.dsn)
    control = data / "global" / "pg_control"
    control.rename(control.with_name("elsewhere"))
    try:
        with pytest.raises(LedgerRefused, match="pg_control"):
            await EmbeddedPostgres(persistent).start()
        assert gone(persistent)
    finally:
        control.with_name("elsewhere").rename(control)


async def test_given_a_file_for_a_directory_when_started_then_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerRefused, match="file"):
        await EmbeddedPostgres(tmp_path / "file").start()


async def test_given_a_start_under_way_when_cancelled_then_nothing_is_left(
    persistent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()
    configure = embedded._configure

    def pausing(data: Path, *, throw_away: bool) -> None:
        under_way.set()
        assert go_on.wait(20)
        configure(data, throw_away=throw_away)

    monkeypatch.setattr(embedded, "_configure", pausing)
    server = EmbeddedPostgres(persistent)
    starting = asyncio.create_task(server.start())
    assert await asyncio.to_thread(under_way.wait, 20)
    starting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert gone(persistent)
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.dsn


@pytest.mark.parametrize(
    ("number", "temporary"),
    [
        (signal.SIGINT, False),
        (signal.SIGTERM, False),
        (signal.SIGKILL, False),
        (signal.SIGKILL, True),
    ],
)
def test_given_a_running_server_when_its_owner_ends_then_the_server_ends(
    number: signal.Signals, temporary: bool, persistent: Path
) -> None:
    argument = "" if temporary else str(persistent)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, argument], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout is not None
        directory = home(owner.stdout.readline().decode().strip())
        assert servers(directory)
        owner.send_signal(number)
    assert owner.returncode == -number
    assert gone(directory)
    if temporary:
        assert not directory.parent.exists()
    else:
        assert not (directory / "postmaster.pid").exists()


def test_given_no_guard_and_a_killed_owner_then_the_next_start_ends_it(
    persistent: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(persistent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as owner:
        assert owner.stdout is not None
        directory = home(owner.stdout.readline().decode().strip())
        for process in servers(directory):
            if "embedded_guard.py" in " ".join(process.cmdline()):
                process.kill()
        owner.kill()
    leftover = {process.pid for process in servers(directory)}
    assert leftover

    async def start_again() -> None:
        async with EmbeddedPostgres(persistent) as server:
            assert await ask(server.dsn, "select 1") == 1
            assert not leftover & {process.pid for process in servers(directory)}

    asyncio.run(start_again())


def test_given_any_runtime_directory_when_imported_then_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/anywhere")
    embedded._library()
    assert os.environ["XDG_RUNTIME_DIR"] == "/anywhere"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    embedded._library()
    assert "XDG_RUNTIME_DIR" not in os.environ
