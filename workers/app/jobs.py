"""The jobs of the composition root."""

from contracts.streams import JOBS_GROUP, shards
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
    """The jobs that the settings ask for."""
    return Schedule(
        settings.schedules,
        settings.schedule_tenants,
        settings.jwt_tenant_claim,
        settings.max_queue_age_s,
    )


def build_scheduler(settings: Settings, servers: Servers) -> Scheduler:
    """Wire what asks for them."""
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
    """Wire what runs jobs.

    Args:
        settings: the settings.
        servers: open.
        authenticator: says who asks, as for responses.
        keys: the issuer's; None where there are none.
        versions: of the parameters under which states are computed.
    """
    # Of its own: who waits in a job holds up nobody else.
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
        rejected=shards(settings.stream_shards)[0].rejected,
        max_attempts=settings.max_deliveries,
    )
