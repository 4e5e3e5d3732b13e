"""The HTTP applications, and their routes that need no token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from workers.metrics.health import Health
from workers.reference.asyncapi import Document
from workers.web.compressed import CompressedFiles, FixedText
from workers.web.refreshing import Refresh, refreshed
from workers.web.requests import FailureMiddleware, RequestMiddleware, on_http_exception

STATIC: Final = Path(__file__).with_name("static")

_VIEWER_SOURCES: Final = {
    "default-src": "'none'",
    # The viewer's JSON Schema validator compiles its checks; every build of it does.
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
VIEWER_POLICY: Final = "; ".join(
    f"{directive} {source}" for directive, source in _VIEWER_SOURCES.items()
)
"""Content-Security-Policy of the viewer: only our own files, and nothing inline."""

_NO_STORE: Final = {"Cache-Control": "no-store"}


def application(routes: Sequence[BaseRoute], middleware: Sequence[Middleware] = ()) -> Starlette:
    """Make an application whose requests have ids and whose errors have our shape.

    Args:
        routes: the routes it serves.
        middleware: runs before the routes, in this order.
    """
    app = Starlette(
        routes=routes,
        middleware=[Middleware(RequestMiddleware), *middleware, Middleware(FailureMiddleware)],
        # Starlette's types do not cover a handler that serves sockets too.
        exception_handlers={HTTPException: cast("Any", on_http_exception)},
    )
    # A redirect would not have our shape, and behind a proxy its address may be wrong.
    app.router.redirect_slashes = False
    return app


def health_routes(health: Health) -> list[BaseRoute]:
    """Return the routes ``/health``, ``/health/live`` and ``/health/ready``."""

    async def whole(_: Request) -> Response:
        report = await health.report()
        status = 200 if report.ready else 503
        return JSONResponse(report.to_jsonable(), status_code=status, headers=_NO_STORE)

    async def live(_: Request) -> Response:
        uptime_s = round(health.uptime_s, 3)
        alive = {"status": "alive", "version": health.version, "uptime_s": uptime_s}
        return JSONResponse(alive, headers=_NO_STORE)

    return [
        Route("/health", whole),
        Route("/health/live", live),
        Route("/health/ready", whole),
    ]


def inner_routes(
    *, registry: CollectorRegistry, document: Document, refresh: Refresh | None = None
) -> list[BaseRoute]:
    """Return the routes for operators: metrics, the AsyncAPI document and its viewer.

    Args:
        registry: the metrics of ``/metrics``.
        document: the document of ``/docs`` and ``/asyncapi.*``.
        refresh: updates gauges before ``/metrics`` answers; it may fail.
    """
    page = (STATIC / "docs.html").read_text(encoding="utf-8")
    as_yaml = FixedText(document.to_yaml(), "application/yaml")
    as_json = FixedText(document.to_json(), "application/json")

    async def metrics(_: Request) -> Response:
        if refresh is not None:
            await refreshed(refresh)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def viewer(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": VIEWER_POLICY})

    async def yaml(request: Request) -> Response:
        return as_yaml.response(request)

    async def json(request: Request) -> Response:
        return as_json.response(request)

    return [
        Route("/metrics", metrics),
        Route("/docs", viewer),
        Mount("/docs/static", CompressedFiles(STATIC)),
        Route("/asyncapi.yaml", yaml),
        Route("/asyncapi.json", json),
    ]
