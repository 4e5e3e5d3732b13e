"""A Redis of a test's own that is started as `deploy/redis/start` starts it, with its users."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.faults.processes import free_port, program

_DEPLOYED = Path(__file__).parents[2] / "deploy" / "redis"
_UP_S = 60.0
USERS = ("express", "subscriber", "consumer", "worker", "operator")
_ADMIN = "admin"


@dataclass(frozen=True)
class GuardedRedis:
    """A running server, and the passwords of its users."""

    port: int
    passwords: dict[str, str]

    def url(self, user: str = _ADMIN) -> str:
        """URL for one of the users; `admin` belongs to the test and may do everything."""
        return f"redis://{user}:{self.passwords[user]}@127.0.0.1:{self.port}/0"

    def client(self, user: str = _ADMIN) -> redis.Redis:
        """A connection as that user."""
        return redis.Redis.from_url(self.url(user))


@contextmanager
def guarded_redis(directory: Path) -> Iterator[GuardedRedis]:
    """Start it there, with the deployed files and one more user for the test itself."""
    for name in ("start", "users.acl"):
        shutil.copy(_DEPLOYED / name, directory / name)
    with (directory / "users.acl").open("a", encoding="utf-8") as users:
        users.write(f"user {_ADMIN} on ~* &* +@all\n")
    passwords = {user: secrets.token_hex(24) for user in (*USERS, _ADMIN)}
    server = GuardedRedis(free_port(), passwords)
    program("redis-server", package="redis-server")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                directory / "start",
                *("--bind", "127.0.0.1", "--port", str(server.port)),
                *("--dir", directory, "--save", ""),
            ],
            env={
                "PATH": os.environ["PATH"],
                "TMPDIR": str(directory),
                **{f"REDIS_{user.upper()}_PASSWORD": word for user, word in passwords.items()},
            },
            stdout=log,
            stderr=log,
        )
        try:
            _await_up(server, process, directory / "log")
            yield server
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _await_up(server: GuardedRedis, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _UP_S
    with server.client() as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            else:
                return
