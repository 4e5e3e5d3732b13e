"""Wire the engine of a process."""

from contracts.streams import ENGINE_GROUP
from workers.admission.admission import Admission
from workers.app.identity import Verification
from workers.app.servers import Servers
from workers.common.rate_limit import RateLimit
from workers.common.retrying import Retrying
from workers.config.settings import Settings
from workers.engine.engine import Engine
from workers.engine.pipeline import Pipeline
from workers.engine.recorder import Recorder
from workers.engine.registered_names import Registry
from workers.engine.set_aside import SetAside
from workers.identity.claims import Authorisation
from workers.ledger.parameter_versions import Versions
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.lost_owners import LostOwners
from workers.publishing.publisher import Publisher
from workers.streams.poison import PoisonIsolation
from workers.streams.redis_clock import RedisClock
from workers.streams.redriven import RedriveOrigins
from workers.streams.tries import Tries


def build_engine(
    settings: Settings,
    servers: Servers,
    metrics: EngineMetrics,
    verification: Verification,
    versions: Versions,
    *,
    owners: LostOwners | None,
) -> Engine:
    """Wire the engine.

    Args:
        settings: the settings.
        servers: open connections.
        metrics: metrics of the process.
        verification: verifies tokens.
        versions: versions of the parameters that compute states.
        owners: lets repeats publish for owners that Redis lost; None: it loses none.
    """
    retrying = Retrying()
    return Engine(
        pipeline=Pipeline(
            admission=Admission(
                authenticator=verification.events,
                authorisation=Authorisation(frozenset(settings.jwt_delegate_roles)),
                max_event_bytes=settings.max_event_bytes,
                max_token_bytes=settings.max_token_bytes,
                max_queue_age_s=settings.max_queue_age_s,
            ),
            recorder=Recorder(
                ledger=servers.ledger,
                parameters=versions,
                retrying=retrying,
                meter=metrics,
                rate_limit=RateLimit.parse(settings.rate_limit),
                registry=Registry(servers.ledger) if settings.strict else None,
            ),
            publisher=Publisher(servers.redis, ENGINE_GROUP),
            retrying=retrying,
            meter=metrics,
            parking=verification.parking,
            lost_owners=owners,
        ),
        origins=RedriveOrigins(servers.redis),
        isolation=PoisonIsolation(Tries(servers.redis), retrying, settings.max_deliveries),
        retrying=retrying,
        clock=RedisClock(servers.redis).now_ms,
        parking=verification.parking,
        aside=SetAside(metrics.set_aside),
    )
