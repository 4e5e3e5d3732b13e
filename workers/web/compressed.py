"""Serve files and documents compressed, each compressed once for all clients."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from typing_extensions import override

_CHUNK: Final = 65_536
"""Bytes written at once, so that a client that reads slowly holds few of them."""
_WORTHWHILE: Final = 1_024
"""Fewer bytes than this are sent as they are."""


class CompressedFiles(StaticFiles):
    """The files of a folder, as gzip for clients that accept it.

    Args:
        folder: a file in it is compressed when it is first asked for, and after it has changed.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._kept: dict[str, tuple[str, bytes]] = {}
        self._once = asyncio.Lock()

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if not isinstance(response, FileResponse) or not _accepts_gzip(scope):
            return response
        body = await self._compressed(str(response.path), response.headers["etag"])
        if body is None:
            return response
        headers = {
            **_encoded(body),
            # Weak: the same file in other bytes.
            "etag": f"W/{response.headers['etag']}",
            "last-modified": response.headers["last-modified"],
        }
        return StreamingResponse(_chunks(body), headers=headers, media_type=response.media_type)

    async def _compressed(self, path: str, etag: str) -> bytes | None:
        """Return the compressed file; None if it is not worth it."""
        async with self._once:
            if self._kept.get(path, ("",))[0] != etag:
                # Not in the event loop: the largest file takes a third of a second.
                self._kept[path] = (etag, await asyncio.to_thread(_compress_file, path))
        return self._kept[path][1] or None


class FixedText:
    """A text that is served unchanged for the life of the process.

    Args:
        text: its content.
        media_type: of the text.
    """

    def __init__(self, text: str, media_type: str) -> None:
        self._plain = text.encode()
        self._media_type = media_type
        self._compressed: bytes | None = None

    def response(self, request: Request) -> Response:
        """Return the text, as gzip if the client accepts it."""
        if len(self._plain) < _WORTHWHILE or not _accepts_gzip(request.scope):
            return Response(self._plain, media_type=self._media_type)
        if self._compressed is None:
            self._compressed = gzip.compress(self._plain, mtime=0)
        headers = _encoded(self._compressed)
        return Response(self._compressed, headers=headers, media_type=self._media_type)


def _accepts_gzip(scope: Scope) -> bool:
    offered = Headers(scope=scope).get("accept-encoding", "")
    return any(part.strip().lower() == "gzip" for part in offered.split(","))


def _encoded(body: bytes) -> dict[str, str]:
    return {
        "content-encoding": "gzip",
        "content-length": str(len(body)),
        "vary": "Accept-Encoding",
    }


def _compress_file(path: str) -> bytes:
    plain = Path(path).read_bytes()
    return gzip.compress(plain, mtime=0) if len(plain) >= _WORTHWHILE else b""


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _CHUNK):
        yield body[start : start + _CHUNK]
