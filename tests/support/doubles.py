"""Test doubles around a worker: entries, a publisher, and ledgers that misbehave."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis

from contracts.streams import shards
from tests.support.factories import START_US, event_json
from workers.admission.admission import Admission
from workers.admission.verdicts import Admitted
from workers.common.errors import Refused
from workers.common.retrying import Retrying
from workers.engine.engine import Engine
from workers.engine.pipeline import Pipeline
from workers.engine.recorder import Recorder
from workers.estimation.learner import LearnerKey, Position
from workers.estimation.parameters import Parameters
from workers.identity.claims import Authorisation, TrustedClaims
from workers.ledger.exchange import (
    MOST_ANSWERS,
    Commit,
    Committed,
    Conflict,
    Loaded,
    LogPage,
    Touched,
)
from workers.ledger.memory.ledger import MemoryLedger
from workers.ledger.recording import RecordingLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.poison import PoisonIsolation
from workers.streams.redriven import RedriveOrigins
from workers.streams.route import Route
from workers.streams.tries import Tries

STREAM: Final = "practice.responses.v1"
ROUTE: Final = Route.of_responses(shards(0)[0])
PARAMETERS: Final = Parameters()
_METER: Final = EngineMetrics("0")


def admission(**changes: Any) -> Admission:
    """Build an admission with the default settings."""
    claims = {"issuer": None, "audience": "authenticated", "tenant_claim": "tenant_id"}
    return Admission(
        authenticator=TrustedClaims(
            **cast("Any", {name: changes.pop(name, value) for name, value in claims.items()})
        ),
        authorisation=Authorisation(frozenset({"service_role"})),
        max_event_bytes=changes.pop("max_event_bytes", 65_536),
        max_token_bytes=changes.pop("max_token_bytes", 8_192),
        **changes,
    )


def entry_id(number: int) -> str:
    """Return the id of an entry that entered the stream this many seconds after `START`."""
    return f"{START_US // 1000 + number * 1000}-0"


def raw(text: bytes, number: int = 0) -> RawEntry:
    """Make an entry with a plain field `event`."""
    return RawEntry(entry_id(number), {b"event": text})


def admitted(
    student: str = "student-42", number: int = 0, *, entry: int | None = None, **changes: Any
) -> Admitted:
    """Make answer `number` of a student, in entry `entry` (by default of the same number)."""
    text = event_json(student, number, **changes)
    judged = admission().judge(raw(text, number if entry is None else entry))
    assert isinstance(judged, Admitted), judged
    return judged


def key_of(student: str = "student-42") -> LearnerKey:
    return LearnerKey("school-7", student)


def batch(*entries: RawEntry, deliveries: int = 1, alone: bool = False) -> RawBatch:
    delivered = {entry.entry_id: deliveries for entry in entries}
    return RawBatch(STREAM, entries, deliveries=delivered, alone=alone)


def fast_retrying() -> Retrying:
    """Build a `Retrying` that hardly waits."""
    return Retrying(first_s=0.001, longest_s=0.002)


def recorder(
    ledger: RecordingLedger, meter: EngineMetrics | None = None, retrying: Retrying | None = None
) -> Recorder:
    """Build a recorder that hardly waits."""
    return Recorder(
        ledger=ledger,
        parameters=PARAMETERS,
        retrying=retrying or fast_retrying(),
        meter=meter or EngineMetrics("0"),
    )


async def record(work: Recorder, entries: Sequence[Admitted]) -> list[Settled]:
    """Pass admitted entries through the pipeline as one batch; return the result of each."""
    publisher = _CollectingPublisher()
    pipeline = Pipeline(
        admission=cast("Admission", _JudgedBefore(entries)),
        recorder=work,
        publisher=cast("Publisher", publisher),
        retrying=fast_retrying(),
        meter=_METER,
    )
    async for _ in pipeline.run(
        ROUTE, RawBatch(STREAM, [admitted_entry.entry for admitted_entry in entries])
    ):
        pass  # there is no other batch to wait for
    return publisher.settled


class _JudgedBefore:
    """Admit a batch whose entries are admitted already."""

    def __init__(self, admitted: Sequence[Admitted]) -> None:
        self._left = iter(admitted)

    def judge(self, entry: RawEntry, now_ms: int | None = None) -> Admitted:  # noqa: ARG002  # as `Admission`
        judged = next(self._left)
        assert judged.entry is entry
        return judged


class _CollectingPublisher:
    """Collect what would be published."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []

    async def publish(self, route: Route, settled: Sequence[Settled]) -> int:
        assert route == ROUTE
        self.settled += settled
        return len(settled)


class FakeTries:
    """Keep tries of entries in memory; `seen` has each number ever written."""

    def __init__(self, made: dict[str, int] | None = None) -> None:
        self.kept = made or {}
        self.seen: list[int] = []

    async def made(self, stream: str, entry_id: str) -> int:
        assert stream == STREAM
        return self.kept.get(entry_id, 0)

    async def note(self, stream: str, entry_id: str, made: int) -> None:
        assert stream == STREAM
        self.seen.append(made)
        self.kept[entry_id] = made

    async def forget(self, stream: str, entry_id: str) -> None:
        assert stream == STREAM
        self.kept.pop(entry_id, None)


def isolation(tries: FakeTries | None = None, max_deliveries: int = 3) -> PoisonIsolation:
    """Build a `PoisonIsolation` that hardly waits."""
    return PoisonIsolation(
        cast("Tries", tries or FakeTries()), fast_retrying(), max_deliveries, first_pause_s=0.001
    )


def engine(
    ledger: RecordingLedger,
    publisher: "FakePublisher",
    meter: EngineMetrics | None = None,
    tries: FakeTries | None = None,
) -> Engine:
    meter, retrying = meter or EngineMetrics("0"), fast_retrying()
    return Engine(
        pipeline=Pipeline(
            admission=admission(),
            recorder=recorder(ledger, meter, retrying),
            publisher=cast("Publisher", publisher),
            retrying=retrying,
            meter=meter,
        ),
        origins=RedriveOrigins(cast("Redis", None)),  # used for marked entries only
        isolation=isolation(tries),
        retrying=retrying,
    )


def counted(meter: EngineMetrics, name: str, **labels: str) -> float:
    """Return the value of a counter, such as ``responses_applied``."""
    return meter.registry.get_sample_value(f"mastery_{name}_total", labels) or 0.0


def events_of(result: Settled) -> list[dict[str, Any]]:
    return [json.loads(event) for event in result.events]


def by_entry(results: Sequence[Settled]) -> dict[str, Settled]:
    """Return settled entries by id; each entry ends once."""
    by_entry_id = {result.entry.entry_id: result for result in results}
    assert len(by_entry_id) == len(results)
    return by_entry_id


def refusal_of(result: Settled) -> Refused:
    assert result.refusal is not None
    assert result.recorded is None
    assert len(result.events) == 1
    return result.refusal


class FakePublisher:
    """Imitate the script's effect on a stream: one call adds an entry's events and acks the entry.

    Args:
        pending: ids of the entries delivered and not acknowledged.
    """

    def __init__(self, *pending: str) -> None:
        self.pending = set(pending)
        self.published: list[dict[str, Any]] = []
        self.rejected: list[dict[str, Any]] = []
        self.acknowledged: list[str] = []
        self.gate: Callable[[], Awaitable[None]] | None = None

    async def publish(self, route: Route, settled: Sequence[Settled]) -> int:
        assert route == ROUTE
        if self.gate is not None:
            await self.gate()
        acknowledged = 0
        for settled_entry in settled:
            entry_id = settled_entry.entry.entry_id
            if entry_id in self.pending:
                self.pending.remove(entry_id)
                self.acknowledged.append(entry_id)
                acknowledged += 1
                (self.published if settled_entry.refusal is None else self.rejected).extend(
                    json.loads(event) for event in settled_entry.events
                )
        return acknowledged


class HookedLedger:
    """A ledger in memory, with hooks before and after its load and commit."""

    def __init__(self, inner: MemoryLedger | None = None) -> None:
        self.inner = inner or MemoryLedger()
        self.before_load: Callable[[Sequence[Touched]], Awaitable[None]] = _nothing
        self.before_commit: Callable[[Sequence[Commit]], Awaitable[None]] = _nothing
        self.after_commit: Callable[[Sequence[Commit]], Awaitable[None]] = _nothing
        self.before_page: Callable[[LearnerKey], Awaitable[None]] = _nothing
        self.most_answers = MOST_ANSWERS
        """The most stored answers that a load or a page returns."""
        self.loads = 0
        self.commits = 0
        """Number of commits begun."""
        self.committed = 0
        """Number of commits that took effect."""

    async def load(
        self, touched: Sequence[Touched], most_answers: int = MOST_ANSWERS
    ) -> list[Loaded]:
        self.loads += 1
        await self.before_load(touched)
        return await self.inner.load(touched, min(most_answers, self.most_answers))

    async def log_page(self, key: LearnerKey, after: Position | None, limit: int) -> LogPage:
        await self.before_page(key)
        return await self.inner.log_page(key, after, min(limit, self.most_answers))

    async def commit(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        self.commits += 1
        await self.before_commit(commits)
        answers = await self.inner.commit(commits)
        self.committed += 1
        await self.after_commit(commits)
        return answers

    async def ping(self) -> None:
        await self.inner.ping()


async def _nothing(_: object) -> None:
    await asyncio.sleep(0)
