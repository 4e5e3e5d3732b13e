"""A network that can be broken: a TCP proxy on this machine between an engine and a server."""

import asyncio
import socket
import struct
from contextlib import suppress

_CHUNK = 65_536
_NO_LINGER = struct.pack("ii", 1, 0)


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.dead = False
        """Forgotten by the network: whatever is sent is lost, and nobody is told."""

    def reset(self) -> None:
        """End both with a reset, not in good order."""
        for writer in self.writers:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER
                )
            writer.transport.abort()


class Proxy:
    """Forwards to one server, unless told otherwise.

    Args:
        port: of the server.
        host: of the server.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._to = host, port
        self._server: asyncio.Server | None = None
        self._port = 0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._answer: bytes | None = None
        self.delay_s = 0.0
        """Delay of each piece of data in each direction, seconds."""
        self.connections = 0
        """Number of clients that connected, served or not."""

    @property
    def port(self) -> int:
        """Listening port; `refuse` and `accept` keep it."""
        return self._port

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        await self.refuse()
        self._passing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections; new ones are served."""
        for link in list(self._links):
            link.reset()

    async def refuse(self) -> None:
        """Reset all connections and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.sleep(0)

    async def accept(self) -> None:
        """Serve again after `refuse`, on the same port."""
        if self._server is None:
            await self.start()

    def silence(self) -> None:
        """Deliver nothing, though connections stand and new ones are made."""
        self._passing.clear()

    def speak(self, *, forget: bool = False) -> None:
        """Deliver again what waited.

        Args:
            forget: as after the restart of a router: what waited is lost, and the connections
                there are stay silent for ever, without any word to either side.
        """
        if forget:
            for link in self._links:
                link.dead = True
        self._passing.set()

    def answer(self, response: bytes | None) -> None:
        """Answer each request of HTTP with this, as a gateway of its own; None: forward again."""
        self._answer = response
        self.cut()

    def half_close(self) -> None:
        """End the server's direction of every connection: clients read the end, and may write."""
        for link in list(self._links):
            with suppress(OSError, RuntimeError):
                link.writers[0].write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link = _Link(writer)
        self._links.add(link)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self._answer is not None:
                    await self._answered(reader, writer)
                    return
                await self._passing.wait()
                if link.dead:
                    await asyncio.Event().wait()
                there, back = await asyncio.open_connection(*self._to)
                link.writers = (writer, back)
                await asyncio.gather(
                    self._forward(link, reader, back), self._forward(link, there, writer)
                )
        except asyncio.CancelledError:
            pass  # by `stop` alone: a handler that ends as cancelled is reported as an error
        finally:
            link.reset()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _forward(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._passing.wait()
                if link.dead:
                    continue
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
            if not link.dead:
                writer.write_eof()
        except (OSError, RuntimeError):
            link.reset()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self._answer is not None:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, separator, rest = head.partition(b"content-length:")
            if separator:
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            writer.write(self._answer)
            await writer.drain()


def gateway_error(status: int, reason: str) -> bytes:
    """Answer as nginx does when the server behind it does not: a page, no JSON."""
    page = (
        f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()
    return (
        f"HTTP/1.1 {status} {reason}\r\nServer: nginx\r\nContent-Type: text/html\r\n"
        f"Content-Length: {len(page)}\r\nConnection: keep-alive\r\n\r\n"
    ).encode() + page
