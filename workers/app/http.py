"""Wire the HTTP side of a process: applications, sockets and their addresses."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from contracts.streams import Shard, shards
from workers.app.extension import NO_EXTENSION, Extension
from workers.app.jobs import rejected_streams
from workers.app.servers import Servers
from workers.config.settings import Settings
from workers.metrics.drift.windows import CurveBin
from workers.metrics.health import Health
from workers.operations.dead_letters.reading import DeadLetters
from workers.operations.dead_letters.tally import DeadLetterTally
from workers.operations.jobs.progress_feed import JobWatch
from workers.operations.jobs.records import JobRecords
from workers.reference.asyncapi import build_document
from workers.web.descriptors import affordable
from workers.web.guard import BearerVerifier, Guard
from workers.web.http import application, health_routes, inner_routes
from workers.web.jobs import Jobs
from workers.web.limits.concurrency import ConcurrencyMiddleware
from workers.web.limits.rates import AddressMiddleware, Rates
from workers.web.limits.sizes import SizeMiddleware
from workers.web.mastery import StudentMastery
from workers.web.openapi import openapi_routes
from workers.web.pages.front import operators_routes, public_routes
from workers.web.refreshing import Refresh
from workers.web.rejected import Rejected
from workers.web.requests import HEADER
from workers.web.server import HttpServer
from workers.web.sockets.admission import SocketAdmission
from workers.web.sockets.mastery import LiveMastery
from workers.web.sockets.routes import Sockets
from workers.web.status import Status

_BESIDE_SOCKETS: Final = 1_000
"""Connections of a process besides WebSockets."""

_log = structlog.get_logger(__name__)


class HttpSide:
    """One HTTP server, or two if operators have an address of their own.

    Args:
        outer: the public server.
        inner: the operators' server; None if the outer one serves all.
        watch: ended with the servers.
    """

    def __init__(self, outer: HttpServer, inner: HttpServer | None, watch: JobWatch) -> None:
        self._outer = outer
        self._inner = inner
        self._watch = watch

    @property
    def port(self) -> int:
        """The port of the outer server; known after `start`."""
        return self._outer.port

    @property
    def inner_port(self) -> int | None:
        """The port of the operators' server, known after `start`; None if there is none."""
        return None if self._inner is None else self._inner.port

    async def start(self) -> None:
        """Bind and listen; return when requests are answered.

        Raises:
            SettingsError: the host and port can't be used.
        """
        if self._inner is not None:
            await self._inner.start()
            _log.info("http_inner_started", port=self._inner.port)
        await self._outer.start()

    async def stop(self) -> None:
        """Finish requests in flight and close; without effect if not started."""
        await self._outer.stop()
        if self._inner is not None:
            await self._inner.stop()
        await self._watch.close()


def build_http_side(
    settings: Settings,
    servers: Servers,
    *,
    health: Health,
    registry: CollectorRegistry,
    refresh: Refresh,
    calibration: Callable[[], Sequence[CurveBin]],
    bearer: BearerVerifier | None,
    old: Callable[[], Iterable[Shard]] = tuple,
    extension: Extension = NO_EXTENSION,
) -> HttpSide:
    """Wire the HTTP servers and their applications.

    Args:
        settings: the settings.
        servers: open connections.
        health: health of the worker.
        registry: metrics of the worker.
        refresh: updates the gauges.
        calibration: returns the calibration curve of the newest predictions.
        bearer: verifies tokens; None if no key is configured.
        old: returns the shards of other counts found so far.
        extension: more routes and middleware of the public server.
    """
    records = JobRecords(servers.redis)
    watch = JobWatch(servers.redis, records)
    rates = Rates(
        servers.redis, subject=settings.http_subject_limit, address=settings.http_address_limit
    )
    guard = Guard(bearer, rates, max_token_bytes=settings.max_token_bytes)
    jobs = Jobs(
        guard=guard,
        records=records,
        roles=settings.job_roles,
        max_event_bytes=settings.max_event_bytes,
    )
    sockets = Sockets(
        admission=SocketAdmission(
            guard,
            origins=settings.cors_allowed_origins,
            max_open=settings.sockets_max,
            max_per_subject=settings.sockets_per_subject,
        ),
        records=records,
        watch=watch,
        live=LiveMastery(
            servers.redis,
            [shard.mastery for shard in shards(settings.stream_shards)],
            lambda: (shard.mastery for shard in old()),
        ),
        delegate_roles=settings.jwt_delegate_roles,
        job_roles=settings.job_roles,
    )
    mastery = StudentMastery(
        guard=guard,
        ledger=servers.ledger,
        client=servers.redis,
        shard_count=settings.stream_shards,
        delegate_roles=settings.jwt_delegate_roles,
    )
    inner = inner_routes(registry=registry, document=build_document(), refresh=refresh)
    apart = settings.http_inner_port is not None
    status = Status(
        registry=registry,
        refresh=refresh,
        health=health,
        calibration=calibration,
        dead_letters=DeadLetterTally(
            servers.redis,
            rejected_streams(settings),
            lambda: [shard.rejected for shard in old()],
        ),
        parameters=servers.ledger,
    )
    rejected = Rejected(
        guard=guard,
        letters=lambda: DeadLetters(
            servers.redis, settings.stream_shards, settings.jwt_tenant_claim, old=tuple(old())
        ),
        roles=settings.job_roles,
    )
    outer_routes = [
        *extension.routes,
        *health_routes(health),
        *([] if apart else inner),
        *public_routes(status, guard, settings.job_roles, documents=not apart),
        *rejected.routes,
        *jobs.routes,
        *mastery.routes,
        *openapi_routes(),
        *sockets.routes,
    ]
    return HttpSide(
        HttpServer(
            _guarded(settings, outer_routes, rates, extension.middleware),
            settings.http_host,
            settings.http_port,
            trusted_proxies=settings.http_trusted_proxies,
            max_connections=affordable(settings.sockets_max + _BESIDE_SOCKETS),
        ),
        HttpServer(
            application(
                [*health_routes(health), *inner, *operators_routes(status), *rejected.routes],
                [_concurrency(settings)],
            ),
            settings.http_inner_host,
            settings.http_inner_port,
            max_connections=_BESIDE_SOCKETS,
            variable="HTTP_INNER",
        )
        if settings.http_inner_port is not None
        else None,
        watch,
    )


def _guarded(
    settings: Settings,
    routes: Sequence[BaseRoute],
    rates: Rates,
    first: Sequence[Middleware],
) -> Starlette:
    middleware = [
        _concurrency(settings),
        Middleware(
            SizeMiddleware,
            max_body_bytes=settings.http_max_body_bytes,
            max_token_bytes=settings.max_token_bytes,
        ),
        Middleware(AddressMiddleware, rates=rates),
    ]
    if settings.cors_allowed_origins:
        # First, so that pages can read refusals too.
        middleware.insert(0, cors(settings.cors_allowed_origins))
    return application(routes, [*first, *middleware])


def _concurrency(settings: Settings) -> Middleware:
    return Middleware(ConcurrencyMiddleware, most=settings.http_address_concurrency)


def cors(origins: Sequence[str]) -> Middleware:
    """Allow pages of these origins to call and to read answers; tokens are not cookies."""
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", HEADER],
        expose_headers=["Location", "Retry-After", HEADER],
        max_age=600,
    )
