"""The faults, each as what is done to a stage and how it is undone."""

from dataclasses import dataclass, field

from tests.faults import acts
from tests.faults.stage import Need

QUICK = {"LEDGER_TIMEOUT_S": "2"}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: what the command line calls it.
        strike: makes it happen; called once while the load is on its way.
        heal: undoes it; returns once the server answers again.
        check: the readiness check that has to say why; None where no worker becomes unready.
        may_be_short: whether it may be over before readiness is asked.
        hold_s: how long it lasts at least, seconds.
        needs: what it needs of its stage.
        settings: of the workers.
        fsync: of Redis.
        loses: whether Redis loses data by it: then the publisher publishes again.
        repeats: whether Redis loses what was acknowledged, so that old entries come again.
        degraded: whether the workers stay ready, and say that they are degraded.
        strikes: how often it happens in one run.
        strikes_workers: whether what a worker counted is gone with it.
        seen_by_reader: whether only the worker that reads notices, since the server answers others.
        in_ci: whether the tests have it too; the others differ little from one that they have.
    """

    name: str
    strike: acts.Act
    heal: acts.Act = acts.nothing
    check: str | None = None
    may_be_short: bool = False
    hold_s: float = 2.0
    needs: frozenset[Need] = frozenset()
    settings: dict[str, str] = field(default_factory=dict)
    fsync: str = "always"
    loses: bool = False
    repeats: bool = False
    degraded: bool = False
    strikes: int = 1
    strikes_workers: bool = False
    seen_by_reader: bool = False
    in_ci: bool = True


_REDIS = frozenset({Need.REDIS_LINE})
_POSTGRES = frozenset({Need.POSTGRES_LINE})
_REST = frozenset({Need.REST})
_GRAPH = frozenset({Need.GRAPH})

FAULTS = (
    Fault("workers_killed", acts.kill_workers, strikes_workers=True),
    Fault("redis_killed", acts.kill_redis, acts.start_redis, "redis"),
    Fault("redis_frozen", acts.freeze_redis, acts.thaw_redis, "redis", hold_s=7, in_ci=False),
    Fault(
        "redis_disk_full",
        acts.fill_disk,
        acts.free_redis_disk,
        "redis",
        needs=frozenset({Need.REDIS_DISK}),
        fsync="everysec",
    ),
    # Publishers are refused; what the worker acknowledges, it may publish all the same.
    Fault("redis_memory_full", acts.fill_memory, acts.free_memory, in_ci=False),
    Fault("redis_flushed", acts.flush, check="consumer", may_be_short=True, loses=True),
    Fault(
        "group_destroyed",
        acts.destroy_group,
        check="consumer",
        may_be_short=True,
        loses=True,
        repeats=True,
    ),
    Fault("stream_deleted", acts.delete_stream, check="consumer", may_be_short=True, loses=True),
    Fault("redis_refused", acts.refuse, acts.accept, "redis", needs=_REDIS, in_ci=False),
    Fault("redis_cut", acts.cut_often, check="redis", may_be_short=True, strikes=10, needs=_REDIS),
    Fault(
        "redis_half_closed",
        acts.half_close,
        check="redis",
        may_be_short=True,
        strikes=5,
        needs=_REDIS,
        in_ci=False,
    ),
    Fault("redis_silent", acts.silence, acts.speak, "redis", hold_s=7, needs=_REDIS, in_ci=False),
    Fault(
        "redis_forgotten",
        acts.silence,
        acts.forget,
        "redis",
        hold_s=7,
        needs=_REDIS,
        in_ci=False,
    ),
    Fault("redis_delayed", acts.delay, acts.no_delay, hold_s=4, needs=_REDIS, in_ci=False),
    Fault("postgres_stopped", acts.stop_postgres, acts.start_postgres, "ledger"),
    Fault("postgres_crashed", acts.crash_postgres, acts.start_postgres, "ledger", in_ci=False),
    Fault(
        "postgres_frozen",
        acts.freeze_postgres,
        acts.thaw_postgres,
        "ledger",
        hold_s=6,
        settings=QUICK,
    ),
    Fault(
        "postgres_disk_full",
        acts.fill_disk,
        acts.free_postgres_disk,
        "ledger",
        seen_by_reader=True,
        needs=frozenset({Need.POSTGRES_DISK}),
    ),
    Fault(
        "postgres_cut",
        acts.cut_often,
        check="ledger",
        may_be_short=True,
        strikes=10,
        needs=_POSTGRES,
        in_ci=False,
    ),
    Fault(
        "postgres_half_closed",
        acts.half_close,
        check="ledger",
        may_be_short=True,
        strikes=5,
        needs=_POSTGRES,
        in_ci=False,
    ),
    Fault(
        "postgres_silent",
        acts.silence,
        acts.speak,
        "ledger",
        hold_s=6,
        needs=_POSTGRES,
        settings=QUICK,
        in_ci=False,
    ),
    Fault(
        "postgres_forgotten",
        acts.silence,
        acts.forget,
        "ledger",
        hold_s=6,
        needs=_POSTGRES,
        settings=QUICK,
        in_ci=False,
    ),
    Fault("postgres_delayed", acts.delay, acts.no_delay, hold_s=4, needs=_POSTGRES),
    Fault("postgrest_killed", acts.kill_postgrest, acts.start_postgrest, "ledger", needs=_REST),
    Fault(
        "postgrest_database_crashed",
        acts.crash_under_postgrest,
        acts.start_under_postgrest,
        "ledger",
        needs=_REST,
        in_ci=False,
    ),
    Fault(
        "gateway_502",
        acts.answer(502, "Bad Gateway"),
        acts.forward,
        "ledger",
        needs=_REST,
        in_ci=False,
    ),
    Fault("gateway_504", acts.answer(504, "Gateway Time-out"), acts.forward, "ledger", needs=_REST),
    Fault(
        "gateway_cut",
        acts.cut_often,
        check="ledger",
        may_be_short=True,
        strikes=10,
        needs=_REST,
        in_ci=False,
    ),
    Fault(
        "gateway_silent",
        acts.silence,
        acts.speak,
        "ledger",
        hold_s=6,
        needs=_REST,
        settings=QUICK,
        in_ci=False,
    ),
    Fault("neo4j_away", acts.refuse, acts.accept, "graph", hold_s=4, needs=_GRAPH, degraded=True),
    Fault(
        "neo4j_silent",
        acts.silence,
        acts.forget,
        "graph",
        hold_s=4,
        needs=_GRAPH,
        degraded=True,
        in_ci=False,
    ),
)
"""All faults. What loses Redis's last second, and SIGTERM, have tests of their own."""
