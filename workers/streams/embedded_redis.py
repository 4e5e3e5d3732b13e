"""The embedded Redis: a store inside one process that ends with the process.

It is fakeredis behind redis-py's own client. The commands of the engine answer as Redis 7.0 does,
including `lag` of XINFO GROUPS, with these exceptions (fakeredis 2.40):
- XREADGROUP with COUNT does not block; the socket below fixes that. A blocked reader whose group is
  destroyed gets NOGROUP only at its next read.
- XREADGROUP on a missing key fails with another text than NOGROUP.
- XACK does not update the idle time of consumers (XINFO CONSUMERS): fakeredis scans all pending
  entries for it at each XACK, which takes half the time of a run; `_quick_acks` removes the scan.
- There is no persistence and no memory limit. Scripts run on Lua 5.1 inside Python, without a
  time limit. Entry ids come from the clock of this machine.
"""

from collections.abc import Callable
from typing import Any

from fakeredis import FakeServer
from fakeredis.aioredis import (
    AsyncFakeSocket,
    FakeAsyncRedisConnection,
    FakeReader,
    FakeRedis,
    FakeWriter,
)
from fakeredis.model import StreamGroup
from faststream.redis import RedisBroker
from faststream.redis.configs.state import ConnectionState
from redis.asyncio import Redis


def _quick_acks() -> None:
    # Assigned by name: mypy rightly forbids assigning to a method of a class.
    setattr(StreamGroup, "_calc_consumer_last_time", lambda _: None)  # noqa: B010


class EmbeddedRedis:
    """One store with any number of clients and brokers."""

    def __init__(self) -> None:
        _quick_acks()
        self._server = FakeServer(version=(7,))
        self._clients: list[Redis] = []

    def client(self, *, decode_responses: bool = False) -> Redis:
        """Return a plain client; closing the store closes it.

        Args:
            decode_responses: return text instead of bytes, like the same option of redis-py.
        """
        client = FakeRedis(
            server=self._server,
            connection_class=_Connection,
            decode_responses=decode_responses,
        )
        self._clients.append(client)
        return client

    def broker(self, **options: Any) -> RedisBroker:
        """Return a FastStream broker that is not started.

        Args:
            options: options of `RedisBroker`, except the address.
        """
        return _Broker(self, **options)

    async def close(self) -> None:
        """Close all clients; the data ends with the last reference to the store."""
        while self._clients:
            await self._clients.pop().aclose()


class _Socket(AsyncFakeSocket):
    """Block where a server would: fakeredis returns an empty answer to XREADGROUP at once.

    A blocked read is tried again whenever a key of the database changes, by a script too. It
    wakes at once and costs nothing while idle.
    """

    _abandoned = False

    def abandon(self) -> None:
        """Read nothing more: the reader is gone, and entries delivered to it would be lost."""
        self._abandoned = True

    def _blocking(
        self,
        timeout: float | None,
        func: Callable[[bool], Any],
        shape: Callable[[Any], Any] | None = None,
    ) -> Any:
        def answer(first_pass: bool) -> Any:
            return None if self._abandoned else func(first_pass) or None

        return super()._blocking(timeout, answer, shape)


class _Connection(FakeAsyncRedisConnection):
    """A connection over a socket that blocks."""

    async def _connect(self) -> None:
        socket = _Socket(
            self._server,
            self.db,
            client_class=self._client_class,
            lua_modules=self._lua_modules,
            client_info=self._client_info,
        )
        self._sock = socket
        self._reader = FakeReader(socket)
        self._writer = FakeWriter(socket)

    async def disconnect(
        self,
        nowait: bool = False,
        error: Exception | None = None,
        failure_count: int | None = None,
        health_check_failed: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(self._sock, _Socket):
            self._sock.abandon()
        await super().disconnect(
            nowait,
            error=error,
            failure_count=failure_count,
            health_check_failed=health_check_failed,
            **kwargs,
        )


class _State(ConnectionState[Redis]):
    """Give FastStream a client of the store."""

    def __init__(self, redis: EmbeddedRedis) -> None:
        super().__init__()
        self._redis = redis

    async def connect(self) -> Redis:
        self._client = self._redis.client()
        self._connected = True
        return self._client


class _Broker(RedisBroker):
    def __init__(self, redis: EmbeddedRedis, **options: Any) -> None:
        self._embedded = redis
        super().__init__("redis://embedded", **options)

    def _make_connection_state(
        self,
        connection_options: dict[str, Any],  # noqa: ARG002  # FastStream's hook: where to connect
        kwargs: dict[str, Any],  # noqa: ARG002  # FastStream's hook
    ) -> ConnectionState[Any]:
        return _State(self._embedded)
