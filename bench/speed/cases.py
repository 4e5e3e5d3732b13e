"""Cases: what is compared in one run, each with one factor changed from the base."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Kinds of consumers of the entries."""

    ENGINE = "engine"
    """Our worker, role engine alone."""
    ALL_ROLES = "all roles"
    """Our worker with its projector: waits until Neo4j has everything."""
    NAIVE = "naive"
    """One event at a time: three supabase-py calls, one Cypher write, publish, acknowledge."""
    LIMIT = "limit"
    """The same SQL and Lua with ready-made batches: no parsing, no estimation."""
    PEER = "peer"
    """The consumer of edx-event-bus-redis with a receiver that does nothing."""


class Order(StrEnum):
    """Order in which a learner's answers arrive."""

    IN_ORDER = "in order"
    SWAPPED = "swapped"
    """The second of each two answers comes first, with an answer of each other learner between."""
    SHUFFLED = "shuffled"
    DOUBLED = "doubled"
    """Each answer twice, shuffled."""
    LATE = "late"
    """Each answer sorts among the learner's newest 100."""


@dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Args:
        label: its name in the table.
        kind: who consumes.
        workers: number of processes.
        shards: `STREAM_SHARDS`.
        cluster: True on a Redis Cluster of its own: three masters with a replica each.
        order: order of arrival.
        concepts: concepts of each answer.
        concepts_of_learner: concepts among which each answer chooses.
        learners: learners who answer in turn, so that a batch of this size has each once.
        history: stored answers of each of these learners.
        stored: stored answers of other learners.
        chunk: entries of a chunk; None: as large as the options say.
        repeats: chunks of a turn, each published when the one before it is drained.
        lone: True if the latency of lone events is measured.
    """

    label: str
    kind: Kind = Kind.ENGINE
    workers: int = 1
    shards: int = 0
    cluster: bool = False
    order: Order = Order.IN_ORDER
    concepts: int = 1
    concepts_of_learner: int = 16
    learners: int = 500
    history: int = 0
    stored: int = 0
    chunk: int | None = None
    repeats: int = 1
    lone: bool = False

    @property
    def needs_supabase(self) -> bool:
        return self.kind is Kind.NAIVE

    @property
    def needs_neo4j(self) -> bool:
        return self.kind in {Kind.NAIVE, Kind.ALL_ROLES}


BASE: Final = Contender("1 worker")
_LATE: Final = replace(BASE, learners=20, chunk=20, repeats=10)


def _late(history: int, concepts: int) -> list[Contender]:
    side = replace(_LATE, history=history, concepts_of_learner=concepts)
    name = f"{history:,} answers, {concepts} concept{'s' * (concepts > 1)}"
    return [
        replace(side, label=f"in order, {name}"),
        replace(side, label=f"late, {name}", order=Order.LATE),
    ]


CASES: Final[dict[str, list[Contender]]] = {
    "base": [
        replace(BASE, lone=True),
        Contender("naive", Kind.NAIVE, lone=True),
        Contender("all roles", Kind.ALL_ROLES),
        Contender("limit", Kind.LIMIT),
        Contender("peer", Kind.PEER),
    ],
    "workers": [BASE, *(replace(BASE, label=f"{n} workers", workers=n) for n in (2, 3, 4))],
    "shards": [
        BASE,
        replace(BASE, label="1 worker, 6 shards", shards=6),
        replace(BASE, label="3 workers, 6 shards", workers=3, shards=6),
    ],
    "cluster": [
        BASE,
        replace(BASE, label="1 worker, 3 shards of a cluster", shards=3, cluster=True),
        replace(BASE, label="3 workers, 3 shards of a cluster", workers=3, shards=3, cluster=True),
    ],
    "order": [
        replace(BASE, label=f"{order}{name}", order=order, workers=workers)
        for order in (Order.IN_ORDER, Order.SWAPPED, Order.SHUFFLED, Order.DOUBLED)
        for workers, name in ((1, ""), (3, ", 3 workers"))
        if workers == 1 or order is Order.DOUBLED
    ],
    "concepts": [
        replace(BASE, label=f"{n} concept{'s' * (n > 1)} an answer", concepts=n) for n in (1, 4, 16)
    ],
    "history": [replace(BASE, label=f"history {n:,}", learners=40, history=n) for n in (0, 10_000)],
    "stored": [replace(BASE, label=f"{n:,} stored", stored=n) for n in (0, 1_000_000)],
    "late": [
        replace(BASE, label="in order, 500 learners", history=300),
        *(side for concepts in (1, 100) for n in (300, 20_000) for side in _late(n, concepts)),
    ],
    "cache": [
        # Nobody of 12,500 learners answers twice, so no state is ever in the cache.
        replace(
            BASE,
            label=f"{name}, {n} concept{'s' * (n > 1)}",
            history=h,
            concepts_of_learner=n,
            learners=learners,
        )
        for n, h in ((1, 20), (16, 60))
        for name, learners in (("cached", 500), ("not cached", 12_500))
    ],
}
"""Cases by name; the first contender of each is what the others are compared with."""

DEFAULT: Final = ("base", "workers", "shards", "order", "concepts")
"""Cases that need no stored answers, and so run within minutes."""
