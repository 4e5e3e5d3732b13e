"""`/` and `/status`: the front page for everybody, the status for operators."""

from collections.abc import Collection, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers.web.guard import Guard
from workers.web.jobs import require_role
from workers.web.pages.rendering import page, static_files
from workers.web.status import Status

STATUS_PATH: Final = "/status.json"

_DOCUMENTS: Final = {
    "docs": "Events and streams",
    "asyncapi.yaml": "AsyncAPI document",
    "metrics": "Metrics",
}
_EVERYBODY: Final = {"health": "Health"}
_OPERATORS: Final = {"status": "Status, for operators"}


def public_routes(
    status: Status, guard: Guard, roles: Collection[str], *, documents: bool
) -> list[BaseRoute]:
    """Return the pages of the public listener; only the given roles see the status.

    The page of the status holds no data: a token fetches it.

    Args:
        status: the state of the worker.
        guard: identifies callers.
        roles: the roles that may see the status.
        documents: True if this listener serves the documents and metrics too.
    """
    links = {**(_DOCUMENTS if documents else {}), **_EVERYBODY}
    allowed = frozenset(roles)

    async def front(request: Request) -> Response:
        if "authorization" in request.headers:
            caller = await guard.of_request(request)
            if caller.identity.role in allowed:
                return _status_page(links, needs_token=True)
        return page("front.html.jinja", links={**links, **_OPERATORS})

    async def status_page(_: Request) -> Response:
        return _status_page(links, needs_token=True)

    async def data(request: Request) -> Response:
        require_role(await guard.of_request(request), allowed)
        return JSONResponse(await status.report())

    return [
        Route("/", front),
        Route("/status", status_page),
        Route(STATUS_PATH, data),
        static_files(),
    ]


def operators_routes(status: Status) -> list[BaseRoute]:
    """Return the pages of the inner listener, which only operators reach.

    Args:
        status: the state of the worker.
    """
    links = {**_DOCUMENTS, **_EVERYBODY}

    async def status_page(_: Request) -> Response:
        return _status_page(links, needs_token=False)

    async def data(_: Request) -> Response:
        return JSONResponse(await status.report())

    return [
        Route("/", status_page),
        Route("/status", status_page),
        Route(STATUS_PATH, data),
        static_files(),
    ]


def _status_page(links: Mapping[str, str], *, needs_token: bool) -> Response:
    return page("status.html.jinja", links=links, needs_token=needs_token)
