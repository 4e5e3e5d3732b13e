"""Wire the jobs of a process."""

from contracts.streams import JOBS_GROUP, JOBS_REJECTED, shards
from workers.app.servers import Servers
from workers.common.retrying import Retrying
from workers.config.settings import Settings
from workers.identity.claims import Authenticator
from workers.ledger.parameter_versions import Versions
from workers.operations.jobs.admission import JobAdmission
from workers.operations.jobs.handlers import JobHandlers
from workers.operations.jobs.records import JobRecords
from workers.operations.jobs.runner import JobRunner, NewerKeys
from workers.operations.jobs.schedule import Schedule
from workers.operations.jobs.scheduler import Scheduler
from workers.publishing.publisher import Publisher
from workers.streams.tries import Tries


def schedule_of(settings: Settings) -> Schedule:
    """Return the scheduled jobs of the settings."""
    return Schedule(
        settings.schedules,
        settings.schedule_tenants,
        settings.jwt_tenant_claim,
        settings.max_queue_age_s,
    )


def rejected_streams(settings: Settings) -> list[str]:
    """Return the streams of rejections."""
    own = [shard.rejected for shard in shards(settings.stream_shards)]
    return [*own, JOBS_REJECTED] if settings.redis_cluster else own


def build_scheduler(settings: Settings, servers: Servers) -> Scheduler:
    """Wire the scheduler that requests jobs."""
    return Scheduler(
        schedule=schedule_of(settings),
        records=JobRecords(servers.redis),
        client=servers.redis,
    )


def build_jobs(
    settings: Settings,
    servers: Servers,
    *,
    authenticator: Authenticator,
    keys: NewerKeys | None,
    versions: Versions,
) -> JobRunner:
    """Wire the job runner.

    Args:
        settings: the settings.
        servers: open connections.
        authenticator: identifies the requester, as for responses.
        keys: the issuer's keys; None if there are none.
        versions: versions of the parameters that compute states.
    """
    # Its own, so that a waiting job delays nothing else.
    retrying = Retrying()
    return JobRunner(
        admission=JobAdmission(
            authenticator=authenticator,
            roles=frozenset(settings.job_roles),
            tenant_claim=settings.jwt_tenant_claim,
            max_event_bytes=settings.max_event_bytes,
            max_token_bytes=settings.max_token_bytes,
            max_queue_age_s=settings.max_queue_age_s,
            schedule=schedule_of(settings),
        ),
        records=JobRecords(servers.redis),
        handlers=JobHandlers(
            ledger=servers.ledger,
            graph=servers.graph,
            versions=versions,
            retrying=retrying,
            client=servers.redis,
            shard_count=settings.stream_shards,
        ),
        tries=Tries(servers.redis),
        publisher=Publisher(servers.redis, JOBS_GROUP),
        retrying=retrying,
        client=servers.redis,
        keys=keys,
        rejected=JOBS_REJECTED
        if settings.redis_cluster
        else shards(settings.stream_shards)[0].rejected,
        max_attempts=settings.max_deliveries,
    )
