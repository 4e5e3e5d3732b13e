"""A connection pooler before a real Postgres, which refuses clients as Supabase's does."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_SSL_REQUEST = 80877103
_LENGTH = struct.Struct("!I")


class Pooler:
    """Passes connections on, except for the next `refusals`.

    Attributes:
        refusals: how many connections are answered with an error.
        sqlstate, message: of that error.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.refusals = 0
        self.sqlstate = "XX000"
        self.message = "MaxClientsInSessionMode: max clients reached"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        with suppress(OSError, EOFError):
            startup = await self._startup(reader, writer)
            if self.refusals:
                self.refusals -= 1
                writer.write(self._error())
            else:
                await self._pass_on(startup, reader, writer)
        writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            length = await reader.readexactly(4)
            body = await reader.readexactly(_LENGTH.unpack(length)[0] - 4)
            if _LENGTH.unpack(body[:4])[0] != _SSL_REQUEST:
                return length + body
            writer.write(b"N")

    def _error(self) -> bytes:
        fields = {"S": "FATAL", "V": "FATAL", "C": self.sqlstate, "M": self.message}
        body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
        return b"E" + _LENGTH.pack(len(body) + 4) + body

    async def _pass_on(
        self, startup: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behind_reader, behind = await asyncio.open_connection(self._host, self._port)
        behind.write(startup)
        ways = [
            asyncio.create_task(_copy(reader, behind)),
            asyncio.create_task(_copy(behind_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        behind.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()


@asynccontextmanager
async def pooled(url: str) -> AsyncIterator[tuple[Pooler, str]]:
    """Start a pooler before the server of a URL; yields it and the URL that leads through it."""
    parts = urlsplit(url)
    pooler = Pooler(parts.hostname or "127.0.0.1", parts.port or 5432)
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login, _, _ = parts.netloc.rpartition("@")
    try:
        yield pooler, parts._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()
    finally:
        server.close()
