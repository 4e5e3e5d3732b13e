"""Composition root: wire servers, roles and HTTP from the settings. No other logic."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import Final

import structlog

from contracts.streams import (
    ENGINE_GROUP,
    GRAPH_GROUP,
    JOBS,
    JOBS_GROUP,
    Shard,
    other_shards,
    shards,
)
from workers.app.consumptions import Consumptions
from workers.app.engine import build_engine
from workers.app.extension import NO_EXTENSION, Extension
from workers.app.http import HttpSide, build_http_side
from workers.app.identity import Verification, build_verification
from workers.app.jobs import build_jobs, build_scheduler, rejected_streams
from workers.app.lifecycle import Worker
from workers.app.servers import Servers, open_servers
from workers.common.retrying import Retrying
from workers.common.version import package_version
from workers.config.settings import Settings
from workers.graph.projection import Projection
from workers.graph.projector import Projector
from workers.ledger.parameter_versions import ParametersSource
from workers.ledger.parameters import ParametersLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Check, Health
from workers.metrics.readiness_gauge import ReadinessGauge
from workers.metrics.shared_refresh import SharedRefresh
from workers.metrics.stream_gauges import StreamGauges
from workers.operations.repair.background_replay import Replayer
from workers.publishing.lost_owners import LostOwners
from workers.publishing.outbox_relay import OutboxRelay
from workers.publishing.publisher import Publisher
from workers.streams.consumer_name import ConsumerName
from workers.streams.followers import Followers
from workers.streams.housekeeping import Housekeeping
from workers.streams.old_shards import OldShards
from workers.streams.poison import PoisonIsolation
from workers.streams.redis_clock import RedisClock
from workers.streams.redis_errors import redis_errors
from workers.streams.tries import Tries
from workers.streams.trimming import Bounds, Trimmer

_log = structlog.get_logger(__name__)


_OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000


class Role(StrEnum):
    """Tasks of a worker, in the order in which events pass through them."""

    ENGINE = "engine"
    """Records responses."""
    GRAPH = "graph"
    """Projects mastery changes into the graph."""
    JOBS = "jobs"
    """Runs long jobs on request."""
    HTTP = "http"
    """Reads no stream; every worker serves HTTP beside its other roles."""


ROLES: Final = tuple(Role)

_OF_LEDGER: Final = frozenset((Role.ENGINE, Role.JOBS, Role.HTTP))
"""Roles that need the ledger."""


def parameters_source(settings: Settings, ledger: ParametersLedger) -> ParametersSource:
    """Build the source of parameter versions that compute states."""
    return ParametersSource(ledger, settings.mastery_threshold)


def bounds_of(settings: Settings, of: Sequence[Shard] | None = None) -> tuple[Bounds, ...]:
    """Return the bounds of each stream; rejections stay until an operator purges them.

    Args:
        settings: the settings.
        of: only the streams of these shards; None: all streams of the settings.
    """
    retention_ms = settings.stream_retention_s * 1000
    return (
        *(
            bounds
            for shard in (shards(settings.stream_shards) if of is None else of)
            for bounds in (
                Bounds(shard.responses, ENGINE_GROUP),
                Bounds(shard.mastery, GRAPH_GROUP, settings.stream_keep, retention_ms),
                Bounds(shard.unlocked, None, settings.stream_keep, retention_ms),
            )
        ),
        *((Bounds(JOBS, JOBS_GROUP),) if of is None else ()),
    )


@asynccontextmanager
async def running_worker(
    settings: Settings,
    roles: Sequence[Role] = ROLES,
    *,
    http: bool = True,
    extension: Extension = NO_EXTENSION,
) -> AsyncIterator[tuple[Worker, Servers]]:
    """Yield a started worker with its HTTP side; stop all of it at the end.

    Raises:
        Unavailable: a required server can't be reached.
        Fatal: a server refuses us, or a setting is wrong.
    """
    name = ConsumerName()
    consumer = settings.consumer_name or name.take()
    try:
        async with open_servers(settings) as servers:
            await extension.seed(servers)
            metrics = EngineMetrics(
                package_version(), by_concept=settings.http_inner_port is not None
            )
            verification = build_verification(settings, servers.redis, consumer)
            worker = build_worker(
                settings, servers, metrics, consumer, roles, verification=verification
            )
            service = (
                build_service(
                    settings,
                    servers,
                    metrics,
                    worker,
                    roles,
                    verification=verification,
                    extension=extension,
                )
                if http
                else None
            )
            try:
                if service is not None:
                    await service.start()
                    _log.info("http_started", host=settings.http_host, port=service.port)
                await worker.start()
                # No collection needs to scan objects that live as long as the process. A batch
                # is many small objects that end together (`bench/whole_file.py`).
                gc.freeze()
                gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
                yield worker, servers
            finally:
                await worker.stop()
                if service is not None:
                    await service.stop()
    finally:
        name.release()


def build_worker(
    settings: Settings,
    servers: Servers,
    metrics: EngineMetrics,
    consumer: str,
    roles: Sequence[Role],
    *,
    verification: Verification,
) -> Worker:
    """Wire the roles of a worker to open servers."""
    versions = parameters_source(settings, servers.ledger)
    # An embedded Redis ends with its process, and loses nothing before.
    owners = LostOwners(servers.redis, settings.max_queue_age_s) if settings.redis_url else None
    engine = build_engine(settings, servers, metrics, verification, versions, owners=owners)
    # Its own, so that waiting for the graph delays nothing else.
    retrying = Retrying()
    projection = Projection(
        projector=Projector(servers.graph),
        graph=servers.graph,
        publisher=Publisher(servers.redis, GRAPH_GROUP),
        isolation=PoisonIsolation(Tries(servers.redis), retrying, settings.max_deliveries),
        retrying=retrying,
    )
    jobs = build_jobs(
        settings,
        servers,
        authenticator=verification.events,
        keys=verification.ring,
        versions=versions,
    )

    make = Consumptions(settings, servers, consumer)
    # An embedded Redis ends with its process and has no streams from before.
    old = OldShards(
        servers.redis, other_shards(settings.stream_shards) if settings.redis_url else ()
    )
    own = shards(settings.stream_shards)
    recording = {shard: make.recording(engine, shard) for shard in own if Role.ENGINE in roles}
    projecting = {shard: make.projecting(projection, shard) for shard in own if Role.GRAPH in roles}

    async def prepare() -> None:
        if _OF_LEDGER.intersection(roles):
            await servers.ledger.ping()
            # Parameters that this engine can't read must stop it before it takes an entry.
            await versions.refresh()
        if Role.GRAPH in roles and Role.ENGINE not in roles:
            # Beside the engine, the projection waits for the graph by itself.
            await servers.graph.prepare()

    return Worker(
        broker=servers.broker,
        consumptions=[
            role[shard] for shard in own for role in (recording, projecting) if shard in role
        ]
        + ([make.running(jobs)] if Role.JOBS in roles else []),
        readers=make.leased(engine, recording, old, metrics.reading) if recording else None,
        followers=Followers(
            old,
            records=Role.ENGINE in roles,
            project=partial(make.projecting, projection, later=True) if projecting else None,
        )
        if recording or projecting or Role.HTTP in roles
        else None,
        engine=engine,
        jobs=jobs if Role.JOBS in roles else None,
        scheduler=build_scheduler(settings, servers) if Role.JOBS in roles else None,
        prepare=prepare,
        housekeeping=Housekeeping(
            trimmer=Trimmer(servers.redis),
            bounds=bounds_of(settings),
            others=lambda: bounds_of(settings, old.found),
            consumer=consumer,
            reclaim_after_ms=settings.reclaim_after_ms,
            trimmed=metrics.trimmed,
        ),
        relay=OutboxRelay(
            ledger=servers.ledger,
            client=servers.redis,
            shard_count=settings.stream_shards,
        )
        if Role.ENGINE in roles
        else None,
        replayer=Replayer(ledger=servers.ledger, versions=versions, meter=metrics, busy=engine.busy)
        if Role.ENGINE in roles or Role.JOBS in roles
        else None,
        projection=projection if Role.GRAPH in roles else None,
        owners=owners if Role.ENGINE in roles else None,
        keys=verification.ring,
    )


def build_service(
    settings: Settings,
    servers: Servers,
    metrics: EngineMetrics,
    worker: Worker,
    roles: Sequence[Role],
    *,
    verification: Verification,
    extension: Extension,
) -> HttpSide:
    """Wire the HTTP side of a worker."""

    async def ping_redis() -> None:
        with redis_errors():
            await servers.redis.ping()

    checks = [
        Check("redis", ping_redis, required=True),
        Check("consumer", worker.consuming, required=True),
    ]
    if _OF_LEDGER.intersection(roles):
        checks.append(Check("ledger", servers.ledger.ping, required=True))
        checks.append(Check("clock", RedisClock(servers.redis).check, required=True))
    if Role.GRAPH in roles:
        checks.append(Check("graph", servers.graph.ping, required=Role.ENGINE not in roles))
    if Role.ENGINE in roles and verification.parking is not None:
        checks.append(Check("keys", verification.parking.check, required=False))
    gauges = StreamGauges(
        servers.redis,
        bounds_of(settings),
        rejected_streams(settings),
        others=lambda: bounds_of(settings, worker.old_shards),
    )
    health = Health(
        checks, version=package_version(), waiting=worker.waited_for, notes=worker.notes
    )
    readiness = ReadinessGauge(health)
    metrics.registry.register(gauges)
    metrics.registry.register(readiness)

    return build_http_side(
        settings,
        servers,
        health=health,
        registry=metrics.registry,
        refresh=SharedRefresh([readiness.refresh, gauges.refresh]).refresh,
        calibration=metrics.calibration,
        bearer=verification.bearer,
        old=lambda: worker.old_shards,
        extension=extension,
    )
