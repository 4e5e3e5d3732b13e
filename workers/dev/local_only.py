"""Refuse requests that a foreign page or name makes, as DNS rebinding does.

A page of another site can resolve its own name to 127.0.0.1 and then read our answers as its own;
the `Host` of its requests still is its name. A page that calls 127.0.0.1 directly sends its
`Origin`.
"""

from collections.abc import Collection, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from workers.web.requests import error_response


class LocalOnlyMiddleware:
    """Serves requests of known hosts and origins alone, sockets included.

    Args:
        app: the application behind it.
        hosts: values of `Host`, with ports.
        origins: origins of pages that may call.
        own_origins: origins of our own pages; only they may call paths below `own_path`.
        own_path: the paths of our own pages alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        origins: Collection[str],
        own_origins: Collection[str],
        own_path: str,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._own_origins = frozenset(own_origins)
        self._own_path = own_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        refusal = self._refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = error_response(scope["state"]["request_id"], 403, refusal)
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if not self._known(headers.getlist("host")):
            return "Unknown Host: `mastery dev` is reached under 127.0.0.1 or localhost alone."
        path = scope["path"]
        own = path == self._own_path or path.startswith(f"{self._own_path}/")
        allowed = self._own_origins if own else self._origins
        if all(origin.lower() in allowed for origin in headers.getlist("origin")):
            return None
        if own:
            return f"Only pages of {' and '.join(sorted(self._own_origins))} may call this."
        return "Pages of this origin may not call: add it to CORS_ALLOWED_ORIGINS."

    def _known(self, hosts: Sequence[str]) -> bool:
        return len(hosts) == 1 and hosts[0].lower() in self._hosts
