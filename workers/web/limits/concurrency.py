"""Limit the requests of a client that are in progress at once."""

from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.web.limits.customers import customer_of
from workers.web.requests import error_response

_AGAIN_S: Final = 5
_HEALTH: Final = frozenset({"/health", "/health/live", "/health/ready"})


class ConcurrencyMiddleware:
    """Refuses a request of an address that has too many in progress, health excepted.

    A request is in progress until the client has taken the answer, or has left. Sockets
    are not counted, because a whole school may hold theirs behind one address;
    `workers.web.sockets.admission` counts them by subject.

    Args:
        app: the application behind it.
        most: the most requests in progress of one address (IPv6: of a /64).
    """

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._busy: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] != "http" or scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        customer = customer_of((scope.get("client") or ("unknown",))[0])
        if self._busy[customer] >= self._most:
            response = error_response(
                scope["state"]["request_id"],
                429,
                f"This address has {self._most} requests in progress: read their answers first.",
                {"Retry-After": str(_AGAIN_S)},
            )
            await response(scope, receive, send)
            return

        async def send_and_wait(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                # The server sends it once the client has taken what precedes it.
                message = {"type": "http.response.body"}
            await send(message)

        self._busy[customer] += 1
        try:
            await self._app(scope, receive, send_and_wait)
        finally:
            self._busy[customer] -= 1
            if not self._busy[customer]:
                del self._busy[customer]
